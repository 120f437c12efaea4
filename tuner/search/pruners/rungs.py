"""Rungs: the few steps at which trials are compared, so that what pruning costs does not grow with what is reported.

However a pruner lays them, a trial of n steps meets some multiple of log n of them, never n.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

EVEN_RUNGS = 64
"""Evenly spaced rungs before they thin out."""


class Rungs(ABC):
    """An endless ascending sequence of steps."""

    @abstractmethod
    def between(self, after: int, upto: int) -> list[int]:
        """The rungs in (after, upto], ascending."""

    def latest(self, upto: int) -> int | None:
        """The last rung at or before a step, or None where there is none yet."""
        reached = self.between(-1, upto)
        return reached[-1] if reached else None


@dataclass(frozen=True)
class GeometricRungs(Rungs):
    """Steps ``first · factor^k`` for k = 0, 1, …, those up to ``last`` where one is given."""

    first: int
    factor: int
    last: int | None = None

    def between(self, after: int, upto: int) -> list[int]:
        """The rungs in (after, upto], ascending."""
        upto = upto if self.last is None else min(upto, self.last)
        found = []
        rung = self.first
        while rung <= upto:
            if rung > after:
                found.append(rung)
            rung *= self.factor
        return found


@dataclass(frozen=True)
class LinearRungs(Rungs):
    """Steps ``first + interval · k``, for every k below `EVEN_RUNGS`; from there for every second k, from twice there
    for every fourth, and so on: a long trial has many rungs, a very long one hardly more.
    """

    first: int
    interval: int

    def between(self, after: int, upto: int) -> list[int]:
        """The rungs in (after, upto], ascending."""
        found = []
        place = _kept(max(0, (after - self.first) // self.interval + 1))
        while (rung := self.first + place * self.interval) <= upto:
            found.append(rung)
            place = _kept(place + 1)
        return found


def _kept(place: int) -> int:
    """The first place at or after this one that is kept."""
    stride = 1
    while place >= EVEN_RUNGS * stride:
        stride *= 2
    return -(-place // stride) * stride
