"""Where trials run: lease a batch, descend, tell; and give everything back on SIGTERM."""
