"""A loss curve as a drawing: pure geometry, which `verdicts` writes as SVG.

The y axis is logarithmic where every value is positive: losses span magnitudes. Points that are not finite are left
out of the line; where the first one stands is said in words.
"""

import itertools
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from api.dashboard.format import number
from tuner.trial import Curve

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 72, 12, 12, 36

_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, in the drawing's coordinates."""

    position: float
    label: str


@dataclass(frozen=True)
class Line:
    """One metric: the SVG path of its finite points."""

    metric: str
    path: str


@dataclass(frozen=True)
class Chart:
    """Lines on common axes."""

    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    logarithmic: bool
    left_at: int | None
    """The first step at which some metric was not finite."""

    width, height = WIDTH, HEIGHT
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM


def draw(curves: Mapping[str, Curve]) -> Chart | None:
    """The curves as one chart; None where there is no finite point to draw."""
    points = {
        metric: [(step, value) for step, value in zip(curve.steps, curve.values, strict=True) if math.isfinite(value)]
        for metric, curve in curves.items()
    }
    drawn = list(itertools.chain.from_iterable(points.values()))
    if not drawn:
        return None
    logarithmic = all(value > 0 for _, value in drawn)
    x_low, x_high = min(step for step, _ in drawn), max(step for step, _ in drawn)
    scaled = [math.log10(value) if logarithmic else value for _, value in drawn]
    y_low, y_high = _padded(min(scaled), max(scaled))

    def x(step: float) -> float:
        return LEFT + (step - x_low) / max(1, x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def y(height: float) -> float:
        # Halves, because the range itself may be beyond a double.
        share = (height / 2 - y_low / 2) / (y_high / 2 - y_low / 2)
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)

    lines = [
        Line(
            metric,
            "M" + " L".join(f"{x(s):.1f},{y(math.log10(v) if logarithmic else v):.1f}" for s, v in found),
        )
        for metric, found in points.items()
        if found
    ]
    unfinished = [
        step
        for curve in curves.values()
        for step, value in zip(curve.steps, curve.values, strict=True)
        if not math.isfinite(value)
    ]
    return Chart(
        lines=lines,
        x_ticks=[Tick(x(step), number(step)) for step in sorted({x_low, (x_low + x_high) // 2, x_high})],
        y_ticks=[
            Tick(y(height), number(10.0 ** min(height, 308) if logarithmic else height))
            for height in _heights(y_low, y_high, logarithmic)
        ],
        logarithmic=logarithmic,
        left_at=min(unfinished, default=None),
    )


def _padded(low: float, high: float) -> tuple[float, float]:
    """A range with some air; never empty, and never beyond a double."""
    air = max(0.5, abs(low) * 0.1) if low == high else 0.08 * (high / 2 - low / 2)
    return max(low - air, -_LARGEST), min(high + air, _LARGEST)


def _heights(low: float, high: float, logarithmic: bool) -> list[float]:
    """Where to mark the y axis: at powers of ten where there are two at least."""
    if logarithmic and math.floor(high) > math.ceil(low):
        first, last = math.ceil(low), math.floor(high)
        return [float(power) for power in range(first, last + 1, math.ceil((last - first + 1) / 6))]
    return [low * (1 - share) + high * share for share in (0.1, 0.35, 0.6, 0.85)]
