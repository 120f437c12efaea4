"""Batches for as many steps as a trial has: a data set is gone through again when it is at its end."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tuner.errors import InvalidInput

Batch = TypeVar("Batch")


def endless(batches: Iterable[Batch]) -> Iterator[Batch]:
    """What an iterable gives, again and again; a loader that shuffles does so each time.

    Raises:
        InvalidInput: at ``batches``; it is empty, or an iterator, which can be gone through only once.
    """
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise InvalidInput.at(
                "batches", "has no more batches: give what can be gone through again, like a list or a DataLoader"
            )


def positive(name: str, every: int) -> int:
    """An interval in steps.

    Raises:
        InvalidInput: at its name; it is less than 1.
    """
    if every < 1:
        raise InvalidInput.at(name, f"must be at least 1, is {every}")
    return every
