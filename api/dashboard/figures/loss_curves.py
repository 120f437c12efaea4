"""Loss curves of several trials on common axes: how a rate descends, and how one leaves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from api.dashboard.figures.figure import TRIAL, Empty, Figure, Table
from api.dashboard.figures.scales import Floats, axis, escaped, in_lines, short, whole
from api.dashboard.format import number, opening, words
from api.dashboard.signs import sign
from tuner.analysis.decimation import decimate
from tuner.service.points import STEPS, StudyPoints
from tuner.service.trajectories import Trajectory

FEW, MOST_CURVES = 5, 60
POINTS_IN_ALL = 12_000
"""Points that all curves together are drawn by."""

IN_TABLE = 20

FEW_STEPS = 6
"""Along so few each has a tick."""

BEYOND = 100.0
"""How many times above where it and all others began a curve is said to have left."""

COLORS = ("var(--accent)", "var(--second)", "var(--third)", "var(--fourth)")
DASHES = ("solid", "dash", "dot", "dashdot")

Scale = Literal["log", "linear"]
Align = Literal["step", "evaluation"]
Which = Literal["best", "all"]


def numbers_of(study: StudyPoints, which: Which = "best") -> list[int]:
    """The trials whose curves are looked at, the best first: a few, or as many as can be told apart, of all ranks."""
    points = study.points
    places = np.flatnonzero((study.judged | (points.state == "running")) & (points.state != "waiting"))
    worth = np.where(points.state[places] == "running", points.best_value[places], study.worth[places])
    ranked = np.where(np.isfinite(worth), -worth if study.rising else worth, np.inf)
    # Diverged ones last, whatever their loss.
    order = np.lexsort((points.number[places], ranked, points.verdict[places] == "diverged"))
    if which == "best":
        order = order[:FEW]
    elif len(order) > MOST_CURVES:
        order = order[np.unique(np.linspace(0, len(order) - 1, MOST_CURVES).astype(int))]
    return [int(one) for one in points.number[places[order]]]


def loss_curves(
    study: StudyPoints,
    curves: Iterable[Trajectory],
    numbers: Sequence[int],
    *,
    scale: Scale = "log",
    align: Align = "step",
    since: int | None = None,
) -> Figure | Empty:
    """The figure.

    Args:
        study: the trials.
        curves: of some of them.
        numbers: of those trials, in the order in which they are shown.
        scale: of the loss; what is not positive is drawn to a linear one in either case.
        align: whether curves run over their own steps, or over the gradient evaluations that these took.
        since: a sequence: only the curves of trials that were written after it.
    """
    room = max(20, POINTS_IN_ALL // max(len(numbers), 1))
    drawn = {one.number: _Drawn.of(one, room) for one in curves}
    order = [one for one in numbers if one in drawn]
    if not order:
        return Empty(_why_empty(study, numbers))
    place = {one: int(np.searchsorted(study.points.number, one)) for one in order}
    ceiling = _ceiling(study, drawn)
    for one in order:
        drawn[one].leave_at(ceiling)
    finite = np.concatenate([drawn[one].values for one in order])
    logarithmic = scale == "log" and bool(finite.size) and bool((finite > 0).all())
    best = study.best
    best_number = None if best is None else int(study.points.number[best])
    data: list[dict[str, Any]] = []
    uids = []
    for rank, one in enumerate(order):
        uids.append(f"trial-{one}")
        if since is None or study.points.sequence[place[one]] > since:
            data.append(
                _trace(
                    study,
                    drawn[one],
                    place[one],
                    rank=rank,
                    count=len(order),
                    align=align,
                    is_best=one == best_number,
                )
            )
    gone = [one for one in order if drawn[one].left_at is not None]
    if gone:
        uids.append("left")
        data.append(_left(study, [drawn[one] for one in gone], [place[one] for one in gone], align))
    metric = words(study.metric)
    longest = max((int(drawn[one].steps[-1]) for one in order if len(drawn[one].steps)), default=0)
    across = "steps" if align == "step" else "gradient evaluations of the trial"
    layout = {
        # Nothing stands before the start, and between two steps.
        "xaxis": axis(across, logarithmic=False)
        | {"rangemode": "nonnegative"}
        | ({"dtick": 1} if longest <= FEW_STEPS else {}),
        "yaxis": axis(in_lines(escaped(metric), "after so many steps"), logarithmic=logarithmic, values=finite),
        "hovermode": "closest",
        "showlegend": len(order) <= FEW + 3,
    }
    target = study.target
    if target is not None and (target > 0 or not logarithmic):
        layout["shapes"] = [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": target,
                "y1": target,
                "line": {"dash": "dash", "width": 1.5, "color": "var(--ink)"},
                "label": {"text": f"target {number(target)}", "textposition": "end", "yanchor": "bottom"},
            }
        ]
    return Figure(
        data=data,
        layout=layout,
        summary=_summary(study, order, drawn, place, gone),
        table=_table(study, order, drawn, place, metric),
        traces=None if since is None else uids,
    )


def _why_empty(study: StudyPoints, numbers: Sequence[int]) -> str:
    if not len(study.points):
        return "No trial yet."
    metric = words(study.metric)
    if len(numbers) != 1:
        return f"No trial has reported a {metric} along its way: there is no curve to draw."
    [number] = numbers
    place = np.flatnonzero(study.points.number == number)
    if place.size and str(study.points.state[place[0]]) in {"waiting", "running"}:
        return f"Trial {number} has reported no {metric} yet."
    return f"Trial {number} has reported no {metric} along its way: there is no curve to draw."


@dataclass
class _Drawn:
    """A curve as it is drawn: the points that stand for it, as far as it is on the scale."""

    number: int
    steps: NDArray[np.int64]
    values: Floats
    first: float
    last: float
    lowest: float
    highest: float
    left_at: int | None = None

    @classmethod
    def of(cls, curve: Trajectory, room: int) -> "_Drawn":
        finite = curve.values[np.isfinite(curve.values)]
        kept = decimate(curve.values, room)
        steps, values = curve.steps[kept], curve.values[kept]
        sound = np.isfinite(values)
        # Between finite losses a NaN is a measurement that failed; at the end it is where the run left.
        end = int(np.flatnonzero(sound)[-1]) + 1 if sound.any() else 0
        left = int(steps[end]) if end < len(steps) else None
        sound[end:] = False
        return cls(
            number=curve.number,
            steps=steps[sound],
            values=values[sound],
            first=float(curve.values[0]),
            last=float(curve.values[-1]),
            lowest=float(finite.min()) if finite.size else np.nan,
            highest=float(finite.max()) if finite.size else np.nan,
            left_at=left,
        )

    def leave_at(self, ceiling: float) -> None:
        """Draw it only up to where it leaves for good."""
        beyond = np.abs(self.values) > ceiling
        if beyond.any() and (beyond[-1] or self.left_at is not None):
            end = int(np.argmax(beyond))
            self.left_at = int(self.steps[end])
            self.steps, self.values = self.steps[:end], self.values[:end]


def _ceiling(study: StudyPoints, drawn: dict[int, _Drawn]) -> float:
    diverged = dict(zip(study.points.number.tolist(), (study.points.verdict == "diverged").tolist(), strict=True))
    firsts = [abs(one.first) for one in drawn.values() if np.isfinite(one.first)]
    working = [
        max(abs(one.highest), abs(one.lowest))
        for one in drawn.values()
        if not diverged.get(one.number) and one.left_at is None and np.isfinite(one.highest)
    ]
    return max([BEYOND * max(firsts, default=1.0), *working])


def _across(study: StudyPoints, steps: NDArray[Any], place: int, align: Align) -> list[float | None]:
    if align == "step":
        return [int(step) for step in steps]
    run, spent = float(study.points.steps_run[place]), int(study.points.gradient_evaluations[place])
    opening = 1 if study.definition is not None and study.definition.objective is not None else 0
    # What a step took, where it is known; a descent of ours takes one more, for the loss at its end.
    each = (spent - opening) / run if run > 0 and spent > opening else 1.0
    return short(opening + steps * each)


def _looks(study: StudyPoints, place: int) -> str:
    return sign(str(study.points.verdict[place]) or None).words


def _rate(study: StudyPoints, place: int) -> float:
    return float(study.points.of(study.rate)[place]) if study.rate is not None else np.nan


def _trace(
    study: StudyPoints, curve: _Drawn, place: int, *, rank: int, count: int, align: Align, is_best: bool
) -> dict[str, Any]:
    rate = _rate(study, place)
    told = f", {words(str(study.rate))} {number(rate)}" if np.isfinite(rate) else ""
    verdict = str(study.points.verdict[place])
    few = count <= FEW + 3
    color = COLORS[rank % len(COLORS)] if few else sign(verdict or None).color
    return {
        "type": "scatter",
        "mode": "lines",
        "uid": f"trial-{curve.number}",
        "name": f"trial {curve.number}{escaped(told)}",
        "x": _across(study, curve.steps, place, align),
        "y": short(curve.values),
        "customdata": [[curve.number]] * len(curve.steps),
        "opacity": 1.0 if few or is_best else 0.5,
        "line": {
            "color": color,
            "width": 3 if is_best else 2 if few else 1.2,
            "dash": DASHES[rank // len(COLORS) % len(DASHES)] if few else "solid",
        },
        "hovertemplate": f"trial {curve.number}{escaped(told)}<br>%{{x:,}} "
        + ("steps" if align == "step" else "evaluations")
        + f"<br>{escaped(words(study.metric))} %{{y:.4~g}}<br>{_looks(study, place)}<extra></extra>",
    }


def _left(study: StudyPoints, curves: Sequence[_Drawn], places: Sequence[int], align: Align) -> dict[str, Any]:
    """Signs where curves leave the chart."""
    shown = [(one, place) for one, place in zip(curves, places, strict=True) if len(one.steps)]
    return {
        "type": "scatter",
        "mode": "markers",
        "uid": "left",
        "name": "leaves the chart",
        "x": [_across(study, one.steps[-1:], place, align)[0] for one, place in shown],
        "y": [float(one.values[-1]) for one, _ in shown],
        "customdata": [[one.number, one.left_at] for one, _ in shown],
        "marker": {"symbol": "triangle-up", "size": 11, "color": "var(--verdict-diverged)"},
        "hovertemplate": "trial %{customdata[0]} leaves at step %{customdata[1]}<extra></extra>",
    }


def _summary(
    study: StudyPoints, order: Sequence[int], drawn: dict[int, _Drawn], place: dict[int, int], gone: Sequence[int]
) -> str:
    running = sum(str(study.points.state[place[one]]) == "running" for one in order)
    metric = words(study.metric)
    whose = "1 trial along its steps" if len(order) == 1 else f"{len(order)} trials along their steps"
    said = f"{opening(metric)} of {whose}"
    if len(order) < len(study.points):
        said += f" (of {number(len(study.points))})"
    best = study.best
    first = int(study.points.number[best]) if best is not None else order[0]
    if first in drawn and np.isfinite(drawn[first].first):
        one = drawn[first]
        said += f": trial {first} goes from {number(one.first)} to {number(one.last)}"
        rate = _rate(study, place.get(first, 0))
        said += f" at {words(str(study.rate))} {number(rate)}" if np.isfinite(rate) else ""
    said += "."
    if gone:
        said += f" {len(gone)} leave{'s' if len(gone) == 1 else ''} the chart."
    if running:
        said += f" {running} still run{'s' if running == 1 else ''}."
    return said


def _table(
    study: StudyPoints, order: Sequence[int], drawn: dict[int, _Drawn], place: dict[int, int], metric: str
) -> Table:
    extreme = "highest" if study.direction == "maximize" else "lowest"
    rows = []
    for one in order[:IN_TABLE]:
        curve = drawn[one]
        rate = _rate(study, place[one])
        value = curve.highest if extreme == "highest" else curve.lowest
        rows.append(
            [
                one,
                rate if np.isfinite(rate) else None,
                *whole(study.steps[[place[one]]]),
                curve.first if np.isfinite(curve.first) else "not finite",
                value if np.isfinite(value) else None,
                curve.last if np.isfinite(curve.last) else "not finite",
                _looks(study, place[one]),
            ]
        )
    rate_name = words(study.rate) if study.rate is not None else "rate"
    return Table([TRIAL, rate_name, STEPS, f"first {metric}", extreme, "last", "verdict"], rows)
