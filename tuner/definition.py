"""What a study is: the definition that a user writes, shared by wire, client and engine.

These models judge the *form* of a definition: types, ranges, names. Whether an objective, a sampler or one of their
settings exists is judged where the registries are (``tuner/service``), which also fills in every default: what is
stored and compared is the resolved definition.

Strict on purpose: ``true`` is no number, ``"1"`` is no number, an unknown field is an error. Non-finite numbers are
refused everywhere here; as *losses* they are data (``tuner/trial.py``).
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tuner.errors import FieldError, InvalidInput
from tuner.trial import ParameterValue, Trial

LARGEST_INTEGER = 2**53 - 1
"""Integers beyond it lose digits in JSON and in a float64, which is what samplers compute in."""

LARGEST_FLOAT = 1e18
"""Bounds of ranges stay below it, so that a range's width and its logarithm are ordinary numbers."""

LARGEST_STEPS = 1_000_000
"""Steps of one trial of a registered objective."""

LARGEST_TEST_STEPS = 10_000
"""Steps of a range test, and points of one that a client submits."""

LARGEST_CLIENT_STEPS = 10**12
"""Steps of one trial of a training client: thousands of asks of a thousand such trials still add up in 64 bits."""

LARGEST_BATCH = 1_000
"""Trials in one ask."""


def without_nul(text: str) -> str:
    """Text that every database can hold: PostgreSQL has no NUL."""
    if "\x00" in text:
        raise PydanticCustomError("nul_byte", "must not contain a NUL character")
    return text


def _not_whole(value: Any) -> Any:
    """Keep a whole number that is out of bounds from being taken for a real one, and losing its last digits."""
    if isinstance(value, int):
        raise PydanticCustomError("whole_number", "Input should be a real number")
    return value


def _about(field: str, message: str) -> PydanticCustomError:
    """An error of a whole model that is about one field of it; ``ctx.field`` carries the name."""
    return PydanticCustomError("value_error", "{message}", {"message": message, "field": field})


STUDY_NAME = r"[a-z0-9][a-z0-9._-]{0,99}"
"""What the name of a study looks like, whole."""

