"""The best so far as a small line in a list of studies: where it stands, and whether it still moves."""

import math
from collections.abc import Sequence

MOST_POINTS = 40

_AIR = 2.0
"""Pixels above and below, so that the line's width is not cut off."""


def sparkline(
    improvements: Sequence[tuple[int, float]], trials: int, *, width: float = 120.0, height: float = 28.0
) -> str | None:
    """The ``d`` of an SVG path, in a box of this size; None where there is nothing to draw.

    Trials run across on a log scale, since improvements grow rarer; the value too, where it is positive and spans more
    than a decade.

    Args:
        improvements: trials that were better than all before them, by number, and their finite values.
        trials: how many there are: the last of them is at the right edge.
        width: of the box, in pixels.
        height: of the box, in pixels.
    """
    if not improvements:
        return None
    shown = list(improvements)
    if len(shown) > MOST_POINTS:
        last = len(shown) - 1
        shown = [shown[round(place * last / (MOST_POINTS - 1))] for place in range(MOST_POINTS)]
    values = [value for _, value in shown]
    low, high = min(values), max(values)
    if low > 0 and high / 10 > low:
        values = [math.log10(value) for value in values]
        low, high = min(values), max(values)
    end = math.log(max(trials, shown[-1][0] + 1) + 1)

    def x(number: int) -> float:
        return width * math.log(number + 1) / end

    def y(value: float) -> float:
        # Halves, because the range itself may be beyond a double.
        share = 0.5 if high == low else (value / 2 - low / 2) / (high / 2 - low / 2)
        return _AIR + (1 - share) * (height - 2 * _AIR)

    path = f"M{x(shown[0][0]):.1f},{y(values[0]):.1f}"
    for (number, _), value in zip(shown[1:], values[1:], strict=True):
        path += f"H{x(number):.1f}V{y(value):.1f}"
    return f"{path}H{width:.1f}"
