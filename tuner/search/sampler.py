"""What a sampler is: its settings, and one of two ways to choose points.

A *design* lays its points out beforehand: a point depends on the study's seed and its place alone. A *learner* looks at
the trials so far; ours are Optuna's samplers. Either is a pydantic model whose fields are the user's settings.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from tuner.definition import Choices, FloatRange, IntRange, SearchSpace, Strict
from tuner.search.sight import Sight, Trials
from tuner.trial import ParameterValue

Distributions = Mapping[str, BaseDistribution]
"""A search space as Optuna knows it."""

Point = dict[str, ParameterValue]
"""A value for every parameter of a search space, in its order."""


class Sampler(Strict, ABC):
    """A sampler and its settings. The class docstring's first line is what a user reads about it."""

    extra: ClassVar[str | None] = None
    """The extra that brings what it needs beyond Tuner's own dependencies."""

    package: ClassVar[str | None] = None
    """The package by which to tell whether the extra is installed."""

    def check(self, space: SearchSpace) -> None:
        """Refuse a search space that this sampler cannot search.

        Raises:
            InvalidInput: the field is relative to the sampler: ``name`` or ``settings.points``.
        """

    @abstractmethod
    def default_batch_size(self, space: SearchSpace) -> int:
        """Points to choose at once where the user does not say."""


class Design(Sampler):
    """A sampler whose points are laid out beforehand."""

    @abstractmethod
    def points(self, space: SearchSpace, seed: int, places: Sequence[int]) -> list[Point]:
        """The points at these places (0, 1, …) of the design."""

    def size(self, space: SearchSpace) -> int | None:  # noqa: ARG002
        """How many points there are, or None where they never end.

        A design that ends is walked place by place, whatever numbers its trials have; in one that never ends a trial's
        place is its number.
        """
        return None


class Learner(Sampler):
    """A sampler that learns from the trials so far: one of Optuna's."""

    @abstractmethod
    def build(
        self, space: Distributions, study_seed: int, trial_seed: int, weights: Mapping[int, float]
    ) -> BaseSampler:
        """Optuna's sampler, to choose one point.

        Args:
            space: the study's search space.
            study_seed: the same for every trial of the study, 32 bits.
            trial_seed: of this trial alone, 32 bits; no two trials of a study share it.
            weights: those that `look` gave.
        """

    @abstractmethod
    def look(self, trials: Trials) -> Sight:
        """The trials that this sampler needs to see.

        They are a function of the study's trials and attributes alone, and their number does not grow with the study.
        While the study is short, the sampler chooses what it would choose if it saw all.
        """

    def forgotten(self, system_attrs: Mapping[str, Any]) -> set[str]:  # noqa: ARG002
        """The notes on the study that are of no further use."""
        return set()

    def view(self, trials: Sequence[FrozenTrial], direction: str) -> Sequence[FrozenTrial]:  # noqa: ARG002
        """The trials as this sampler can bear them: most rank values, and take infinite ones."""
        return trials


def is_fixed(parameter: FloatRange | IntRange | Choices) -> bool:
    """Whether a parameter has one value only."""
    if isinstance(parameter, Choices):
        return len(parameter.choices) == 1
    return parameter.low == parameter.high


def at(parameter: FloatRange | IntRange | Choices, u: float) -> ParameterValue:
    """The value of a parameter at u in [0, 1): uniform on its scale when u is.

    A whole number is a real one from low - 0.5 to high + 0.5, rounded: on a linear scale each is as likely.
    """
    match parameter:
        case Choices(choices=choices):
            return choices[int(u * len(choices))]
        case _ if is_fixed(parameter):
            return parameter.low
        case FloatRange(low=low, high=high, scale=scale):
            return min(max(_between(low, high, scale, u), low), high)
        case IntRange(low=low, high=high, scale=scale):
            return min(max(round(_between(low - 0.5, high + 0.5, scale, u)), low), high)


def _between(low: float, high: float, scale: str, u: float) -> float:
    if scale == "log":
        return math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
    return low + u * (high - low)
