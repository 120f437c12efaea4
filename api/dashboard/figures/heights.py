"""How losses stand in pictures of a landscape: as they are or by their logarithm, and the marks on such an axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.dashboard.format import number

PLAIN = 4
"""Powers of ten up to which, and down to whose inverse, losses are written as plain numbers."""


@dataclass(frozen=True)
class Height:
    """How a loss is drawn: by its logarithm where every loss is positive, as losses span magnitudes."""

    floor: float | None
    """Losses of 0 are drawn at this; None: losses are drawn as they are."""

    @classmethod
    def of(cls, losses: Sequence[float]) -> "Height":
        """The one in which all these losses are drawn."""
        finite = [loss for loss in losses if math.isfinite(loss)]
        positive = [loss for loss in finite if loss > 0]
        return cls(min(positive) if positive and min(finite) >= 0 else None)

    def exactly(self, loss: float) -> float | None:
        """The height, None where the logarithm has none."""
        return loss if self.floor is None else math.log10(loss) if loss > 0 else None

    def __call__(self, loss: float) -> float | None:
        """The height, None of what is not finite."""
        if not math.isfinite(loss):
            return None
        # Nobody sees more digits, even of losses that hardly differ, and they are most of what is sent.
        return float(f"{loss:.6g}") if self.floor is None else round(math.log10(max(loss, self.floor)), 6)


def extent(heights: Sequence[float], highest: float = math.inf) -> tuple[float, float]:
    """From the lowest to the highest of these, or so high at most, with some air."""
    low, high = min(heights, default=0.0), min(max(heights, default=1.0), highest)
    air = 0.06 * (high - low) or 0.5
    return low - air, high + air


def ticks(height: Height, low: float, high: float, *, most: int = 4) -> dict[str, Any]:
    """A few round losses on an axis of logarithms, which Plotly takes for plain numbers.

    Up to ``most`` powers of ten where there are two; else what begins with 1, 2 and 5 where there are three; else equal
    steps.
    """
    if height.floor is None:
        return {}
    powers = list(range(math.ceil(low), math.floor(high) + 1))
    if len(powers) >= 2:
        marks = [float(power) for power in powers[:: math.ceil(len(powers) / most)]]
        # All alike: as numbers, or, far from 1, as powers, in the mark-up that Plotly reads.
        plain = marks[0] >= -PLAIN and marks[-1] <= PLAIN
        texts = [number(10**mark) if plain or mark == 0 else f"10<sup>{number(mark)}</sup>" for mark in marks]
        return {"tickvals": marks, "ticktext": texts}
    begin = math.floor(low)
    losses = [digit * 10.0**begin for digit in (1, 2, 5, 10, 20, 50) if low <= begin + math.log10(digit) <= high]
    if len(losses) >= 3:
        return {"tickvals": [math.log10(loss) for loss in losses], "ticktext": [number(loss) for loss in losses]}
    losses = _steps(10.0**low, 10.0**high)
    return {"tickvals": [math.log10(loss) for loss in losses], "ticktext": [f"{loss:g}" for loss in losses]}


def _steps(low: float, high: float) -> list[float]:
    """Between two numbers, the multiples of the smallest of 1, 2, 5, 10, ... of which there are few: two to five."""
    power = 10.0 ** math.floor(math.log10((high - low) / 10))
    for step in (times * power for times in (1, 2, 5, 10, 20, 50)):
        counts = range(math.ceil(low / step), math.floor(high / step) + 1)
        if len(counts) <= 5:
            return [float(f"{count * step:.12g}") for count in counts]
    raise AssertionError("of steps of half the way there are three at most")
