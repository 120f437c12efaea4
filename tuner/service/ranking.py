"""What finished trials are ranked by: their value of the goal, as it is stored with them.

A goal of one metric ranks by the value that was told. A goal of fewest steps ranks by the first step at which the
trial's curve reached the target; the value that was told is that of the last step. The curve is what was reported:
between two reported steps a trial may have got there earlier, and nobody knows. A trade-off ranks no trial above
another on its own.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tuner.analysis.reaching import first_reached
from tuner.goal import Goal
from tuner.service.trajectories import ending_at
from tuner.storage import curves
from tuner.storage.database import Connection
from tuner.storage.trials import TrialRecord


class Told(NamedTuple):
    """A trial whose result is being written, with the values that were told of it, and the step that they are of."""

    record: TrialRecord
    values: Mapping[str, float]
    step: int | None


def objective_values(connection: Connection, goal: Goal, told: Sequence[Told]) -> list[float | None]:
    """What each trial is ranked by; None where it is not finite, or nothing. Their curves are stored already."""
    if goal.is_trade_off:
        return [None for _ in told]
    if goal.target is None:
        values = (one.values.get(goal.metric) for one in told)
        return [None if goal.ranks(value) is None else value for value in values]
    stored = curves.read_many(connection, [(one.record.id, one.record.attempt) for one in told], metric=goal.metric)
    rising = goal.direction == "maximize"
    found: list[float | None] = []
    for one in told:
        curve = ending_at(stored.get(one.record.id, {}).get(goal.metric), one.step, one.values.get(goal.metric))
        steps = None if curve is None else first_reached(curve.steps, curve.values, goal.target, rising=rising)
        found.append(None if steps is None else float(steps))
    return found
