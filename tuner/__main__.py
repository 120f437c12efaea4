"""``python -m tuner``: the command, where no script of that name is on the path."""

from tuner.cli import main

if __name__ == "__main__":
    main()
