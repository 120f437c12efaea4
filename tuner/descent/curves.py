"""Curves of a whole batch, recorded as they come: all rows of one step after another.

A row's curve is read far less often than a step is written, so the step is what lies together in memory while it is
written; a full block is turned over once, and from then on each row's points lie together. A block has columns only
for the rows that had not ended when it began, so that memory stays close to the points themselves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Values = NDArray[np.float64]
Steps = NDArray[np.int64]

_BLOCK_STEPS = 256


@dataclass(frozen=True)
class Curve:
    """Points of one row: ``values[i]`` was measured after ``steps[i]`` updates. Steps ascend; both have shape (n,)."""

    steps: Steps
    values: Values


class _Block:
    """Values of some rows at consecutive steps, from ``first`` on."""

    def __init__(self, first: int, rows: Rows) -> None:
        self.first = first
        self.rows = rows
        self.length = 0
        self._by_step = np.empty((_BLOCK_STEPS, len(rows)))
        self._columns: NDArray[np.intp] | slice = slice(None)
        self._of: Rows | None = None

    def append(self, rows: Rows, values: Values) -> bool:
        """Add one step's values for these rows of the block; whether the block is full now."""
        if rows is not self._of:
            self._of = rows
            self._columns = slice(None) if len(rows) == len(self.rows) else np.searchsorted(self.rows, rows)
        self._by_step[self.length, self._columns] = values
        self.length += 1
        return self.length == _BLOCK_STEPS

    def turn_over(self) -> None:
        self._by_step = np.ascontiguousarray(self._by_step.T).T

    def read(self, row: int, first: int, last: int) -> Values:
        column = int(np.searchsorted(self.rows, row))
        lower, upper = max(first - self.first, 0), min(last + 1 - self.first, self.length)
        return self._by_step[lower:upper, column] if lower < upper else self._by_step[:0, 0]


class Recorder:
    """One value a row a step, for rows that begin and end at their own steps."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._open = False

    def record(self, step: int, rows: Rows, values: Values, pending: Rows) -> None:
        """Write the values of ``rows`` (R,) at ``step``; ``pending`` are rows that will be written only later.

        Steps come in ascending order, rows ascend, and while the rows are the same the array is the same object.
        """
        block = self._blocks[-1] if self._open else None
        if block is None or block.first + block.length != step:
            block = _Block(step, np.union1d(rows, pending) if len(pending) else rows)
            self._blocks.append(block)
        self._open = not block.append(rows, values)
        if not self._open:
            block.turn_over()

    def read(self, row: int, first: int, last: int) -> Curve:
        """The points of a row at steps first … last, all of which must have been written."""
        parts = [block.read(row, first, last) for block in self._blocks if block.first <= last]
        ...
