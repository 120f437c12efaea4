"""What a trial is: one descent at one point of the search space. Shared by wire, client and engine.

*Steps, once and for all*: step k is the state after k updates; step 0 is the start. A curve's value at step k is the
loss at the parameters after k updates. A trial with ``steps = n`` ran n updates.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AllowInfNan, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema


class TrialState(StrEnum):
    """Where a trial stands: ``waiting → running → complete | failed | pruned``, and back when its lease is lost."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    PRUNED = "pruned"

    @property
    def finished(self) -> bool:
        """Whether nothing changes any more."""
        return self in {TrialState.COMPLETE, TrialState.FAILED, TrialState.PRUNED}


class Outcome(StrEnum):
    """How a descent ended: a fact, apart from any verdict on it."""

    RAN_ITS_STEPS = "ran_its_steps"
    LEFT_FINITE_NUMBERS = "left_finite_numbers"
    STOPPED = "stopped"


_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encode_float(value: float) -> float | str:
    """A float as JSON can hold it: non-finite ones as ``"NaN"``, ``"Infinity"``, ``"-Infinity"``."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def decode_float(value: Any) -> Any:
    """The inverse of `encode_float`; what is no such string is passed on to be judged by its type."""
    return _NON_FINITE.get(value, value) if isinstance(value, str) else value


WireFloat = Annotated[
    float,
    AllowInfNan(True),
    BeforeValidator(decode_float),
    PlainSerializer(encode_float, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "enum": list(_NON_FINITE)}]}),
]
"""A loss or metric: any float, non-finite ones included, in strict JSON."""

ParameterValue = bool | int | Annotated[float, PlainSerializer(encode_float, when_used="json")] | str | None
"""A value of one search-space parameter. Finite in our studies; an Optuna program's choices may be any float."""


def descent_of(parameters: Mapping[str, Any]) -> str | None:
    """What trials of a registered study have in common that differ in their steps alone: a digest, 32 characters.

    With the full gradient they are one descent, of several lengths. None by mini-batches: the loss of a run's last step
    is the full loss, which no longer run knows.
    """
    if "batch_size" in parameters:
        return None
    others = sorted((name, value) for name, value in parameters.items() if name != "steps")
    return hashlib.sha256(json.dumps(others).encode()).hexdigest()[:32]


class Trial(BaseModel):
    """A trial as it is read. Times are UTC; ``values`` are those at the trial's last step.

    ``objective_value`` is what its study ranks it by: the value of the goal's metric, or the first step at which that
    reached the goal's target. Null where it is not finite or never got there, and where the goal is a trade-off.
    ``outcome`` is how it ended, a fact; ``verdict`` what its curve says, a judgement (docs/verdicts.md), with the
    numbers that decided as ``evidence`` and what to do about it as ``advice``.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    state: TrialState
    attempt: int
    parameters: dict[str, ParameterValue]
    values: dict[str, WireFloat] | None = None
    objective_value: float | None = None
    steps_run: int | None = None
    gradient_evaluations: int = 0
    outcome: Outcome | None = None
    verdict: str | None = None
    evidence: dict[str, float] | None = None
    advice: str | None = None
    reason: str | None = None
    quarantined: bool = False
    excluded: bool = False
    worker: str | None = None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Attempt(BaseModel):
    """One lease of a trial: who ran it, and how it ended. ``end`` is null while it runs.

    ``lost`` and ``released`` attempts ended without a result, the others as their trial did.
    """

    model_config = ConfigDict(frozen=True)

    attempt: int
    worker: str | None
    started_at: datetime | None
    ended_at: datetime | None
    end: Literal["lost", "released", "complete", "failed", "pruned"] | None


class Lease(BaseModel):
    """A trial as it is given to whoever asked: what to run, under which attempt, and until when it is theirs."""

    model_config = ConfigDict(frozen=True)

    number: int
    attempt: int
    lease_expires_at: datetime
    parameters: dict[str, ParameterValue]


class Asked(BaseModel):
    """The answer to an ask. No trials is an ordinary answer: the study's state says why."""

    model_config = ConfigDict(frozen=True)

    trials: list[Lease]
    study_state: str
    retry_after_seconds: float | None


class Curve(BaseModel):
    """A metric along a trial: ``values[i]`` is the metric after ``steps[i]`` updates; steps ascend.

    ``points`` says how many are stored; where fewer are shown, extremes and ends are among them.
    """

    model_config = ConfigDict(frozen=True)

    steps: list[int]
    values: list[WireFloat]
    points: int
