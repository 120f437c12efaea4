"""The trade-off front: the best value that any trial had after at most so many steps."""

import numpy as np

from api.dashboard.figures.figure import TRIAL, Empty, Figure, Table
from api.dashboard.figures.scales import axis, escaped, in_lines, short
from api.dashboard.format import number, words
from tuner.service.pareto import Pareto
from tuner.service.points import spans_decades

IN_TABLE = 20


def front(found: Pareto, *, rate: str | None = None) -> Figure | Empty:
    """A staircase; each corner is a run. ``rate``: the parameter that is told of each."""
    if not found.points:
        return Empty("No finished trial has a finite value yet." if found.finished else "No trial has finished yet.")
    metric = words(found.metric)
    steps = np.array([one.steps for one in found.points], dtype=np.float64)
    values = np.array([one.value for one in found.points])
    rates = [one.parameters.get(rate) if rate is not None else None for one in found.points]
    told = [number(one) for one in rates]
    many = len(found.points) > 60
    first, last = found.points[0], found.points[-1]
    data = [
        {
            "type": "scatter",
            "mode": "lines" if many else "lines+markers",
            "uid": "front",
            "name": "front",
            "x": short(steps),
            "y": short(values),
            "customdata": [[one.number, text] for one, text in zip(found.points, told, strict=True)],
            "line": {"shape": "hv", "color": "var(--accent)", "width": 2},
            "marker": {"size": 9, "color": "var(--accent)"},
            "hovertemplate": f"at most %{{x:,}} steps<br>{escaped(metric)} %{{y:.4~g}}<br>trial %{{customdata[0]}}"
            + ("" if rate is None else f"<br>{escaped(words(rate))} %{{customdata[1]}}")
            + "<extra></extra>",
        }
    ]
    said = (
        f"From {metric} {number(first.value)} after {number(first.steps)} steps to {number(last.value)} "
        f"after {number(last.steps)}: {number(found.points_in_all)} runs that no other beats in both"
    )
    if len(found.points) < found.points_in_all:
        said += f" ({number(len(found.points))} are drawn)"
    if found.trials < found.finished:
        said += f", of {number(found.trials)} of {number(found.finished)} finished trials"
    places = np.unique(np.linspace(0, len(values) - 1, min(IN_TABLE, len(values))).astype(int)).tolist()
    rows = [
        [
            found.points[at].number,
            found.points[at].steps,
            found.points[at].value,
            *([] if rate is None else [rates[at]]),
        ]
        for at in places
    ]
    return Figure(
        data=data,
        layout={
            "xaxis": axis("steps at most", logarithmic=spans_decades(np.maximum(steps, 1))),
            "yaxis": axis(
                in_lines(f"best {escaped(metric)}", "within so many steps"),
                logarithmic=spans_decades(values),
                values=values,
            ),
        },
        summary=f"{said}.",
        table=Table([TRIAL, "steps", metric, *([] if rate is None else [words(rate)])], rows),
    )
