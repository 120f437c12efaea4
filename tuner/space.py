"""What a study searches: parameters and their ranges, and what of them a chosen point must be."""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from tuner.limits import LARGEST_FLOAT, LARGEST_TEST_STEPS, MOST_CHOICES, MOST_PARAMETERS
from tuner.strict import Bound, Choice, IntegerBound, ParameterName, Strict, about
from tuner.trial import ParameterValue

Scale = Literal["linear", "log"]

_Range = TypeVar("_Range", "FloatRange", "IntRange")


def _in_order(parameter: _Range) -> _Range:
    low, high = parameter.low, parameter.high
    if low > high:
        raise about("low", f"must not be greater than high ({low} > {high})")
    if parameter.scale == "log" and low <= 0:
        raise about("low", f"must be greater than 0 on a log scale, is {low}")
    return parameter


class FloatRange(Strict):
    """A real parameter. ``low = high`` fixes it. Bounds are values, on either scale."""

    type: Literal["float"]
    low: Bound
    high: Bound
    scale: Scale = "linear"

    _ordered = model_validator(mode="after")(_in_order)


class IntRange(Strict):
    """A whole-number parameter. ``low = high`` fixes it. Bounds are values, on either scale, and both included."""

    type: Literal["int"]
    low: IntegerBound
    high: IntegerBound
    scale: Scale = "linear"

    _ordered = model_validator(mode="after")(_in_order)


def log_range(low: float, high: float) -> FloatRange:
    """A real parameter on a log scale."""
    return FloatRange(type="float", low=low, high=high, scale="log")


class Choices(Strict):
    """A parameter that takes one of a few values. A single choice fixes it."""

    type: Literal["categorical"]
    choices: Annotated[list[Choice], Field(min_length=1, max_length=MOST_CHOICES)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        # 1, 1.0 and True are equal in Python and would be one choice to a sampler.
        if len(set(self.choices)) < len(self.choices):
            raise about("choices", "must be distinct")
        return self


Parameter = Annotated[FloatRange | IntRange | Choices, Field(discriminator="type")]
SearchSpace = Annotated[dict[ParameterName, Parameter], Field(min_length=1, max_length=MOST_PARAMETERS)]


class RangeTested(Strict):
    """A learning rate whose range a range test finds when the study is created; what is left out is customary."""

    type: Literal["range-test"]
    low: Annotated[float, Field(gt=0, le=LARGEST_FLOAT)] | None = None
    high: Annotated[float, Field(gt=0, le=LARGEST_FLOAT)] | None = None
    steps: Annotated[int, Field(ge=2, le=LARGEST_TEST_STEPS)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise about("low", f"must be below high ({self.low} >= {self.high})")
        return self


def _spelt_out(value: Any) -> Any:
    # Any other word is no type either, and the error then says which there are.
    return {"type": value} if isinstance(value, str) else value


_Requested = Annotated[FloatRange | IntRange | Choices | RangeTested, Field(discriminator="type")]
RequestedParameter = Annotated[
    _Requested,
    BeforeValidator(_spelt_out, json_schema_input_type=_Requested | Literal["range-test"]),
]


def fitting(parameter: FloatRange | IntRange | Choices, value: Any) -> ParameterValue:
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
