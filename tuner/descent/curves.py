"""Curves of a whole batch, recorded as they come: all rows of one step after another.

A curve is read far less often than a step is written, so values of one step lie together while they are written; a
full block is turned over once, and from then on the values of one row lie together. A block has columns only for the
rows that ran when it began, so that memory stays close to the values themselves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.descent.batch import Rows

_BLOCK_STEPS = 256


@dataclass(frozen=True)
class Curve:
    """Points of one row, both of shape (n,): ``values[i]`` holds after ``steps[i]`` updates. Steps ascend."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


class Recorder:
    """One value a row a step, for rows that begin and end at steps of their own."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []

    def record(self, step: int, rows: Rows, values: NDArray[np.floating]) -> None:
        """Write the values (R,) of ``rows`` at ``step``: the step after the last one, unless `cut` came between."""
        if not self._blocks or self._blocks[-1].closed:
            self._blocks.append(_Block(step, rows))
        self._blocks[-1].append(rows, values)

    def cut(self) -> None:
        """Rows are about to join."""
        if self._blocks:
            self._blocks[-1].close()

    def read(self, row: int, first: int, last: int) -> Curve:
        """The points of a row at the steps first … last, each of which it must have run."""
        parts = [block.read(row, first, last) for block in self._blocks if block.first <= last and first < block.end]
        return Curve(np.arange(first, last + 1), np.concatenate(parts) if parts else np.empty(0))


class _Block:
    """Values of some rows at consecutive steps, from ``first`` up to, not including, ``end``."""

    def __init__(self, first: int, rows: Rows) -> None:
        self.first = first
        self.end = first
        self.closed = False
        self._rows = rows
        self._writing = rows
        self._columns: NDArray[np.intp] | slice = slice(None)
        self._values = np.empty((_BLOCK_STEPS, len(rows)))

    def append(self, rows: Rows, values: NDArray[np.floating]) -> None:
        if rows is not self._writing:
            self._writing, self._columns = rows, np.searchsorted(self._rows, rows)
        self._values[self.end - self.first, self._columns] = values
        self.end += 1
        if self.end - self.first == _BLOCK_STEPS:
            self.close()

    def close(self) -> None:
        if not self.closed:
            self._values = np.ascontiguousarray(self._values[: self.end - self.first].T).T
            self.closed = True

    def read(self, row: int, first: int, last: int) -> NDArray[np.float64]:
        column = np.searchsorted(self._rows, row)
        return self._values[max(first - self.first, 0) : last + 1 - self.first, column]
