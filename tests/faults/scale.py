"""How much of a fault is tried: enough to see it in `make test`, and much more of it in `make test-faults`."""

import os

LONG = os.environ.get("FAULTS") == "long"
"""Whether this is the long version."""


LONGEST = 2000.0 if LONG else 200.0
"""Seconds within which clients come to their end."""


def times(short: int, long: int) -> int:
    """How often to do it."""
    return long if LONG else short
