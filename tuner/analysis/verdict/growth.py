"""Divergence: whether a loss grows geometrically, since when, and how much a step.

A rise of the loss is no divergence. Noise rises, momentum overshoots and comes back, Adam's first steps may land far
out. What diverges lands farther out with every step, by the same factor: then the rise doubles again and again, and the
latest losses are many times as high as all that came before. A rise like the square or the cube of the steps is not.
"""

import math
from collections.abc import Mapping

from tuner.analysis.verdict.names import Floats

OUTGROWN = 10.0
"""How many times as high above the lowest loss all of a rise's last fifth lies as its first half ever did, and the last
loss as the first."""

FEWEST = 6
"""Points of a rise."""

STEADY = 1.1
"""Up to which power of its factor before that of a rise's second half is still the same. Where a rise begins its factor
is larger, never smaller, for the loss goes on falling elsewhere."""


def growth(steps: Floats, losses: Floats, *, ended: bool) -> dict[str, float] | None:
    """Since which step, and by which factor a step, finite losses grow geometrically; None where they do not.

    ``growth_before``: the factor in the second quarter of the rise, ``growth_per_step`` that in its second half.

    ``ended``: a loss that is not finite came next. Then nothing is left to prove, and the last rise is taken as it is.
    """
    if losses.size < 3:
        return None
    lowest = int(losses.argmin())
    rise, at = losses[lowest:] - losses[lowest], steps[lowest:]
    if rise.size < (3 if ended else FEWEST):
        return None
    if not ended:
        latest = float(rise[-max(2, rise.size // 5) :].min())
        before, start = float(rise[: rise.size // 2].max()), float(losses[0] - losses[lowest])
        if latest <= OUTGROWN * before or rise[-1] <= OUTGROWN * start:
            return None
    middle = rise.size // 2
    low, high = float(rise[middle]), float(rise[-1])
    if not 0 < low < high:
        return None
    found = {"since_step": float(at[0]), "growth_per_step": _factor(low, high, float(at[-1] - at[middle]))}
    quarter = middle // 2
    if 0 < rise[quarter] < low:
        found["growth_before"] = _factor(float(rise[quarter]), low, float(at[middle] - at[quarter]))
    return found


def is_steady(evidence: Mapping[str, float]) -> bool:
    """Whether a rise grew by one factor, as that of a quadratic does.

    Where the curvature grows with the distance each step's factor is larger than the last one's: it tells how sharp the
    loss is out there, and nothing of where the run began.
    """
    before = evidence.get("growth_before")
    return before is not None and evidence["growth_per_step"] <= before**STEADY


def _factor(low: float, high: float, steps: float) -> float:
    return math.exp(min(700.0, math.log(high / low) / steps))
