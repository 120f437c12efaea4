"""What finished trials are ranked by: their value of the goal, as it is stored with them.

A goal of one metric ranks by the value that was told. A goal of fewest steps ranks by the first step at which the
trial's curve reached the target, or, where only the value that was told did, by the last step, whose value that is. The
curve is what was reported: between two reported steps a trial may have got there earlier, and nobody knows. A trade-off
ranks no trial above another on its own.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tuner.analysis.reaching import first_reached
from tuner.definition import Goal
from tuner.storage import curves
from tuner.storage.database import Connection
from tuner.storage.trials import TrialRecord


class Told(NamedTuple):
    """A trial whose result is being written, with the values that were told of it, and the steps it has run."""

    record: TrialRecord
    values: Mapping[str, float]
    steps_run: int | None


def objective_values(connection: Connection, goal: Goal, told: Sequence[Told]) -> list[float | None]:
    """What each trial is ranked by; None where it is not finite, or nothing. Their curves are stored already."""
    if goal.is_trade_off:
        return [None for _ in told]
    if goal.target is None:
        return [
            one.values[goal.metric] if goal.ranks(one.values.get(goal.metric)) is not None else None for one in told
        ]
    stored = curves.read_many(connection, [(one.record.id, one.record.attempt) for one in told], metric=goal.metric)
    return [_steps_to(goal, goal.target, one, stored.get(one.record.id, {}).get(goal.metric)) for one in told]


def _steps_to(goal: Goal, target: float, told: Told, curve: curves.Curve | None) -> float | None:
    rising = goal.direction == "maximize"
    steps = None if curve is None else first_reached(curve.steps, curve.values, target, rising=rising)
    if steps is None and told.steps_run is not None:
        last = np.array([told.values.get(goal.metric, math.nan)])
        steps = first_reached(np.array([told.steps_run]), last, target, rising=rising)
    return None if steps is None else float(steps)
