"""How often a worker looks up from its descents: at the time, at its leases, at a wish that it stop; and reports."""

REPORT_EVERY = 2.0
"""Seconds between two reports of what is still running."""

CHUNK_SECONDS = 0.1
"""About how long a worker descends before it looks up."""

FIRST_CHUNK = 1
"""Steps before a worker looks up for the first time: nobody knows yet how long one takes."""


def next_chunk(steps: int, seconds: float) -> int:
    """Steps to run before looking up again, from how long the last ones took: near `CHUNK_SECONDS`, in few jumps."""
    if seconds < CHUNK_SECONDS / 16:
        return 8 * steps
    if seconds < CHUNK_SECONDS / 2:
        return 2 * steps
    return max(1, steps // 2) if seconds > 2 * CHUNK_SECONDS else steps
