"""Metrics as a training program has them, as floats, and as JSON can hold them."""

import math
import re
from collections.abc import Mapping
from operator import index
from typing import Any

from tuner.errors import InvalidInput

LARGEST_STEP = 10**12

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
"""What a metric may be called."""


def as_step(step: Any) -> int:
    """A step; a whole number of another library is asked for its number.

    Raises:
        InvalidInput: at ``steps``; it is none.
    """
    try:
        number = index(step)
    except TypeError:
        raise InvalidInput.at("steps", f"must be a whole number, is {step!r}") from None
    if not 0 <= number <= LARGEST_STEP:
        raise InvalidInput.at("steps", f"must lie in [0, {LARGEST_STEP}], is {number}")
    return number


def as_float(value: Any) -> float:
    """A metric's value; a scalar of NumPy, PyTorch or TensorFlow is asked for its number.

    Raises:
        TypeError, ValueError: it is no number.
    """
    if isinstance(value, str | bytes | bool | None):
        raise TypeError(f"is {value!r}, no number")
    return float(value)


def encoded(value: float) -> float | str:
    """A float as JSON can hold it."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as floats.

    Raises:
        InvalidInput: at ``values.<metric>``; it is no number.
    """
    try:
        return {name: value if type(value) is float else as_float(value) for name, value in metrics.items()}
    except (TypeError, ValueError):
        for name, value in metrics.items():
            try:
                as_float(value)
            except (TypeError, ValueError) as error:
                raise InvalidInput.at(f"values.{name}", str(error)) from None
        raise
