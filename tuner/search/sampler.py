"""What a sampler is: its settings, and one of three ways to choose points.

A *design* lays its points out beforehand: a point depends on the study's seed and its place alone. A *learner* looks at
the trials so far. A *planner* follows rates, step by step, and decides on the way which go on; where others train, it
proposes rates to them, and says which are hopeless.
Each is a pydantic model whose fields are the user's settings.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from optuna.trial import FrozenTrial

from tuner.definition import StudyDefinition
from tuner.goal import Goal
from tuner.search.sight import Sight, Trials
from tuner.search.trajectory.requests import Plan, Task
from tuner.search.trajectory.trained import Trained
from tuner.space import Choices, FloatRange, IntRange, SearchSpace
from tuner.storage.columns import Columns
from tuner.strict import Strict
from tuner.trial import ParameterValue

Point = dict[str, ParameterValue]
"""A value for every parameter of a search space, in its order."""


@dataclass(frozen=True)
class History:
    """What a sampler may know of the study.

    trials: complete, pruned and running ones, ascending by number: those that the sampler looks at (`look`). Failed,
    excluded and waiting ones are left out. columns: the same, where the sampler looked at columns instead.
    system_attrs: the study's, where samplers keep their state. Read and write them in one transaction: a grid's
    place is there.
    weights: how many trials each of them stands for, (trials,); None: itself alone.
    trained: what a planner knows, in place of ``trials``, of a study whose rates clients train.
    """

    trials: Sequence[FrozenTrial]
    system_attrs: Mapping[str, Any]
    columns: Columns | None = None
    weights: np.ndarray | None = None
    trained: Sequence[Trained] = ()


@dataclass(frozen=True)
class Suggestion:
    """A point, in the order of the search space, and the sampler's state to store with its trial."""

    parameters: dict[str, ParameterValue]
    system_attrs: dict[str, Any]


@dataclass(frozen=True)
class Suggestions:
    """A batch of points.

    trials: one per number, fewer where a grid ended. system_attrs: those of the study that changed.
    exhausted: nothing further will ever be suggested. forgotten: the study's attributes that are of no further use.
    """

    trials: list[Suggestion]
    system_attrs: dict[str, Any]
    exhausted: bool
    forgotten: frozenset[str] = frozenset()

    def applied_to(self, system_attrs: Mapping[str, Any]) -> dict[str, Any]:
        """The study's attributes from now on."""
        return {
            name: value for name, value in {**system_attrs, **self.system_attrs}.items() if name not in self.forgotten
        }


class Sampler(Strict, ABC):
    """A sampler and its settings. The class docstring's first line is what a user reads about it."""

    extra: ClassVar[str | None] = None
    """The extra that brings what it needs beyond Tuner's own dependencies."""

    package: ClassVar[str | None] = None
    """The package by which to tell whether the extra is installed."""

    trades_off: ClassVar[bool] = True
    """Whether it can search for a front, where two values make a trial better or worse."""

    def check(self, space: SearchSpace) -> None:
        """Refuse a search space that this sampler cannot search.

        Raises:
            InvalidInput: the field is relative to the sampler: ``name`` or ``settings.points``.
        """

    def check_goal(self, goal: Goal, space: SearchSpace) -> None:
        """Refuse a goal that this sampler cannot search for in that space.

        Raises:
            InvalidInput: the field is relative to the sampler: ``name``.
        """

    @abstractmethod
    def default_batch_size(self, space: SearchSpace) -> int | None:
        """Points to choose at once where the user does not say; None where that is none of the user's business."""


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
    """A sampler that learns from the trials so far."""

    @abstractmethod
    def look(self, trials: Trials) -> Sight:
        """The trials that this sampler needs to see.

        They are a function of the study's trials and attributes alone, and their number does not grow with the study.
        While the study is short, the sampler chooses what it would choose if it saw all.
        """

    @abstractmethod
    def choose(self, definition: StudyDefinition, history: History, numbers: Sequence[int]) -> Suggestions:
        """Points for trials of these numbers. Each later one sees the earlier ones as running."""


class Planner(Sampler):
    """A sampler that plans whole descents: a rate is one trial, followed for as long as the plan says."""

    @abstractmethod
    def plan(self, task: Task) -> Plan:
        """The requests of a search, a function of the task and of the answers alone."""

    @abstractmethod
    def propose(self, task: Task, trained: Sequence[Trained], count: int) -> list[tuple[float, int]]:
        """Rates for clients to train, each with its steps, a function of what is known alone.

        Each later one sees the earlier ones as running.
        """

    @abstractmethod
    def hopeless(self, task: Task, trained: Sequence[Trained], number: int) -> str | None:
        """Why the trial of that number, which a client trains, is not worth going on with; None where it is."""

    def default_batch_size(self, space: SearchSpace) -> None:  # noqa: ARG002
        """A plan says itself how many rates run at once."""
        return


def is_fixed(parameter: FloatRange | IntRange | Choices) -> bool:
    """Whether a parameter has one value only."""
    if isinstance(parameter, Choices):
        return len(parameter.choices) == 1
    return parameter.low == parameter.high


def along(parameter: FloatRange | IntRange | Choices) -> Callable[[float], ParameterValue]:
    """What gives a parameter's value at u in [0, 1): uniform on its scale when u is.

    A whole number is a real one from low - 0.5 to high + 0.5, rounded: on a linear scale each is as likely.
    """
    match parameter:
        case Choices(choices=choices):
            return lambda u: choices[int(u * len(choices))]
        case _ if is_fixed(parameter):
            only = parameter.low
            return lambda _: only
        case FloatRange(low=low, high=high, scale=scale):
            real = _between(low, high, scale)
            return lambda u: min(max(real(u), low), high)
        case IntRange(low=first, high=last, scale=scale):
            unrounded = _between(first - 0.5, last + 0.5, scale)
            return lambda u: min(max(round(unrounded(u)), first), last)


def _between(low: float, high: float, scale: str) -> Callable[[float], float]:
    if scale == "log":
        start, width = math.log(low), math.log(high) - math.log(low)
        return lambda u: math.exp(start + u * width)
    return lambda u: low + u * (high - low)


def plain(space: SearchSpace, parameters: Mapping[str, Any]) -> Point:
    """The parameters in the order of the search space, as the types of the definition: samplers leave NumPy's."""
    point: Point = {}
    for name, parameter in space.items():
        match parameter:
            case FloatRange():
                point[name] = float(parameters[name])
            case IntRange():
                point[name] = int(parameters[name])
            case Choices():
                point[name] = parameters[name]
    return point
