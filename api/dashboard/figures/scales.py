"""Where values stand: the scale they are read on, which of them are off it, and the rail that those stand on.

A diverged run's loss says that it diverged, and no more; drawn to scale it would press all others into a line. So such
runs stand on a rail of their own at the bad end of the chart.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.dashboard.format import words
from tuner.service.points import StudyPoints, spans_decades

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_DECADES, MOST_DECADES = 2.0, 6.0
"""How far above the middle of all values one may lie and still be on the scale, in powers of ten."""

MOST_CHANGED = 2000
"""Trials beyond which what has changed is told as a whole figure."""

DIGITS = 6
"""That count: more than a screen shows."""


def off_scale(values: Floats, diverged: Mask, *, rising: bool = False) -> Mask:
    """Which values (n,) stand on the rail: those not finite, those of diverged runs, those far worse than most."""
    off: Mask = ~np.isfinite(values) | diverged
    on = values[~off]
    if not on.size:
        return off
    if on.min() > 0 and not rising:
        heights = np.log10(on)
        low, middle = np.quantile(heights, [0.1, 0.5])
        top = middle + np.clip(2 * (middle - low), LEAST_DECADES, MOST_DECADES)
        with np.errstate(divide="ignore", invalid="ignore"):
            off |= np.log10(values) > top
        return off
    ranked = -values if rising else values
    low, middle = np.quantile(-on if rising else on, [0.1, 0.5])
    # A hundred times as far as the middle is from the best: no jump of a working run is so large.
    reach = max(middle - low, abs(middle) / 100, np.finfo(float).tiny) * 100
    off |= ranked > middle + reach
    return off


def escaped(text: str) -> str:
    """A name as Plotly shows it: its texts take some HTML, and names are none."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")


def axis(title: str, *, logarithmic: bool) -> dict[str, Any]:
    """An axis in Plotly's terms."""
    return {"title": {"text": title}, "type": "log" if logarithmic else "linear"}


def value_axes(title: str, values: Floats, *, rail: str | None, rising: bool = False) -> dict[str, Any]:
    """The axis of what is good or bad, and, where there is a ``rail``, that of the rail at its bad end."""
    logarithmic = spans_decades(values)
    found = {"yaxis": axis(title, logarithmic=logarithmic)}
    if not values.size:
        found["yaxis"]["showticklabels"] = False
    if rail is not None:
        found["yaxis"]["domain"] = [0.12, 1] if rising else [0, 0.88]
        found["yaxis2"] = {
            "domain": [0, 0.06] if rising else [0.94, 1],
            "range": [-1, 1],
            "fixedrange": True,
            "tickvals": [0],
            "ticktext": [rail],
            "showgrid": False,
            "zeroline": True,
        }
    return found


def rail_of(study: StudyPoints, off: Mask) -> str | None:
    """What the rail is called; None where nothing stands on it."""
    if not off.any():
        return None
    if study.target is not None:
        return "never"
    verdicts = study.points.verdict[off] if len(off) == len(study.points) else np.array([])
    return "diverged" if len(verdicts) and bool((verdicts == "diverged").all()) else "off scale"


def title_of(study: StudyPoints) -> str:
    """What a trial's value is, with its meaning."""
    if study.target is not None:
        end = "≥" if study.direction == "maximize" else "≤"
        return f"steps until {escaped(words(study.metric))} {end} {study.target:g}"
    return f"{escaped(words(study.metric))} after the trial's steps"


def short(values: Floats) -> list[float | None]:
    """Numbers for the wire, to the digits that can be seen; None for what is not finite."""
    found = np.asarray(values, dtype=np.float64)
    sound = np.isfinite(found)
    magnitude = np.zeros(found.shape)
    np.log10(np.abs(found), where=sound & (found != 0), out=magnitude)
    decimals = DIGITS - 1 - np.floor(magnitude)
    # Beyond these powers of ten are no exact doubles, and no losses that anybody reads.
    scaled = sound & (np.abs(decimals) <= 22)
    factor = 10.0 ** np.where(scaled, decimals, 0)
    rounded = np.where(scaled, np.round(np.where(scaled, found, 0) * factor) / factor, found)
    return [value if known else None for value, known in zip(rounded.tolist(), sound.tolist(), strict=True)]


def whole(values: Floats) -> list[int | None]:
    """Counts for the wire; None for those that are not known."""
    return [int(value) if known else None for value, known in zip(values, np.isfinite(values), strict=True)]


def changed_since(study: StudyPoints, since: int | None) -> Mask | None:
    """The trials that were written after a sequence; None: the whole figure is wanted, or hardly longer than these."""
    if since is None:
        return None
    changed: Mask = study.points.sequence > since
    return changed if np.count_nonzero(changed) <= MOST_CHANGED else None
