"""The manners of everything that comes in: strict models, bounded numbers, names and texts that every database holds.

Strict on purpose: ``true`` is no number, ``"1"`` is no number, an unknown field is an error. Non-finite numbers are
refused everywhere here; as *losses* they are data (``tuner/trial.py``).
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

LARGEST_INTEGER = 2**53 - 1
"""Integers beyond it lose digits in JSON and in a float64, which is what samplers compute in."""

LARGEST_FLOAT = 1e18
"""Bounds of ranges stay below it, so that a range's width and its logarithm are ordinary numbers."""


def without_nul(text: str) -> str:
    """Text that every database can hold: PostgreSQL has no NUL."""
    if "\x00" in text:
        raise PydanticCustomError("nul_byte", "must not contain a NUL character")
    return text


def not_whole(value: Any) -> Any:
    """Keep a whole number that is out of bounds from being taken for a real one, and losing its last digits."""
    if isinstance(value, int):
        raise PydanticCustomError("whole_number", "Input should be a real number")
    return value


def about(field: str, message: str) -> PydanticCustomError:
    """An error of a whole model that is about one field of it; ``ctx.field`` carries the name."""
    return PydanticCustomError("value_error", "{message}", {"message": message, "field": field})


ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]
MetricName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]
RegisteredName = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(without_nul)]
Text = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(without_nul)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(without_nul)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Bound = Annotated[float, Field(ge=-LARGEST_FLOAT, le=LARGEST_FLOAT)]
IntegerBound = Annotated[int, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
Real = Annotated[float, BeforeValidator(not_whole)]
Choice = bool | IntegerBound | Real | Annotated[str, StringConstraints(max_length=500), AfterValidator(without_nul)]


class Strict(BaseModel):
    """The manners of everything that comes in: strict types, no unknown fields, no non-finite numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
