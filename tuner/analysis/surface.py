"""What every rate is worth after every number of steps: a table, from trajectories that are there already.

A trajectory at one rate fills a whole column, since a run of n steps contains every shorter one. A cell that no
trajectory reaches is unknown; one beyond the step at which a trajectory left the finite numbers is known: no further
step brings it back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Surface:
    """Values of shape (steps, rates), known where ``known`` says so, not finite where a descent had diverged."""

    rates: NDArray[np.float64]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    known: NDArray[np.bool_]


def columns(rates: NDArray[np.float64], most: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The columns of a table of trials at these rates (n,), ascending, and the column of each trial.

    Each rate has a column of its own while there are at most so many; otherwise the range is cut into as many equal
    parts, on a log scale where every rate is above 0, and a part that has any trial is a column, at its middle.
    """
    distinct, place = np.unique(rates, return_inverse=True)
    if len(distinct) <= most:
        return distinct, place
    logarithmic = bool(distinct[0] > 0)
    scaled = np.log(rates) if logarithmic else rates
    edges = np.linspace(scaled.min(), scaled.max(), most + 1)
    part = np.clip(np.searchsorted(edges, scaled, side="right") - 1, 0, most - 1)
    filled, place = np.unique(part, return_inverse=True)
    middles = (edges[filled] + edges[filled + 1]) / 2
    return np.exp(middles) if logarithmic else middles, place


def step_counts(longest: int, most: int) -> NDArray[np.int64]:
    """At most so many step counts from 1 to the longest, spread over its magnitudes: all of them where they are few."""
    return np.unique(np.round(np.geomspace(1, max(longest, 1), most)).astype(np.int64))


def surface(
    trajectories: Iterable[tuple[int, NDArray[np.int64], NDArray[np.float64]]],
    rates: NDArray[np.float64],
    steps: NDArray[np.int64],
    *,
    rising: bool = False,
    within: bool = False,
) -> Surface:
    """The table of trajectories: each the place of its rate, steps (n,), ascending, n ≥ 1, and values (n,).

    A cell is the value after exactly so many steps, or, where a trajectory has no value there, the last one before;
    with ``within`` the best value up to there, which a trajectory that ended before has for every later step. Of
    several trajectories of one rate the best counts, of which any finite value is better than one that is not; rising
    says whether a greater one is better.
    """
    sign = -1.0 if rising else 1.0
    values = np.full((len(steps), len(rates)), np.nan)
    ranks = np.full(values.shape, np.inf)
    known = np.zeros(values.shape, dtype=bool)
    for column, at, of in trajectories:
        ranked = np.where(np.isfinite(of), sign * of, np.inf)
        if within:
            ranked = np.minimum.accumulate(ranked)
        shown = np.where(np.isfinite(ranked), sign * ranked, of)
        place = np.searchsorted(at, steps, side="right") - 1
        lasts = within or not np.isfinite(of[-1])
        mine = (place >= 0) & ((steps <= at[-1]) | lasts)
        better = mine & (~known[:, column] | (ranked[place] < ranks[:, column]))
        values[better, column] = shown[place[better]]
        ranks[better, column] = ranked[place[better]]
        known[:, column] |= mine
    return Surface(rates, steps, values, known)
