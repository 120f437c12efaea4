"""Which points to try next."""