StudyName = Annotated[str, StringConstraints(pattern=f"^{STUDY_NAME}$")]
ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]
MetricName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]
RegisteredName = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(without_nul)]
Text = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(without_nul)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(without_nul)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Bound = Annotated[float, Field(ge=-LARGEST_FLOAT, le=LARGEST_FLOAT)]
IntegerBound = Annotated[int, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
Real = Annotated[float, BeforeValidator(_not_whole)]
Choice = bool | IntegerBound | Real | Annotated[str, StringConstraints(max_length=500), AfterValidator(without_nul)]
Scale = Literal["linear", "log"]


class Strict(BaseModel):
    """The manners of everything that comes in: strict types, no unknown fields, no non-finite numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class FloatRange(Strict):
    """A real parameter. ``low = high`` fixes it. Bounds are values, on either scale."""

    type: Literal["float"]
    low: Bound
    high: Bound
    scale: Scale = "linear"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_range(self.low, self.high, self.scale)
        return self


class IntRange(Strict):
    """A whole-number parameter. ``low = high`` fixes it. Bounds are values, on either scale, and both included."""

    type: Literal["int"]
    low: IntegerBound
    high: IntegerBound
    scale: Scale = "linear"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_range(self.low, self.high, self.scale)
        return self


def log_range(low: float, high: float) -> FloatRange:
    """A real parameter on a log scale."""
    return FloatRange(type="float", low=low, high=high, scale="log")


def _check_range(low: float, high: float, scale: Scale) -> None:
    if low > high:
        raise _about("low", f"must not be greater than high ({low} > {high})")
    if scale == "log" and low <= 0:
        raise _about("low", f"must be greater than 0 on a log scale, is {low}")


class Choices(Strict):
    """A parameter that takes one of a few values. A single choice fixes it."""

    type: Literal["categorical"]
    choices: Annotated[list[Choice], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        # 1, 1.0 and True are equal in Python and would be one choice to a sampler.
        if len(set(self.choices)) < len(self.choices):
            raise _about("choices", "must be distinct")
        return self


Parameter = Annotated[FloatRange | IntRange | Choices, Field(discriminator="type")]
SearchSpace = Annotated[dict[ParameterName, Parameter], Field(min_length=1, max_length=100)]


class RangeTested(Strict):
    """A learning rate whose range a range test finds when the study is created; what is left out is customary."""

    type: Literal["range-test"]
    low: Annotated[float, Field(gt=0, le=LARGEST_FLOAT)] | None = None
    high: Annotated[float, Field(gt=0, le=LARGEST_FLOAT)] | None = None
    steps: Annotated[int, Field(ge=2, le=LARGEST_TEST_STEPS)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise _about("low", f"must be below high ({self.low} >= {self.high})")
        return self


def _spelt_out(value: Any) -> Any:
    return {"type": value} if value == "range-test" else value


_Requested = Annotated[FloatRange | IntRange | Choices | RangeTested, Field(discriminator="type")]
RequestedParameter = Annotated[
    _Requested,
    BeforeValidator(_spelt_out, json_schema_input_type=_Requested | Literal["range-test"]),
]


class AtLeast(Strict):
    """A value that a metric is to rise to."""

    at_least: Bound


Direction = Literal["minimize", "maximize"]

STEPS = "steps"
"""What goals call the number of steps, which no metric of theirs may be called."""

Target = Annotated[dict[MetricName, Bound | AtLeast], Field(min_length=1, max_length=1)]
TradeOff = Annotated[list[MetricName], Field(min_length=2, max_length=2)]


class Goal(Strict):
    """What a study wants. It is about one metric, and may be about steps too.

    ``{"minimize": "loss"}``, ``{"maximize": "accuracy"}``: the metric at a trial's last step.
    ``{"minimize": "steps", "until": {"loss": 0.01}}``: the fewest steps after which the loss is at most 0.01, infinite
    where a trial never gets there; ``{"accuracy": {"at_least": 0.95}}`` for a metric that rises.
    ``{"minimize": ["loss", "steps"]}``, ``{"maximize": "accuracy", "minimize": "steps"}``: the front of a trade-off.
    """

    minimize: MetricName | TradeOff | None = None
    maximize: MetricName | None = None
    until: Target | None = None

    @model_validator(mode="after")
    def _is_one_of_these(self) -> Self:
        if self.until is not None:
            if self.minimize != STEPS or self.maximize is not None:
                raise _about("minimize", f'must be "{STEPS}" alone where until says how far')
            if STEPS in self.until:
                raise _about("until", f"{STEPS} are what is minimised: name a metric")
        elif isinstance(self.minimize, list):
            if self.minimize.count(STEPS) != 1 or self.maximize is not None:
                raise _about("minimize", f'a trade-off is of one metric against "{STEPS}"')
        elif self.maximize is not None and self.minimize not in {None, STEPS}:
            raise _about("minimize", f'give one of minimize and maximize, or minimize "{STEPS}" for a trade-off')
        elif self.minimize is None and self.maximize is None:
            raise _about("minimize", "give minimize or maximize")
        elif self.minimize == self.maximize:
            raise _about("maximize", f"{STEPS} cannot be both")
        return self

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        """With the metric before the steps: the order in which somebody wrote them means nothing."""
        if self.until is not None:
            value: Any = {"at_least": self.target} if self.direction == "maximize" else self.target
            return {"minimize": STEPS, "until": {self.metric: value}}
        if not self.is_trade_off:
            return {self.direction: self.metric}
        if self.direction == "minimize":
            return {"minimize": [self.metric, STEPS]}
        return {"maximize": self.metric, "minimize": STEPS}

    @property
    def metric(self) -> str:
        """The metric that trials report and tell."""
        if self.until is not None:
            return next(iter(self.until))
        if isinstance(self.minimize, list):
            return next(name for name in self.minimize if name != STEPS)
        metric = self.maximize or self.minimize
        assert metric is not None  # noqa: S101 (the validator saw to it)
        return metric

    @property
    def direction(self) -> Direction:
        """Which way that metric is better."""
        if self.until is not None:
            return "maximize" if isinstance(self.until[self.metric], AtLeast) else "minimize"
        return "minimize" if self.maximize is None else "maximize"

    @property
    def target(self) -> float | None:
        """The value that the metric is to reach in the fewest steps; None where that is not the goal."""
        if self.until is None:
            return None
        value = self.until[self.metric]
        return value.at_least if isinstance(value, AtLeast) else value

    @property
    def is_trade_off(self) -> bool:
        """Whether the whole front of the metric against the steps is wanted: then no trial is the best."""
        return self.until is None and (isinstance(self.minimize, list) or None not in {self.minimize, self.maximize})

    @property
    def is_about_steps(self) -> bool:
        """Whether the step at which a value holds is part of what is wanted."""
        return self.is_trade_off or self.until is not None

    @property
    def aims(self) -> tuple[tuple[str, Direction], ...]:
        """What trials are compared by, and which way it is better: one, or two of a trade-off."""
        if self.until is not None:
            return ((STEPS, "minimize"),)
        of_metric = (self.metric, self.direction)
        return (of_metric, (STEPS, "minimize")) if self.is_trade_off else (of_metric,)

    @property
    def words(self) -> str:
        """The goal as a person would say it: ``minimize steps until loss is at most 0.01``."""
        if self.until is not None:
            end = "least" if self.direction == "maximize" else "most"
            return f"minimize {STEPS} until {self.metric} is at {end} {self.target:g}"
        if self.is_trade_off and self.direction == "minimize":
            return f"minimize {self.metric} and {STEPS}"
        return " and ".join(f"{direction} {name}" for name, direction in self.aims)

    @property
    def field(self) -> str:
        """Where in the goal its metric is named."""
        return f"until.{self.metric}" if self.until is not None else self.direction

    def ranks(self, value: float | None) -> float | None:
        """A value of the metric as a key, smaller the better; None where it can't be ranked (missing, non-finite)."""
        if value is None or not math.isfinite(value):
            return None
        return value if self.direction == "minimize" else -value


class ObjectiveChoice(Strict):
    """A registered objective, its settings, and the seed of its start x_0."""

    name: RegisteredName
    settings: dict[str, Any] = {}
    initial_seed: Seed = 0


class SamplerChoice(Strict):
    """How points are chosen: a registered sampler, the seed of all its random numbers, its settings.

    Where none is named, the definition decides: ``trajectory`` where the service itself descends and searches nothing
    but a constant learning rate and the number of steps, ``tpe`` everywhere else.

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
    tags: Annotated[list[Tag], Field(max_length=50)] = []


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
                kept[name] = _fitting(parameter, parameters[name])
            except ValueError as misfit:
                problems.append(FieldError(name, str(misfit)))
        if problems:
            raise InvalidInput(*problems)
        return kept


class StudyRequest(_AnyStudy):
    """A study as somebody asks for it: a definition, but that its learning rate may be left to a range test."""

    search_space: Annotated[dict[ParameterName, RequestedParameter], Field(min_length=1, max_length=100)]

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


def _fitting(parameter: FloatRange | IntRange | Choices, value: Any) -> ParameterValue:
    """The value as the parameter's own.

    Raises:
        ValueError: it is none of its values; the message says why.
    """
    if isinstance(parameter, Choices):
        for choice in parameter.choices:
            # True equals 1, but is another choice; 1.0 for 1 is the same number.
            if value == choice and isinstance(value, bool) == isinstance(choice, bool):
                return choice
        raise ValueError(f"must be one of {parameter.choices}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    if isinstance(parameter, IntRange) and not isinstance(value, int):
        raise ValueError("must be a whole number")
    if not parameter.low <= value <= parameter.high:
        raise ValueError(f"must lie in [{parameter.low}, {parameter.high}]")
    return value if isinstance(parameter, IntRange) else float(value)
