"""The trade-off of a metric against steps: for every number of steps the best that any trajectory had reached.

A trajectory takes part with all its lengths: each of its points is the result of a run of that many steps.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Front:
    """The points that no other beats in both, by ascending steps: values (n,) get strictly better.

    owners (n,): which trajectory each is of, as they were numbered; of equal points the one that came first.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    owners: NDArray[np.int64]

    def thinned(self, most: int) -> "Front":
        """At most so many (≥ 2) of the points, both ends among them, spread over the magnitudes of the steps."""
        count = len(self.steps)
        if count <= most:
            return self
        # For some steps the best within them: the last point up to there.
        wanted = np.geomspace(max(1, self.steps[0]), self.steps[-1], most)
        places = np.searchsorted(self.steps, np.floor(wanted), side="right") - 1
        places = np.unique(np.r_[0, np.clip(places, 0, count - 1)[1:-1], count - 1])
        return self._at(places)

    def _at(self, places: NDArray[Any]) -> "Front":
        return Front(self.steps[places], self.values[places], self.owners[places])


NOTHING = Front(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))


def front(trajectories: Iterable[tuple[int, NDArray[np.int64], NDArray[np.float64]]], *, rising: bool = False) -> Front:
    """The front of trajectories: each a number, steps (n,), ascending, and values (n,). Non-finite ones take no part.

    rising: whether a greater value is the better one.
    """
    sign = -1.0 if rising else 1.0
    best = NOTHING
    reached = np.array([np.inf])
    for owner, steps, values in trajectories:
        ranked = np.where(np.isfinite(values), sign * values, np.inf)
        # Few of them are better anywhere than what was reached within so many steps before.
        improving = ranked < reached[np.searchsorted(best.steps, steps, side="right")]
        if improving.any():
            improving &= _records(ranked)
            found = int(np.count_nonzero(improving))
            mine = Front(steps[improving], ranked[improving], np.full(found, owner, dtype=np.int64))
            best = _merged(best, mine)
            reached = np.append(np.inf, best.values)
    return Front(best.steps, sign * best.values, best.owners)


STRAIGHT = 1e-9
"""A share of an axis that is rounding and no bend."""


def knee(costs: NDArray[np.float64], losses: NDArray[np.float64]) -> int | None:
    """The place at which a front bends most: before it losses (n,) fall fast with rising costs (n,), after it slowly.

    It is the point farthest below the line from the first to the last, on axes of one length; None where no point is
    below it. After Satopää et al. (2011), Finding a "kneedle" in a haystack.
    """
    if len(costs) < 3 or not (costs[-1] > costs[0] and losses[0] > losses[-1]):
        return None
    across = (costs - costs[0]) / (costs[-1] - costs[0])
    below = (losses[0] - losses) / (losses[0] - losses[-1]) - across
    place = int(np.argmax(below))
    return place if below[place] > STRAIGHT else None


def _records(ranked: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values are below all before them."""
    before = np.append(np.inf, np.minimum.accumulate(ranked)[:-1])
    records: NDArray[np.bool_] = ranked < before
    return records


def _merged(one: Front, other: Front) -> Front:
    """Of two fronts of smaller-is-better values the common one; of equal points those of the first."""
    steps = np.concatenate([one.steps, other.steps])
    values = np.concatenate([one.values, other.values])
    # lexsort is stable: of equal steps and values the first front's comes first, and is the record.
    order = np.lexsort((values, steps))
    both = Front(steps[order], values[order], np.concatenate([one.owners, other.owners])[order])
    return both._at(_records(both.values))
