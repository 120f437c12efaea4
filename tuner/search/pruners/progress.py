"""A running trial's report as pruners see it: what is new, and what was best before.

Directions end here: everything but ``values`` is seen so that smaller is better, and what is not finite is infinite,
worse than anything.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tuner.search.pruners.rungs import Rungs


@dataclass(frozen=True)
class Progress:
    """What one trial has reported.

    number: the trial's number in its study.
    sign: 1 where the goal is to minimise, -1 where it is to maximise.
    after: the highest step reported before; -1 where this is the attempt's first report.
    upto: the highest step reported now or before.
    best, best_step: of the points before; infinite and None where none was finite.
    steps, values: the new points, (n,) each, the steps ascending and distinct, the values as they were reported.
    """

    number: int
    sign: int
    after: int
    upto: int
    best: float
    best_step: int | None
    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    @cached_property
    def keys(self) -> NDArray[np.float64]:
        """The new values (n,), smaller the better."""
        return np.where(np.isfinite(self.values), self.sign * self.values, math.inf)

    @cached_property
    def best_so_far(self) -> NDArray[np.float64]:
        """The best of the new values up to each new step (n,)."""
        return np.minimum.accumulate(self.keys)

    @property
    def best_now(self) -> float:
        """The best of all points, old and new."""
        return min(self.best, float(self.best_so_far[-1])) if self.steps.size else self.best

    def crossed(self, rungs: Rungs) -> dict[int, float]:
        """The rungs at which this report says something new: rung → the best up to it, infinite where none was finite.

        They are those beyond the last step before, and earlier ones where a point that comes late is the best of all.
        A rung before which the metric was not measured is none.
        """
        values = {}
        for rung in rungs.between(self._first_new() - 1, self.upto):
            place = int(np.searchsorted(self.steps, rung, side="right")) - 1
            new = float(self.best_so_far[place]) if place >= 0 else None
            if rung <= self.after:
                if new is not None and new < self.best:
                    values[rung] = new
            elif new is not None:
                values[rung] = min(new, self.best)
            elif self.best < math.inf:
                values[rung] = self.best
        return values

    def _first_new(self) -> int:
        """The first step that was not reported before, or whose late value is better than all before."""
        late = (self.steps <= self.after) & (self.keys < self.best)
        return int(self.steps[np.argmax(late)]) if late.any() else self.after + 1
