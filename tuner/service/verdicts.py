"""Verdicts on trials: of which curves, when anew while a trial runs, and what is kept of them.

A verdict is on the curve of the study's goal, or, where the goal is measured on held-out data, on that of training. The
metric `loss` has its held-out twin in ``validation_loss`` or ``val_loss``, and so has any other.

A trial that runs is judged at its first report and then each time its steps have doubled, or its loss has come twice
as far above its lowest as it ever was: so judging takes a bounded share of reporting, and a loss that explodes is seen
with the report that brings it. It is judged for good when it is told.
"""

import math
from collections.abc import Mapping
from typing import Any

from tuner.analysis import stability
from tuner.analysis.verdict import Name, Verdict, judge
from tuner.definition import StudyDefinition
from tuner.descent import Method
from tuner.service.open_study import OpenStudy
from tuner.storage import measurements
from tuner.storage.curves import Curve
from tuner.storage.trials import TrialRecord

HELD_OUT = ("validation_", "val_")
"""What the name of a metric begins with that is measured on held-out data."""

AGAIN = 2
"""How many times its steps a running trial has come to when it is judged again."""

ALARM = 2.0
"""How many times as far above the lowest loss as any before the last loss of a report lies that is judged at once."""


def training_metric(definition: StudyDefinition) -> str:
    """The metric that verdicts are on."""
    goal = definition.goal.metric
    prefix = next((prefix for prefix in HELD_OUT if goal.startswith(prefix)), "")
    return goal.removeprefix(prefix)


def measured_curvature(study: OpenStudy) -> float | None:
    """The largest curvature at the start of this study's descents, where its search has measured it."""
    if study.definition.objective is None:
        return None
    probes = measurements.read(study.connection, study.record.id, measurements.PROBE)
    return probes[-1].result.get("largest") if probes else None


def judge_trial(
    definition: StudyDefinition,
    parameters: Mapping[str, Any],
    curves: Mapping[str, Curve],
    curvature: float | None = None,
) -> Verdict | None:
    """What the curves of a trial say; None where there is none of the study's metric.

    ``curvature`` is that of `measured_curvature`: with the trial's update rule it says from which rate on descents are
    unstable at the start.
    """
    metric, goal = training_metric(definition), definition.goal.metric
    names = [metric, *(prefix + metric for prefix in HELD_OUT)]
    found = [curves[name] for name in names if name in curves]
    if not found:
        return None
    held_out = next((curves[name] for name in (goal, *names[1:]) if name != metric and name in curves), None)
    registered = definition.objective is not None
    stochastic = bool(parameters.get("batch_size")) if registered else None
    rate = parameters.get("learning_rate")
    return judge(
        found[0].values,
        steps=found[0].steps,
        validation=None if held_out is None else (held_out.steps, held_out.values),
        maximize=definition.goal.direction == "maximize",
        learning_rate=rate if isinstance(rate, int | float) and not isinstance(rate, bool) else None,
        limit=None if curvature is None else _limit(parameters, curvature),
        plain=registered and not stochastic and parameters.get("update_rule") in {None, "gradient_descent"},
        stochastic=stochastic,
    )


def _limit(parameters: Mapping[str, Any], curvature: float) -> float | None:
    method = Method.of_trial(parameters)
    return stability.limit(method.update_rule, method.settings, curvature)


def columns(verdict: Verdict | None) -> dict[str, Any]:
    """The columns of a trial's row."""
    if verdict is None:
        return {"verdict": None, "evidence": None, "advice": None}
    return {"verdict": str(verdict.name), "evidence": dict(verdict.evidence), "advice": verdict.advice}


def is_due(definition: StudyDefinition, record: TrialRecord, last_step: int, latest: float) -> bool:
    """Whether a running trial is to be judged with a report of `training_metric` up to that step and value."""
    before = record.evidence
    if before is None or not math.isfinite(latest) or last_step >= AGAIN * before["last_step"]:
        return True
    if "highest" not in before:
        return True
    lowest, highest = before["lowest"], before["highest"]
    rise = latest - lowest if definition.goal.direction == "minimize" else highest - latest
    return rise > ALARM * (highest - lowest)


def stops(definition: StudyDefinition, verdict: Verdict) -> bool:
    """Whether whoever runs the trial is told to stop. The service's own runs end by themselves, always at one step."""
    return definition.stop_diverging and definition.objective is None and verdict.name is Name.DIVERGED
