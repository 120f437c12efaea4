"""Where values stand: the scale they are read on, which of them are off it, and the rail that those stand on.

A diverged run's loss says that it diverged, and no more; drawn to scale it would press all others into a line. So such
runs stand on a rail of their own at the bad end of the chart.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.dashboard.format import words
from api.dashboard.signs import VERDICTS
from tuner.service.points import StudyPoints, spans_decades

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FAR = 1e4
"""How many times the middle of all losses one may be that nothing else is known of, and still be on the scale."""

LARGE = 1e3
"""A loss below which none is called far off, however small the others are."""

WORKING = frozenset(VERDICTS) - {"diverged", "too_short_to_tell"}
"""Verdicts on runs that work: whatever their loss, it is on the scale."""

MOST_CHANGED = 2000
"""Trials beyond which what has changed is told as a whole figure."""

CROWDED = 40.0
"""Up to which ratio of its ends an axis would have a tick at every digit, or nearly so."""

ROOM = 30
"""Characters for which an upright axis has room."""

DIGITS = 6
"""That count: more than a screen shows."""


def off_scale(study: StudyPoints, seen: Mask) -> Mask:
    """Which of the trials that are seen (n,) stand on the rail.

    Those whose value is not finite, the diverged, and of those without a telling verdict the ones far worse than most.
    """
    values, verdict = study.worth, study.points.verdict
    off: Mask = seen & (~np.isfinite(values) | (verdict == "diverged"))
    on = values[seen & ~off]
    if not on.size:
        return off
    middle = float(np.median(on))
    if study.rising:
        # A hundred times as far down as the middle is from the best: so far falls no run that works.
        far = values < middle - 100 * max(float(on.max()) - middle, abs(middle))
    else:
        far = values > max(FAR * middle, LARGE)
    return off | (seen & far & ~np.isin(verdict, list(WORKING)))


def escaped(text: str) -> str:
    """A name as Plotly shows it: its texts take some HTML, and names are none."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")


def axis(title: str, *, logarithmic: bool, values: Floats | None = None) -> dict[str, Any]:
    """An axis in Plotly's terms; ``values``: what is set out along it, where ticks are to be chosen by that."""
    found = {"title": {"text": title}, "type": "log" if logarithmic else "linear"}
    if logarithmic and values is not None and _few_decades(values):
        # Plotly would set ticks at every digit or at equal differences, which crowd; these are 1, 2, 5, 10, ...
        found["dtick"] = "D2"
    return found


def _few_decades(values: Floats) -> bool:
    """Whether values span hardly more than a power of ten, and three numbers of 1, 2, 5, 10, ... at least."""
    known = values[np.isfinite(values) & (values > 0)]
    if not known.size or known.max() > CROWDED * known.min():
        return False
    powers = 10.0 ** np.arange(np.floor(np.log10(known.min())), np.ceil(np.log10(known.max())) + 1)
    ticks = np.outer(powers, [1, 2, 5])
    return int(np.count_nonzero((ticks >= known.min() / 1.05) & (ticks <= known.max() * 1.05))) >= 3


def value_axes(title: str, values: Floats, *, rail: str | None, rising: bool = False) -> dict[str, Any]:
    """The axis of what is good or bad, and, where there is a ``rail``, that of the rail at its bad end."""
    # Of what is to rise, an accuracy, the top is what matters: a log scale would show its bottom.
    logarithmic = not rising and spans_decades(values)
    found = {"yaxis": axis(title, logarithmic=logarithmic, values=values)}
    if rail is not None:
        scale, place = ([0.12, 1], [0, 0.06]) if rising else ([0, 0.88], [0.94, 1])
        if values.size:
            found["yaxis"]["domain"] = scale
        else:
            # Nothing is on the scale: the rail is all that there is, and has all the room.
            found["yaxis"]["visible"] = False
            place = [0, 1]
        found["yaxis2"] = {
            "domain": place,
            "range": [-1, 1],
            "fixedrange": True,
            "tickvals": [0],
            "ticktext": [rail],
            "showgrid": False,
            "zeroline": True,
        }
    return found


def line_label(text: str, at: float, shown: Floats, *, logarithmic: bool, down: int = 0) -> dict[str, Any]:
    """The words beside an upright line, on the side where there is room; ``down`` rows below the top.

    Args:
        text: the words.
        at: where the line stands.
        shown: what else is across, the line among it.
        logarithmic: whether the axis is.
        down: rows, so that labels of several lines do not meet.
    """
    place, ends = (np.log10(at), np.log10(shown)) if logarithmic else (at, shown)
    right = place > (ends.min() + ends.max()) / 2
    return {
        "text": text,
        "x": float(place),
        "xanchor": "right" if right else "left",
        "xshift": -4 if right else 4,
        "align": "right" if right else "left",
        "yref": "y domain",
        "y": 1,
        "yanchor": "top",
        "yshift": -18 * down,
        "showarrow": False,
        "bgcolor": "var(--paper)",
        "opacity": 0.9,
    }


def rail_of(study: StudyPoints, off: Mask) -> str | None:
    """What the rail is called; None where nothing stands on it."""
    if not off.any():
        return None
    if study.target is not None:
        return "never"
    verdicts = study.points.verdict[off] if len(off) == len(study.points) else np.array([])
    return "diverged" if len(verdicts) and bool((verdicts == "diverged").all()) else "off scale"


def all_off(study: StudyPoints, rail: str | None) -> dict[str, Any]:
    """What an otherwise empty chart says where all trials stand on the rail."""
    text = "no trial got there" if study.target is not None else f"every trial: {rail}"
    return {"text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.7}


def title_of(study: StudyPoints) -> str:
    """What a trial's value is, with its meaning."""
    if study.target is not None:
        end = "≥" if study.direction == "maximize" else "≤"
        return f"steps until {escaped(words(study.metric))} {end} {study.target:g}"
    name = escaped(words(study.metric))
    return in_lines(name, "after the trial's steps") if np.isfinite(study.steps).any() else name


def in_lines(name: str, rest: str) -> str:
    """The title of an upright axis, in two lines where one would be longer than the axis."""
    return f"{name}{' ' if len(name) + len(rest) < ROOM else '<br>'}{rest}"


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
