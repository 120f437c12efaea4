"""The manners of everything that comes in: strict models, bounded numbers, names and texts that every database holds.

Strict on purpose: ``true`` is no number, ``"1"`` is no number, an unknown field is an error. Non-finite numbers are
refused everywhere here; as *losses* they are data (``tuner/trial.py``).
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from tuner.limits import LARGEST_FLOAT, LARGEST_INTEGER, LONGEST_CHOICE, LONGEST_NAME, LONGEST_NOTES, LONGEST_TAG


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


_NAME = rf"^[A-Za-z_][A-Za-z0-9_.-]{{0,{LONGEST_NAME - 1}}}$"

ParameterName = Annotated[str, StringConstraints(pattern=_NAME)]
MetricName = Annotated[str, StringConstraints(pattern=_NAME)]
RegisteredName = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME), AfterValidator(without_nul)]
Text = Annotated[str, StringConstraints(max_length=LONGEST_NOTES), AfterValidator(without_nul)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TAG), AfterValidator(without_nul)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Bound = Annotated[float, Field(ge=-LARGEST_FLOAT, le=LARGEST_FLOAT)]
IntegerBound = Annotated[int, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
Real = Annotated[float, BeforeValidator(not_whole)]
_Word = Annotated[str, StringConstraints(max_length=LONGEST_CHOICE), AfterValidator(without_nul)]
Choice = bool | IntegerBound | Real | _Word


class Strict(BaseModel):
    """The manners of everything that comes in: strict types, no unknown fields, no non-finite numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
