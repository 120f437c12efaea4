"""The search's history: what each trial was worth, and the best so far, against trials, cost or time."""

from typing import Any, Literal

import numpy as np

from api.dashboard.figures.figure import TRIAL, Empty, Figure, Table
from api.dashboard.figures.scales import (
    Floats,
    all_off,
    axis,
    changed_since,
    escaped,
    off_scale,
    rail_of,
    short,
    title_of,
    value_axes,
    whole,
)
from api.dashboard.format import duration, number, words
from tuner.analysis.decimation import spread
from tuner.service.points import StudyPoints

MOST_POINTS = 1500
IN_TABLE = 20

By = Literal["trials", "evaluations", "time"]

_UNITS = (("days", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))


def history(study: StudyPoints, *, by: By = "trials", since: int | None = None) -> Figure | Empty:
    """The figure; with ``since`` only the points of trials that were written after that sequence."""
    seen = study.judged
    if not seen.any():
        return Empty("No trial yet." if not len(study.points) else "No trial has finished yet.")
    across, title = _across(study, by)
    seen = seen & np.isfinite(across)
    worth = study.worth
    off = off_scale(study, seen)
    rail = rail_of(study, off)
    wanted = changed_since(study, since)
    if wanted is None:
        places = np.flatnonzero(seen)
        up = np.where(off[places], 0.0, np.where(np.isfinite(worth[places]), worth[places], 0.0))
        if (up[~off[places]] > 0).all():
            up = np.log10(np.where(off[places], 1.0, up))
        places = places[
            spread(across[places], up, MOST_POINTS, kinds=off[places].astype(np.intp), kept=places == study.best)
        ]
    else:
        places = np.flatnonzero(seen & wanted)
    line = _Best(study, across)
    name = words(study.metric) if study.target is None else "steps"
    data = []
    for uid, some in (("trials", places[~off[places]]), ("trials-rail", places[off[places]])):
        if len(some):
            data.append(_points(study, uid, some, across, rail=rail if uid.endswith("rail") else None, name=name))
    data += line.traces(float(np.max(across[seen])), name)
    layout = value_axes(title_of(study), worth[seen & ~off], rail=rail, rising=study.rising)
    layout["xaxis"] = axis(title, logarithmic=False)
    if off[seen].all():
        layout["annotations"] = [all_off(study, rail)]
    return Figure(
        data=data,
        layout=layout,
        summary=_summary(study, seen, line, by, len(places) if wanted is None else None),
        table=line.table(name, title),
        traces=None if wanted is None else ["trials", "trials-rail", "best"],
    )


def _across(study: StudyPoints, by: By) -> tuple[Floats, str]:
    """Where each trial stands, and what that is; NaN where it is not known."""
    points = study.points
    if by == "trials":
        return points.number.astype(np.float64), "trial's number"
    if by == "evaluations":
        ended = np.where(np.isnan(points.finished_at), np.inf, points.finished_at)
        order = np.lexsort((points.number, ended))
        spent = np.empty(len(points))
        spent[order] = np.cumsum(points.gradient_evaluations[order])
        return np.where(np.isnan(points.finished_at), np.nan, spent), "gradient evaluations spent by trials"
    ended = points.finished_at
    known = ended[np.isfinite(ended)]
    began = study.began if study.began is not None else float(known.min()) if known.size else 0.0
    passed = ended - began
    longest = float(np.nanmax(passed)) if known.size else 0.0
    unit, size = next(((unit, size) for unit, size in _UNITS if longest >= 2 * size), _UNITS[-1])
    return passed / size, f"time since the first trial began ({unit})"


