"""One colour, sign and word for each verdict, the same on every page and in every chart.

The colours are those of Okabe and Ito (2008), which people with any colour vision tell apart, darkened for light paper
and lightened for dark; the style sheet has both. The sign says the same without colour: a character on pages, Plotly's
symbol of the same shape in charts.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Sign:
    """How a verdict looks. ``name``: of the style sheet's class and colour."""

    words: str
    glyph: str
    symbol: str
    name: str

    @property
    def color(self) -> str:
        """The colour, as a custom property of the style sheet."""
        return f"var(--{self.name})"


VERDICTS: Mapping[str, Sign] = {
    "converged": Sign("converged", "●", "circle", "verdict-converged"),
    "improving": Sign("improving", "▼", "triangle-down", "verdict-improving"),
    "too_slow": Sign("too slow", "■", "square", "verdict-too-slow"),
    "plateaued": Sign("plateaued", "◆", "diamond", "verdict-plateaued"),
    "oscillating": Sign("oscillating", "✚", "cross", "verdict-oscillating"),
    "diverged": Sign("diverged", "▲", "triangle-up", "verdict-diverged"),
    "overfitting": Sign("overfitting", "★", "star", "verdict-overfitting"),
    "too_short_to_tell": Sign("too short to tell", "○", "circle-open", "verdict-too-short"),
}

UNJUDGED = Sign("no verdict", "·", "circle-open-dot", "faint")
"""What has no curve, or is not judged yet."""

OVERSHOOTS = Sign("overshoots", "✚", "cross", "verdict-oscillating")
"""Of a descent whose way is known: it jumps from side to side, if its loss falls smoothly. No verdict on a curve."""


def sign(verdict: str | None) -> Sign:
    """The sign of a verdict's code."""
    return UNJUDGED if verdict is None else VERDICTS[verdict]
