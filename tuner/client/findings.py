"""What a study's trials show, taken together, as the service answered it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from tuner.client.parameters import ParameterValue
from tuner.client.snapshot import as_number


@dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """A run that no other beats: of trial ``number``, over ``steps`` steps, with the metric at ``value``.

    ``parameters`` are the trial's, among them the steps that it was to run itself.
    """

    number: int
    steps: int
    value: float
    parameters: Mapping[str, ParameterValue]

    @property
    def learning_rate(self) -> float:
        """The parameter of that name."""
        rate: Any = self.parameters["learning_rate"]
        return float(rate)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The point that a document of the service shows."""
        return cls(
            number=document["number"],
            steps=document["steps"],
            value=as_number(document["value"]),
            parameters=MappingProxyType(document["parameters"]),
        )


@dataclass(frozen=True, kw_only=True)
class RateSurface:
    """A table of a metric: ``values[i][j]`` after ``steps[i]`` steps at ``rates[j]``, None where it is unknown.

    What is not finite had diverged. ``raw`` is all that the service answered.
    """

    metric: str
    rates: Sequence[float]
    steps: Sequence[int]
    values: Sequence[Sequence[float | None]]
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The table that a document of the service shows."""
        return cls(
            metric=document["metric"],
            rates=document["rates"],
            steps=document["steps"],
            values=[[None if value is None else as_number(value) for value in row] for row in document["values"]],
            raw=MappingProxyType(dict(document)),
        )
