"""What a pruner is: its settings, and one of three ways to decide.

Most compare a trial with its peers at *rungs* (`RungPruner`); some look at the trial's own report alone
(`ReportPruner`); one waits (``patience.py``). Each is a pydantic model whose fields are the user's settings.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuner.limits import LARGEST_CLIENT_STEPS
from tuner.search.pruners.progress import Progress
from tuner.search.pruners.rungs import Rungs
from tuner.space import Choices, FloatRange, SearchSpace
from tuner.strict import Strict

PEERS = 500
"""The most peers that a trial is compared with: those of its rung that began last."""

Step = Annotated[int, Field(ge=0, le=LARGEST_CLIENT_STEPS)]
StepCount = Annotated[int, Field(ge=1, le=LARGEST_CLIENT_STEPS)]


class Pruner(Strict, ABC):
    """A pruner and its settings. The class docstring's first line is what a user reads about it."""

    def fitted(self, space: SearchSpace) -> Self:  # noqa: ARG002
        """The same with every default filled in that the search space decides.

        Raises:
            InvalidInput: the field is relative to the pruner: ``settings.max_resource``.
        """
        return self

    def settings(self) -> dict[str, Any]:
        """The settings as the definition holds them."""
        return self.model_dump(mode="json")


class ReportPruner(Pruner):
    """A pruner that decides by what a trial reports."""

    @abstractmethod
    def decide(self, progress: Progress) -> str | None:
        """Why to stop, in words, or None."""


@dataclass(frozen=True)
class Comparison:
    """A trial and its peers at one rung: each one's best value up to it, smaller the better, infinite if never finite.

    step: the rung. value: the trial's. peers: (n,), without the trial. sign: what makes them the user's own numbers.
    """

    step: int
    value: float
    peers: NDArray[np.float64]
    sign: int

    def against(self, value: float) -> str:
        """The trial's value beside another, as the user reported them."""
        return f"at step {self.step}: {number(self.sign * self.value)} against {number(self.sign * value)}"

    def never_finite(self) -> str | None:
        """Why to stop a trial that has had no finite value yet; None for any other."""
        return None if math.isfinite(self.value) else f"no finite value up to step {self.step}"


class RungPruner(Pruner):
    """A pruner that compares a trial with those that reached the same rung."""

    def bracket(self, number: int) -> int:  # noqa: ARG002
        """The bracket of the trial of that number: trials are compared within one."""
        return 0

    @abstractmethod
    def rungs(self, bracket: int) -> Rungs:
        """The rungs of a bracket."""

    @abstractmethod
    def decisive(self, crossed: Sequence[int]) -> Sequence[int]:
        """The rungs that decide, of those that one report crossed (at least one, ascending)."""

    @abstractmethod
    def decide(self, at: Comparison) -> str | None:
        """Why to stop, in words, or None."""


def most_steps(space: SearchSpace) -> int | None:
    """The most steps that a trial of the search space may take, or None where it has no such parameter."""
    match space.get("steps"):
        case None | FloatRange():
            return None
        case Choices(choices=choices):
            return max((choice for choice in choices if isinstance(choice, int)), default=None)
        case counts:
            return counts.high


def number(value: float) -> str:
    """A value as people read it."""
    return f"{value:.6g}"
