"""What a study is: the definition that a user writes, shared by wire, client and engine.

These models judge the *form* of a definition: types, ranges, names. Whether an objective, a sampler or one of their
settings exists is judged where the registries are (``tuner/service``), which also fills in every default: what is
stored and compared is the resolved definition.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from tuner.errors import FieldError, InvalidInput
from tuner.goal import Goal
from tuner.limits import LARGEST_BATCH, LARGEST_FLOAT, LARGEST_INTEGER, LONGEST_NAME, MOST_PARAMETERS, MOST_TAGS
from tuner.space import Choices, RangeTested, RequestedParameter, SearchSpace, fitting, log_range
from tuner.strict import ParameterName, RegisteredName, Seed, Strict, Tag, Text
from tuner.trial import ParameterValue, Trial

STUDY_NAME = rf"[a-z0-9][a-z0-9._-]{{0,{LONGEST_NAME - 1}}}"
"""What the name of a study looks like, whole."""

StudyName = Annotated[str, StringConstraints(pattern=f"^{STUDY_NAME}$")]


class ObjectiveChoice(Strict):
    """A registered objective, its settings, and the seed of its start x_0."""

    name: RegisteredName
    settings: dict[str, Any] = {}
    initial_seed: Seed = 0


class SamplerChoice(Strict):
    """How points are chosen: a registered sampler, the seed of all its random numbers, its settings.

    Where none is named, the definition decides: ``trajectory`` where the service itself descends and searches a
    constant learning rate, the number of steps, and perhaps the update rule and its settings; ``tpe`` everywhere else.

    ``batch_size`` points are chosen at once by the service's own workers. It belongs to the definition because it
    decides what each choice could know of the earlier ones: the same definition gives the same trials.
    """

    name: RegisteredName | None = None
    seed: Seed = 0
    settings: dict[str, Any] = {}
    batch_size: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] | None = None


class PrunerChoice(Strict):
    """Which running trials of an external study are told to stop: a registered pruner and its settings."""

    name: RegisteredName
    settings: dict[str, Any] = {}


class Budget(Strict):
    """What a study may spend; None means no limit. The study completes when the first limit is reached.

    trials: trials started, whatever their end. gradient_evaluations: gradients at one parameter vector; a trial of n
    steps takes n + 1 (the last one gives the loss at step n), so the least that can be run is 2. seconds: wall time
    since the first trial started. parallel_trials: running at once. failed_trials: failures at which the study ends.
    """

    trials: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)] | None = None
    gradient_evaluations: Annotated[int, Field(ge=2, le=LARGEST_INTEGER)] | None = None
    seconds: Annotated[float, Field(gt=0, le=LARGEST_FLOAT)] | None = None
    parallel_trials: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)] | None = None
    failed_trials: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)] | None = None


class _AnyStudy(Strict):
    """What a definition and the request for one have in common.

    ``stop_diverging``: training clients are told to stop a trial whose loss diverges. It has no effect on runs of the
    service itself, which end where they leave the finite numbers.
    """

    name: StudyName
    objective: ObjectiveChoice | None = None
    search_space: Any
    goal: Goal = Goal(minimize="loss")
    sampler: SamplerChoice = SamplerChoice()
    pruner: PrunerChoice | None = None
    stop_diverging: bool = True
    budget: Budget = Budget(trials=100)
    notes: Text = ""
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS)] = []


class StudyDefinition(_AnyStudy):
    """A study, whole. Without an objective it is an external one: training clients run its trials."""

    search_space: SearchSpace

    @property
    def fixed_parameters(self) -> dict[str, ParameterValue]:
        """The parameters that have one value only, with it."""
        fixed: dict[str, ParameterValue] = {}
        for name, parameter in self.search_space.items():
            if isinstance(parameter, Choices):
                if len(parameter.choices) == 1:
                    fixed[name] = parameter.choices[0]
            elif parameter.low == parameter.high:
                fixed[name] = parameter.low
        return fixed

    def with_learning_rate(self, low: float, high: float) -> Self:
        """The same study over another range of learning rates."""
        return self.model_copy(update={"search_space": {**self.search_space, "learning_rate": log_range(low, high)}})

    def point(self, parameters: Mapping[str, Any]) -> dict[str, ParameterValue]:
        """A chosen point as this study keeps it: in the order of the search space, numbers of the range's own type.

        Raises:
            InvalidInput: names each parameter that is missing, unknown, of a wrong type or out of range.
        """
        problems = [FieldError(name, "is not in the search space") for name in parameters.keys() - self.search_space]
        kept: dict[str, ParameterValue] = {}
        for name, parameter in self.search_space.items():
            if name not in parameters:
                problems.append(FieldError(name, "is missing"))
                continue
            try:
                kept[name] = fitting(parameter, parameters[name])
            except ValueError as misfit:
                problems.append(FieldError(name, str(misfit)))
        if problems:
            raise InvalidInput(*problems)
        return kept


class StudyRequest(_AnyStudy):
    """A study as somebody asks for it: a definition, but that its learning rate may be left to a range test."""

    search_space: Annotated[dict[ParameterName, RequestedParameter], Field(min_length=1, max_length=MOST_PARAMETERS)]

    @property
    def tested(self) -> RangeTested | None:
        """The range test that is to find the learning rate, if any is.

        Raises:
            InvalidInput: another parameter is left to one.
        """
        tested = {name: one for name, one in self.search_space.items() if isinstance(one, RangeTested)}
        problems = [
            FieldError(f"search_space.{name}", "only learning_rate can be left to a range test")
            for name in tested.keys() - {"learning_rate"}
        ]
        if problems:
            raise InvalidInput(*problems)
        return tested.get("learning_rate")

    @property
    def definition(self) -> StudyDefinition:
        """The definition that it is, where nothing is left to a range test."""
        return self._with(self.search_space)

    def with_learning_rate(self, low: float, high: float) -> StudyDefinition:
        """The definition with this range in place of the range test."""
        return self._with({**self.search_space, "learning_rate": log_range(low, high)})

    def _with(self, search_space: Mapping[str, Any]) -> StudyDefinition:
        # Every part of it is validated already.
        return StudyDefinition.model_construct(**{**dict(self), "search_space": dict(search_space)})


class Spent(BaseModel):
    """What a study has spent, in the units of its budget. ``seconds`` runs from the first trial to the end."""

    model_config = ConfigDict(frozen=True)

    trials: int
    gradient_evaluations: int
    seconds: float
    failed_trials: int


class Study(BaseModel):
    """A study as it is read: its definition, where it stands, its best trial.

    ``definition`` is null for a study that an Optuna program made: it is shown, read-only. ``address`` names the study
    in URLs: its name, or ``~{id}`` where an Optuna program chose one that does not fit. ``trials`` counts by state.
    ``best`` passes over values that are not finite.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    address: str
    state: str
    state_reason: str | None
    definition: StudyDefinition | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    trials: dict[str, int]
    spent: Spent
    best: Trial | None
