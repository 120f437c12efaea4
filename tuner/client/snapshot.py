"""A trial as the service showed it: read, not held."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self

from tuner.client.parameters import Parameterised, ParameterValue

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True, kw_only=True)
class TrialSnapshot(Parameterised):
    """A trial at the moment of reading. Its parameters are attributes and items: ``best.learning_rate``.

    ``values`` are the metrics that were told, non-finite ones included; None before. ``objective_value`` is what the
    study ranks the trial by: the goal's metric, or the first step at which that reached the goal's target; None where
    there is no such number. ``verdict`` is what its curve says, in a word, and ``advice`` what to do about it.
    Times are UTC. ``raw`` is all that the service answered.
    """

    number: int
    state: str
    attempt: int
    parameters: Mapping[str, ParameterValue]
    values: Mapping[str, float] | None
    objective_value: float | None
    steps_run: int | None
    gradient_evaluations: int
    verdict: str | None
    advice: str | None
    reason: str | None
    worker: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The trial that a document of the service shows."""
        told = document.get("values")
        values = None if told is None else {name: as_number(value) for name, value in told.items()}
        return cls(
            number=document["number"],
            state=document["state"],
            attempt=document["attempt"],
            parameters=MappingProxyType(document["parameters"]),
            values=None if values is None else MappingProxyType(values),
            objective_value=document.get("objective_value"),
            steps_run=document.get("steps_run"),
            gradient_evaluations=document.get("gradient_evaluations") or 0,
            verdict=document.get("verdict"),
            advice=document.get("advice"),
            reason=document.get("reason"),
            worker=document.get("worker"),
            created_at=datetime.fromisoformat(document["created_at"]),
            started_at=_moment(document.get("started_at")),
            finished_at=_moment(document.get("finished_at")),
            raw=MappingProxyType(dict(document)),
        )


def as_number(value: Any) -> float:
    """A metric as the service writes it: a number, or the name of one that is not finite."""
    return _NON_FINITE[value] if isinstance(value, str) else float(value)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
