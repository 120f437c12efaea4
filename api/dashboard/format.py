"""Numbers, times and durations as people read them."""

import math
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

_NOTHING, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
_WHOLE = 1e9
_FOUR_DIGITS = Context(prec=4, rounding=ROUND_HALF_UP)
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def number(value: Any) -> str:
    """A value of a parameter or metric: four digits that count, whole numbers whole, and what is not finite named.

    A script reads no difference between a whole float and an int, so none is made. Beyond a thousand million whole
    numbers have four digits as others have. Halves are rounded up, as scripts round them.
    """
    if value is None:
        return _NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if abs(value) < _WHOLE and value == int(value):
        return f"{int(value):,}".replace(",", "\u202f").replace("-", _MINUS)
    rounded = _FOUR_DIGITS.create_decimal(value if isinstance(value, int) else Decimal(value)).normalize()
    shown = f"{rounded:f}" if -4 <= rounded.adjusted() < 4 else f"{rounded:e}"
    return shown.replace("+", "").replace("-", _MINUS)


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


def opening(text: str) -> str:
    """Text as it begins a sentence; names within it keep their letters."""
    return text[:1].upper() + text[1:]