class _Best:
    """The best so far, where it improved."""

    def __init__(self, study: StudyPoints, across: Floats) -> None:
        self._study, self._across = study, across
        sign = -1.0 if study.rising else 1.0
        counts = study.judged & (study.points.state == "complete") & np.isfinite(study.points.value)
        counts &= np.isfinite(across)
        self._values = study.points.value
        places = np.flatnonzero(counts)
        order = places[np.lexsort((study.points.number[places], across[places]))]
        ranked = sign * self._values[order]
        before = np.r_[np.inf, np.minimum.accumulate(ranked)[:-1]] if len(ranked) else ranked
        self.places = order[ranked < before]

    def traces(self, end: float, name: str) -> list[dict[str, Any]]:
        if not len(self.places):
            return []
        at = short(self._across[self.places])
        values = short(self._values[self.places])
        numbers = [[one] for one in self._study.points.number[self.places].tolist()]
        return [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "uid": "best",
                "name": "best so far",
                # It holds until the last trial that was looked at, which need not be a better one.
                "x": [*at, *short(np.array([end]))],
                "y": [*values, values[-1]],
                "customdata": [*numbers, numbers[-1]],
                "line": {"shape": "hv", "color": "var(--accent)", "width": 2.5},
                "marker": {"size": [6] * len(at) + [0], "color": "var(--accent)"},
                "hovertemplate": f"best so far: {escaped(name)} %{{y:.4~g}}<br>trial %{{customdata[0]}}<extra></extra>",
            }
        ]

    def table(self, name: str, title: str) -> Table:
        """The improvements, the latest of them where they are many."""
        points, last = self._study.points, self.places[-IN_TABLE:]
        by_number = title == "trial's number"
        rows = [
            [
                number,
                *([] if by_number else [at]),
                value,
                *whole(self._study.steps[[place]]),
            ]
            for place, number, at, value in zip(
                last.tolist(),
                points.number[last].tolist(),
                short(self._across[last]),
                self._values[last].tolist(),
                strict=True,
            )
        ]
        return Table([TRIAL, *([] if by_number else [title]), f"best {name} so far", "steps"], rows)


def _points(
    study: StudyPoints, uid: str, places: Any, across: Floats, *, rail: str | None, name: str
) -> dict[str, Any]:
    said = f"{escaped(name)} %{{y:.4~g}}" if rail is None else rail
    return {
        "type": "scatter",
        "mode": "markers",
        "uid": uid,
        "name": "trials" if rail is None else rail,
        "x": short(across[places]),
        "y": short(study.worth[places]) if rail is None else [0] * len(places),
        "yaxis": "y" if rail is None else "y2",
        "customdata": [[one] for one in study.points.number[places].tolist()],
        "marker": {
            "size": 6,
            "opacity": 0.5,
            "symbol": "circle" if rail is None else "triangle-up",
            "color": "var(--faint)" if rail is None else "var(--verdict-diverged)",
        },
        "hovertemplate": f"trial %{{customdata[0]}}<br>{said}<extra></extra>",
        "meta": {"merge": True},
    }


def _summary(study: StudyPoints, seen: Any, line: _Best, by: By, drawn: int | None) -> str:
    count = int(np.count_nonzero(seen))
    name = "steps" if study.target is not None else words(study.metric)
    said = f"{number(count)} finished trial{'' if count == 1 else 's'}"
    if drawn is not None and drawn < count:
        said += f" ({number(drawn)} are drawn, the outermost and the best among them)"
    if not len(line.places):
        return f"{said}; none has a finite value that could be the best."
    first, last = line.places[0], line.places[-1]
    values, numbers = study.points.value, study.points.number
    if len(line.places) == 1:
        return f"{said}; trial {numbers[last]} is the best, with {name} {number(float(values[last]))}."
    said += (
        f". The best {name} went from {number(float(values[first]))} to {number(float(values[last]))} "
        f"in {len(line.places)} improvements, the last by trial {numbers[last]}"
    )
    if by == "time" and study.began is not None:
        said += (
            f", {duration(max(0.0, float(study.points.finished_at[last]) - study.began))} after the first trial began"
        )
    return f"{said}."
