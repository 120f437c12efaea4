"""Hearing that the process should end, without doing anything in a signal handler."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType


@contextmanager
def termination_signals() -> Iterator["SimpleQueue[int]"]:
    """A queue of the SIGTERMs and SIGINTs that have come. Its ``put`` is reentrant: a handler may call it."""
    heard: SimpleQueue[int] = SimpleQueue()

    def hear(number: int, _frame: FrameType | None) -> None:
        heard.put(number)

    before = {number: signal.signal(number, hear) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
