"""Tables of losses as pictures of characters: the darker, the lower; and paths drawn over them."""

import math
import statistics
from collections.abc import Sequence

SHADES = "@%#*+=-:."
"""From the lowest to the highest."""

DIVERGED, UNKNOWN = "!", " "
"""What is not finite, and what nobody has run."""

NEAREST, FARTHEST = 1e-4, 10.0
"""Distances from the best that still look different, as multiples of the median distance: losses span magnitudes."""


def shaded(values: Sequence[Sequence[float | None]], *, rising: bool = False) -> list[list[str]]:
    """A character a value, the better the darker: by the logarithm of its distance from the best one."""
    sign = -1.0 if rising else 1.0
    finite = [sign * value for row in values for value in row if value is not None and math.isfinite(value)]
    best = min(finite, default=0.0)
    # Halves, because a distance itself may be beyond a double.
    usual = statistics.median(value / 2 - best / 2 for value in finite) if finite else 0.0

    def shade(value: float | None) -> str:
        if value is None:
            return UNKNOWN
        if not math.isfinite(value):
            return DIVERGED
        distance = sign * value / 2 - best / 2
        if usual == 0:
            return SHADES[-1 if distance else 0]
        share = min(max(distance / usual, NEAREST), FARTHEST)
        level = math.log(share / NEAREST) / math.log(FARTHEST / NEAREST)
        return SHADES[min(int(level * len(SHADES)), len(SHADES) - 1)]

    return [[shade(value) for value in row] for row in values]


def with_path(
    picture: list[list[str]], axes: Sequence[Sequence[float]], coordinates: Sequence[Sequence[float]], mark: str
) -> None:
    """Put a mark wherever a path comes by; what lies beyond the picture is left out."""
    for point in coordinates:
        places = [_place(axis, at) for axis, at in zip(axes, point, strict=True)]
        if None not in places:
            column, row = places[0], places[1] if len(places) > 1 else 0
            assert column is not None  # noqa: S101 (none is)
            assert row is not None  # noqa: S101
            picture[row][column] = mark


def _place(axis: Sequence[float], at: float) -> int | None:
    share = (at - axis[0]) / (axis[-1] - axis[0])
    return round(share * (len(axis) - 1)) if 0 <= share <= 1 else None


def upright(picture: Sequence[Sequence[str]], left: Sequence[str], below: tuple[str, str]) -> str:
    """The picture with its first row at the bottom, labels of the rows beside it and of both ends below."""
    width = max(map(len, left), default=0)
    lines = [f"{label:>{width}} {''.join(row)}" for label, row in zip(reversed(left), reversed(picture), strict=True)]
    columns = len(picture[0]) if picture else 0
    start, end = below
    lines.append(" " * (width + 1) + start + " " * max(1, columns - len(start) - len(end)) + end)
    return "\n".join(lines)
