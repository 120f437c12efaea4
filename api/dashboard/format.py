"""Numbers, times and durations as people read them."""

import math
from datetime import UTC, datetime
from typing import Any

_NOTHING, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def number(value: Any) -> str:
    """A value of a parameter or metric: four digits that count, whole numbers whole, and what is not finite named."""
    if value is None:
        return _NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    mantissa, _, exponent = f"{value:.4g}".replace("-", _MINUS).partition("e")
    return mantissa if not exponent else f"{mantissa}e{exponent[0].replace('+', '')}{exponent[1:].lstrip('0')}"


def duration(seconds: float) -> str:
    """A duration in its two largest units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    parts = []
    rest = round(seconds)
    for size, unit in _UNITS:
        if rest >= size:
            parts.append(f"{rest // size} {unit}")
            rest %= size
    if rest:
        parts.append(f"{rest} s")
    return " ".join(parts[:2])


def ago(moment: datetime | None) -> str:
    """How long ago, in its largest unit."""
    if moment is None:
        return _NOTHING
    seconds = (datetime.now(UTC) - moment).total_seconds()
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "s"))
    return f"{max(0, int(seconds // size))} {unit} ago"


def moment(value: datetime | None) -> str:
    """A time, UTC, to the second."""
    return _NOTHING if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def words(code: str | None) -> str:
    """A code as words: ``left_finite_numbers`` reads *left finite numbers*."""
    return "" if code is None else code.replace("_", " ")
