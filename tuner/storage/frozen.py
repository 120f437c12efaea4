"""Our trials in Optuna's terms: what samplers, and any Optuna program, see of them, and what they write.

Optuna has no complete trial without an ordinary value. Ours may have: a diverged run is a result. In a study of ours
every non-finite value is shown as the worst there is, so that samplers learn from it and never prefer it. Optuna's own
studies are shown as they were written.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tuner.goal import STEPS
from tuner.space import Choices, FloatRange, IntRange, SearchSpace
from tuner.storage.curves import Curve, as_intermediate_values
from tuner.storage.studies import StudyRecord
from tuner.storage.trials import TrialRecord
from tuner.trial import TrialState, encode_float

OPTUNA_STATE = {
    TrialState.WAITING: OptunaState.WAITING,
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.PRUNED: OptunaState.PRUNED,
}
STATE = {theirs: ours for ours, theirs in OPTUNA_STATE.items()}


def distributions(search_space: SearchSpace) -> dict[str, BaseDistribution]:
    """The search space as Optuna's distributions, by parameter."""
    return {name: _distribution(parameter) for name, parameter in search_space.items()}


def _distribution(parameter: FloatRange | IntRange | Choices) -> BaseDistribution:
    match parameter:
        case Choices(choices=choices):
            return CategoricalDistribution(tuple(choices))
        case IntRange(low=low, high=high, scale=scale):
            return IntDistribution(low, high, log=scale == "log")
        case FloatRange(low=low, high=high, scale=scale):
            return FloatDistribution(low, high, log=scale == "log")


def frozen_trial(
    record: TrialRecord, study: StudyRecord, space: dict[str, BaseDistribution], curve: Curve | None = None
) -> FrozenTrial:
    """A trial in Optuna's terms.

    Args:
        record: the trial.
        study: its study.
        space: the study's distributions, for trials that carry none of their own.
        curve: what to show as intermediate values.
    """
    parameters = record.parameters
    if record.distributions is None:
        found = {name: space[name] for name in parameters}
    else:
        found = {name: json_to_distribution(text) for name, text in record.distributions.items()}
    return FrozenTrial(
        number=record.number,
        trial_id=record.id,
        state=OPTUNA_STATE[TrialState(record.state)],
        value=None,
        values=values_shown(record, study),
        datetime_start=_local(record.started_at),
        datetime_complete=_local(record.finished_at),
        params=parameters,
        distributions=found,
        user_attrs=record.user_attrs,
        system_attrs=record.system_attrs,
        intermediate_values={} if curve is None else as_intermediate_values(curve),
    )


def values_shown(record: TrialRecord, study: StudyRecord) -> list[float] | None:
    """What a trial is worth to samplers, by aim of its study's goal; None where it has no value."""
    metrics = record.metrics
    if metrics is None:
        return None
    if study.definition is not None:
        goal = study.definition.goal
        if goal.target is not None:
            steps = record.objective_value
            return [math.inf if steps is None else steps] if record.state == TrialState.COMPLETE else None
        if goal.is_trade_off and record.result_step is not None:
            metrics = {STEPS: float(record.result_step), **metrics}
    if not all(metric in metrics for metric in study.metrics):
        return None
    values = [metrics[metric] for metric in study.metrics]
    if study.definition is None:
        return values
    worst = [-math.inf if direction == "maximize" else math.inf for direction in study.directions]
    return [value if math.isfinite(value) else bad for value, bad in zip(values, worst, strict=True)]


def new_columns(study: StudyRecord, template: FrozenTrial, moment: datetime) -> dict[str, Any]:
    """The columns of a trial that an Optuna program adds.

    A waiting trial of a study that has a definition may be leased by any worker of the service, so its point is stored
    as the service stores one.

    Raises:
        InvalidInput: such a trial is not a whole point of the study's search space; each parameter is named.
    """
    waiting = template.state == OptunaState.WAITING
    parameters: dict[str, Any] = template.params
    found: dict[str, str] | None = {
        name: distribution_to_json(distribution) for name, distribution in template.distributions.items()
    }
    if waiting and study.definition is not None:
        chosen = template.params | template.system_attrs.get("fixed_params", {})
        parameters = study.definition.point(chosen)
        found = None
    return {
        "state": STATE[template.state].value,
        "attempt": 0 if waiting else 1,
        "parameters": parameters,
        "distributions": found,
        "user_attrs": template.user_attrs,
        "system_attrs": template.system_attrs,
        "created_at": moment,
        "started_at": utc(template.datetime_start),
        "finished_at": utc(template.datetime_complete),
        "updated_at": moment,
        **({} if template.values is None else value_columns(study, template.values)),
    }


def value_columns(study: StudyRecord, values: Sequence[float]) -> dict[str, Any]:
    """The columns of the values that an Optuna program tells.

    Raises:
        ValueError: the study has not as many metrics as there are values.
    """
    if len(values) != len(study.metrics):
        raise ValueError(f"values: {len(values)} given, the study has {len(study.metrics)} metrics")
    floats = [float(value) for value in values]
    encoded = [encode_float(value) for value in floats]
    return {
        "values": dict(zip(study.metrics, encoded, strict=True)),
        "objective_value": floats[0] if len(floats) == 1 and math.isfinite(floats[0]) else None,
    }


def _local(moment: datetime | None) -> datetime | None:
    """Optuna's times are naive and local."""
    return None if moment is None else moment.astimezone().replace(tzinfo=None)


def utc(moment: datetime | None) -> datetime | None:
    """The inverse: an Optuna time as ours."""
    return None if moment is None else moment.astimezone(UTC)
