"""How losses stand in pictures of a landscape: as they are or by their logarithm, and the marks on such an axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.dashboard.format import number


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
        # Four digits: nobody sees more, and they are most of what is sent.
        return float(f"{loss:.4g}") if self.floor is None else round(math.log10(max(loss, self.floor)), 4)


def extent(heights: Sequence[float], highest: float = math.inf) -> tuple[float, float]:
    """From the lowest to the highest of these, or so high at most, with some air."""
    low, high = min(heights, default=0.0), min(max(heights, default=1.0), highest)
    air = 0.06 * (high - low) or 0.5
    return low - air, high + air


def ticks(height: Height, low: float, high: float) -> dict[str, Any]:
    """A few marks on an axis of logarithms, which Plotly takes for plain numbers; powers of ten where there are two."""
    if height.floor is None:
        return {}
    powers = [float(power) for power in range(math.ceil(low), math.floor(high) + 1)]
    if len(powers) >= 2:
        marks = powers[:: math.ceil(len(powers) / 4)]
    else:
        begin = math.floor(low)
        marks = [begin + math.log10(digit) for digit in (1, 2, 5, 10, 20, 50)]
        marks = [mark for mark in marks if low <= mark <= high]
    if len(marks) < 2:
        marks = [low + share * (high - low) for share in (0.1, 0.5, 0.9)]
    return {"tickvals": marks, "ticktext": [_power(mark) for mark in marks]}


def _power(mark: float) -> str:
    """A loss by its logarithm, short: far from 1 as a power, in the mark-up that Plotly reads."""
    if mark == round(mark) and not -3 < mark < 4:
        return f"10<sup>{number(float(round(mark)))}</sup>"
    return number(float(f"{10**mark:.3g}"))
