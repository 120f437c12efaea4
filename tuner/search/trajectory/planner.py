"""Which rates to follow, and how far."""

import math

from tuner.search.trajectory.requests import Limit, Pass, Plan, Probe, Run, Task, Trajectory

FIRST_STEPS = 16
"""How far the first rates are followed."""

RATES = 8
"""Rates of the first pass."""


def plan(task: Task) -> Plan:
    """The requests of a search; it is over when nothing further is worth its cost."""
    top = task.high
    if task.probes:
        limit = yield Probe()
        if isinstance(limit, Limit) and limit.learning_rate is not None:
            top = min(max(limit.learning_rate * 2, task.low), task.high)
    bottom = max(task.low, top / 2**RATES)
    rates = sorted({bottom * (top / bottom) ** (place / RATES) for place in range(RATES + 1)}, reverse=True)
    steps = max(min(FIRST_STEPS, task.most_steps), 1)
    while rates:
        found = yield Pass([Run(rate, steps) for rate in rates])
        if isinstance(found, Limit) or steps >= task.most_steps:
            return
        alive = [one for one in found if one.steps == steps and math.isfinite(one.losses[-1])]
        alive.sort(key=_best)
        rates = [one.learning_rate for one in alive[: max(1, len(alive) // 2)]]
        steps = min(2 * steps, task.most_steps)


def _best(one: Trajectory) -> float:
    return float(min(one.losses))
