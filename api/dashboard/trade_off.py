"""A trade-off's front in a few of its runs: where it begins, where it bends, where it ends."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tuner.analysis.front import knee
from tuner.service.pareto import FrontPoint, Pareto
from tuner.service.points import spans_decades
from tuner.storage.points import Floats


class Run(NamedTuple):
    """A point of the front, and what makes it worth naming."""

    words: str
    point: FrontPoint


class Runs(NamedTuple):
    """Up to three runs, by ascending steps, of so many that no other beats."""

    metric: str
    named: Sequence[Run]
    in_all: int


def telling_runs(found: Pareto) -> Runs:
    """The runs to name. A start without a step is no answer."""
    there = [point for point in found.points if point.steps > 0]
    named = {}
    if there:
        bend = knee(
            _scaled(np.array([point.steps for point in there], dtype=np.float64)),
            _scaled(np.array([point.value for point in there])) * (-1 if found.direction == "maximize" else 1),
        )
        named = {0: "fewest steps", **({} if bend is None else {bend: "at the bend"}), len(there) - 1: "best value"}
    in_all = found.points_in_all - (len(found.points) - len(there))
    return Runs(found.metric, [Run(words, there[place]) for place, words in named.items()], in_all)


def _scaled(values: Floats) -> Floats:
    """As the chart of the front draws an axis: by magnitudes, where there are several."""
    return np.log(values) if spans_decades(values) else values
