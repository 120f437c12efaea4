"""Divergence: whether a loss grows geometrically, since when, and how much a step.

A rise of the loss is no divergence. Noise rises, momentum overshoots and comes back, Adam's first steps may land far
out. What diverges lands farther out with every step, by the same factor: then the rise doubles again and again, and the
latest losses are many times as high as all that came before. A rise like the square or the cube of the steps is not.
"""

import math

from tuner.analysis.verdict.names import Floats

OUTGROWN = 10.0
"""How many times as high above the lowest loss all of a rise's last fifth lies as its first half ever did, and the last
loss as the first."""

FEWEST = 6
"""Points of a rise."""


def growth(steps: Floats, losses: Floats, *, ended: bool) -> dict[str, float] | None:
    """Since which step, and by which factor a step, finite losses grow geometrically; None where they do not.

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
    per_step = math.exp(min(700.0, math.log(high / low) / float(at[-1] - at[middle])))
    return {"since_step": float(at[0]), "growth_per_step": per_step}
