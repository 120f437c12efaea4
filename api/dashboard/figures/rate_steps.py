"""Rate against steps: what every rate was worth after every number of steps, with the trials on it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.dashboard.figures.figure import Empty, Figure, Table
from api.dashboard.figures.heights import Height, ticks
from api.dashboard.figures.scales import Floats, axis, escaped, short, whole
from api.dashboard.format import number, opening, words
from api.dashboard.signs import sign
from tuner.analysis.decimation import spread
from tuner.service.points import StudyPoints
from tuner.service.surface import RateSurface

MOST_TRIALS = 300
IN_TABLE = 20

FEWEST = 3
"""Rates and step counts below which there is no surface."""

ABOVE = 10.0
"""How many times its size above the middle loss of the first step a loss is drawn as diverged."""

SCALE: list[tuple[float, str]] = [
    (0.0, "var(--scale-strong)"),
    (0.5, "var(--scale-middle)"),
    (1.0, "var(--scale-weak)"),
]


def rate_steps(study: StudyPoints, surface: RateSurface) -> Figure | Empty:
    """The figure."""
    if not surface.rates or not surface.steps:
        return Empty("No trial has finished with a loss yet.")
    if len(surface.rates) < FEWEST:
        there = "is one" if len(surface.rates) == 1 else "are two"
        return Empty(f"A surface takes trials at {FEWEST} rates at least; there {there}.")
    if len(surface.steps) < FEWEST:
        return Empty("A surface takes losses after several numbers of steps: trials have reported those of their end.")
    values = np.array([[np.nan if cell is None else cell for cell in row] for row in surface.values], dtype=np.float64)
    known = np.array([[cell is not None for cell in row] for row in surface.values])
    rising = surface.direction == "maximize"
    off = known & (~np.isfinite(values) | _left(values, rising=rising))
    on = known & ~off
    if not on.any():
        return Empty("Every trial diverged: there is no loss to draw. Try lower rates.")
    # Of what is to rise the top is what matters.
    logarithmic = not rising and bool((values[on] > 0).all() and values[on].max() > 10 * values[on].min())
    heights = np.where(on, values, np.nan)
    heights = np.log10(heights) if logarithmic else heights
    metric = words(surface.metric)
    data = [_contour(surface, heights, values, metric, logarithmic=logarithmic, rising=rising)]
    if off.any():
        data.insert(0, _diverged(surface, off, metric))
    data += _trials(study, surface)
    across = surface.parameter
    return Figure(
        data=data,
        layout={
            "xaxis": axis(
                escaped(words(across)), logarithmic=study.logarithmic(across), values=np.array(surface.rates)
            ),
            "yaxis": axis("steps", logarithmic=max(surface.steps) > 20),
        },
        summary=_summary(surface, _best(surface, values, on), off, known),
        table=_table(surface, values, on, metric),
    )


def _left(values: Floats, *, rising: bool) -> NDArray[np.bool_]:
    """Where a loss has risen far above what descents were at after their first steps."""
    first = values[0][np.isfinite(values[0])]
    if rising or not first.size:
        return np.zeros(values.shape, dtype=bool)
    middle = float(np.median(first))
    return values > middle + ABOVE * max(abs(middle), np.finfo(float).tiny)


def _contour(
    surface: RateSurface, heights: Floats, values: Floats, metric: str, *, logarithmic: bool, rising: bool
) -> dict[str, Any]:
    finite = heights[np.isfinite(heights)]
    low, high = float(finite.min()), float(finite.max())
    trace: dict[str, Any] = {
        "type": "contour",
        "uid": "surface",
        "name": metric,
        "x": short(np.array(surface.rates)),
        "y": surface.steps,
        "z": [short(row) for row in heights],
        "colorscale": SCALE if not rising else [(1 - at, color) for at, color in reversed(SCALE)],
        "line": {"width": 0.5, "color": "var(--paper)"},
        "connectgaps": False,
        "text": [[number(value) for value in row] for row in values.tolist()],
        "hovertemplate": f"{escaped(words(surface.parameter))} %{{x:.4~g}}<br>%{{y}} steps"
        f"<br>{escaped(metric)} %{{text}}<extra></extra>",
        "colorbar": {"title": {"text": escaped(metric), "side": "right"}},
    }
    if logarithmic:
        trace["colorbar"] |= ticks(Height(10.0**low), low, high, most=6)
        trace["contours"] = {"start": low, "end": high, "size": max((high - low) / 15, 1e-9)}
    return trace


def _diverged(surface: RateSurface, off: NDArray[np.bool_], metric: str) -> dict[str, Any]:
    """Where the loss is off the scale: one colour, since how far off says nothing."""
    return {
        "type": "heatmap",
        "uid": "diverged",
        "name": "diverged",
        "x": short(np.array(surface.rates)),
        "y": surface.steps,
        "z": [[1 if cell else None for cell in row] for row in off.tolist()],
        "colorscale": [[0, "var(--verdict-diverged)"], [1, "var(--verdict-diverged)"]],
        "opacity": 0.35,
        "showscale": False,
        "hovertemplate": f"{escaped(words(surface.parameter))} %{{x:.4~g}}<br>%{{y}} steps"
        f"<br>{escaped(metric)} off the scale: diverged<extra></extra>",
    }


def _trials(study: StudyPoints, surface: RateSurface) -> list[dict[str, Any]]:
    rates, steps = study.points.of(surface.parameter), study.steps
    seen = np.flatnonzero(study.judged & np.isfinite(rates) & np.isfinite(steps) & (steps > 0))
    if not len(seen):
        return []
    across = np.log(rates[seen]) if (rates[seen] > 0).all() else rates[seen]
    best = study.best
    chosen = seen[spread(across, np.log(steps[seen]), MOST_TRIALS, kept=seen == best)]
    looks = [sign(str(one) or None) for one in study.points.verdict[chosen]]
    found: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "uid": "trials",
            "name": "trials",
            "x": short(rates[chosen]),
            "y": whole(steps[chosen]),
            "customdata": [[one] for one in study.points.number[chosen].tolist()],
            "text": [one.words for one in looks],
            "marker": {
                "symbol": [one.symbol for one in looks],
                "size": 6,
                "opacity": 0.8,
                "color": "var(--ink)",
                "line": {"width": 0.5, "color": "var(--paper)"},
            },
            "hovertemplate": f"trial %{{customdata[0]}}<br>{escaped(words(surface.parameter))} %{{x:.4~g}}"
            "<br>%{y} steps<br>%{text}<extra></extra>",
            "showlegend": False,
        }
    ]
    if best is not None and best in chosen:
        found.append(
            {
                "type": "scatter",
                "mode": "markers",
                "uid": "best",
                "name": "best",
                "x": short(rates[[best]]),
                "y": whole(steps[[best]]),
                "marker": {"symbol": "circle-open", "size": 18, "color": "var(--second)", "line": {"width": 3}},
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
    return found


def _best_of_each(surface: RateSurface, values: Floats, on: NDArray[np.bool_]) -> list[tuple[int, float, float]]:
    """For step counts, the best rate after so many and its value."""
    sign_of = -1.0 if surface.direction == "maximize" else 1.0
    ranked = np.where(on, sign_of * values, np.inf)
    columns = np.argmin(ranked, axis=1)
    return [
        (surface.steps[row], surface.rates[column], float(values[row, column]))
        for row, column in enumerate(columns.tolist())
        if np.isfinite(ranked[row, column])
    ]


def _best(surface: RateSurface, values: Floats, on: NDArray[np.bool_]) -> tuple[int, float, float]:
    """Steps, rate and value of the best cell; of equal ones that of the fewest steps."""
    rows = _best_of_each(surface, values, on)
    return max(rows, key=lambda row: row[2]) if surface.direction == "maximize" else min(rows, key=lambda row: row[2])


def _summary(
    surface: RateSurface, best: tuple[int, float, float], off: NDArray[np.bool_], known: NDArray[np.bool_]
) -> str:
    steps, rate, value = best
    said = (
        f"{opening(words(surface.metric))} by {words(surface.parameter)} and steps, from "
        f"{number(surface.trials)} of {number(surface.finished)} finished trials. "
        f"The best is {number(value)}, after {number(steps)} steps at {number(rate)}."
    )
    if off.any():
        lowest = surface.rates[int(np.flatnonzero(off.any(axis=0))[0])]
        said += (
            f" Diverged from {number(lowest)} up."
            if off[:, surface.rates.index(lowest) :].any(axis=0).all()
            else (f" Some diverged, the lowest at {number(lowest)}.")
        )
    if known.mean() < 0.2:
        said += " Most of it is not known: trials have reported few of their steps."
    return said


def _table(surface: RateSurface, values: Floats, on: NDArray[np.bool_], metric: str) -> Table:
    rows = _best_of_each(surface, values, on)
    places = np.unique(np.linspace(0, len(rows) - 1, min(IN_TABLE, len(rows))).astype(int))
    return Table(
        ["steps", f"best {words(surface.parameter)}", f"{metric} there"], [list(rows[place]) for place in places]
    )
