"""How much of a fault is tried: enough to see it in `make test`, and much more of it in `make test-faults`."""

import os

LONG = os.environ.get("FAULTS") == "long"
"""Whether this is the long version."""


def times(short: int, long: int) -> int:
    """How often to do it."""
    return long if LONG else short
