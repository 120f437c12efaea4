"""Curves of a whole batch, recorded as they come: all rows of one step after another.

A curve is read far less often than a step is written, so values of one step lie together while they are written; a
full block is turned over once, and from then on the values of one row lie together. A block has columns only for the
rows that ran when it began, so that memory stays close to the values themselves.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.descent.batch import Rows

_BLOCK_STEPS = 1024


@dataclass(frozen=True)
class Curve:
    """Points of one row, both of shape (n,): ``values[i]`` holds after ``steps[i]`` updates. Steps ascend."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


class Recorder:
    """One value a row a step, for rows that begin and end at steps of their own."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._open: _Block | None = None

    def record(self, step: int, rows: Rows, values: NDArray[np.floating[Any]]) -> None:
        """Write the values (R,) of ``rows`` at ``step``: the step after the last one, unless `cut` came between.

        While the rows are the same, the array is the same object.
        """
        block = self._open
        if block is None:
            self._open = block = _Block(step, rows)
            self._blocks.append(block)
        elif rows is not block.writing:
            block.writing, block.columns = rows, np.searchsorted(block.rows, rows)
        block.values[step - block.first, block.columns] = values
        block.end = step + 1
        if block.end == block.first + _BLOCK_STEPS:
            self.cut()

    def cut(self) -> None:
        """Close the block: it is full, or rows are about to join."""
        if self._open is not None:
            block = self._open
            block.values = np.ascontiguousarray(block.values[: block.end - block.first].T).T
            self._open = None

    def read(self, row: int, first: int, last: int) -> Curve:
        """The points of a row at the steps first … last, each of which it must have run."""
        parts = [
            block.values[
                max(first - block.first, 0) : last + 1 - block.first,
                np.searchsorted(block.rows, row),
            ]
            for block in self._blocks
            if block.first <= last and first < block.end
        ]
        return Curve(np.arange(first, last + 1), np.concatenate(parts) if parts else np.empty(0))


class _Block:
    """Values of some rows, by step and row, at the steps from ``first`` up to, not including, ``end``.

    ``writing`` are those of the rows that have not ended, ``columns`` where they stand.
    """

    __slots__ = ("columns", "end", "first", "rows", "values", "writing")

    def __init__(self, first: int, rows: Rows) -> None:
        self.first = first
        self.end = first
        self.rows = rows
        self.writing = rows
        self.columns: NDArray[np.intp] | slice = slice(None)
        self.values = np.empty((_BLOCK_STEPS, len(rows)))
