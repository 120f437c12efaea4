"""Loss by learning rate, every trial a point: where the valley is, and where it ends.

Diverged runs stand on a rail, the stability limit is a line, the best trial is marked.
"""

from typing import Any, Literal

import numpy as np

from api.dashboard.figures.figure import TRIAL, Empty, Figure, Table
from api.dashboard.figures.scales import (
    Floats,
    Mask,
    all_off,
    axis,
    changed_since,
    escaped,
    line_label,
    off_scale,
    rail_of,
    short,
    title_of,
    value_axes,
    whole,
)
from api.dashboard.format import number, words
from api.dashboard.signs import VERDICTS, sign
from tuner.analysis.decimation import spread
from tuner.service.points import RATE, STEPS, StudyPoints

MOST_POINTS = 2000
"""Up to so many trials each has its point."""
THINNED = 1000
"""Points that stand for more trials than that. Each is a shape of its own, and a page is waited for."""

IN_TABLE = 20

KINDS = ["", *VERDICTS]
"""Verdicts, and the want of one, in the order of the legend."""


def rate_loss(
    study: StudyPoints,
    *,
    parameter: str | None = None,
    color: Literal["verdict", "steps"] = "verdict",
    since: int | None = None,
) -> Figure | Empty:
    """The figure; with ``since`` only the points of trials that were written after that sequence.

    Args:
        study: the trials.
        parameter: what is across; the study's rate where it is left out.
        color: by what points are coloured. Their signs are those of verdicts in either case.
        since: a sequence.
    """
    if not len(study.points):
        return Empty("No trial yet.")
    across = parameter or study.rate
    if across is None:
        return Empty("No trial has a parameter that is a number: there is nothing to set the loss against.")
    rates = study.points.of(across)
    seen = study.judged & np.isfinite(rates)
    if not seen.any():
        return Empty(_why_empty(study, across))
    shown = _Shown(study, across, rates, seen)
    wanted = changed_since(study, since)
    places = shown.thinned() if wanted is None else np.flatnonzero(seen & wanted)
    traces = shown.traces(places, color)
    data = traces + shown.best_trace()
    return Figure(
        data=data,
        layout=shown.layout(color),
        summary=shown.summary(None if wanted is not None else len(places)),
        table=shown.table(),
        traces=None if wanted is None else shown.uids(color),
    )


def _uid(kind: str) -> str:
    """What the trace of a verdict is called: Plotly makes it a part of class names."""
    return kind or "unjudged"


def _why_empty(study: StudyPoints, across: str) -> str:
    if not study.judged.any():
        return "No trial has finished yet."
    return f"No finished trial has a number for {words(across)}."


class _Shown:
    """The trials of the figure, and where each stands."""

    def __init__(self, study: StudyPoints, across: str, rates: Floats, seen: Mask) -> None:
        self._study, self._across, self._rates, self._seen = study, across, rates, seen
        self._verdict = study.points.verdict
        self._off = off_scale(study, seen)
        self._logarithmic = study.logarithmic(across)
        self._values = study.worth[seen & ~self._off]
        self._rail = rail_of(study, self._off)

    def thinned(self) -> Any:
        """The places of the points that are drawn: all, or as many as there is room for."""
        places = np.flatnonzero(self._seen)
        if len(places) <= MOST_POINTS:
            return places
        with np.errstate(divide="ignore", invalid="ignore"):
            across = np.log10(self._rates[places]) if self._logarithmic else self._rates[places]
            up = self._study.worth[places]
            up = np.log10(up) if self._values.size and self._values.min() > 0 else up
        off = self._off[places]
        floor = float(np.min(up[~off])) if (~off).any() else 0.0
        verdict = self._verdict[places]
        kinds = 2 * sum(number * (verdict == kind) for number, kind in enumerate(KINDS)) + off
        kept = places == self._study.best
        chosen = spread(
            np.where(np.isfinite(across), across, 0), np.where(off, floor, up), THINNED, kinds=kinds, kept=kept
        )
        return places[chosen]

    def uids(self, color: str) -> list[str]:
        """Those of all traces that the whole figure has."""
        parts = {"": ~self._off, "-rail": self._off} | ({"-key": self._seen} if color == "steps" else {})
        kinds = [
            (f"{_uid(kind)}{part}", self._seen & (self._verdict == kind) & mask)
            for part, mask in parts.items()
            for kind in KINDS
        ]
        return [uid for uid, mask in kinds if mask.any()] + [trace["uid"] for trace in self.best_trace()]

    def traces(self, places: Any, color: str) -> list[dict[str, Any]]:
        """A trace for each verdict that there is, its points on the scale and those on the rail."""
        found = []
        for kind in KINDS:
            mine = places[self._verdict[places] == kind]
            looks = sign(kind or None)
            on, off = mine[~self._off[mine]], mine[self._off[mine]]
            for uid, some in ((_uid(kind), on), (f"{_uid(kind)}-rail", off)):
                if len(some):
                    found.append(self._trace(uid, some, looks.words, self._marker(looks, some, color)))
        if color == "steps":
            # What a sign means is said in no colour of the scale.
            return found + [self._key(kind) for kind in KINDS if (self._seen & (self._verdict == kind)).any()]
        # A verdict has one entry in the legend, wherever its points stand.
        named = set()
        for trace in found:
            trace["showlegend"] = trace["name"] not in named
            named.add(trace["name"])
        return found

    def _key(self, kind: str) -> dict[str, Any]:
        """An entry of the legend alone."""
        looks = sign(kind or None)
        return {
            "type": "scatter",
            "mode": "markers",
            "uid": f"{_uid(kind)}-key",
            "name": looks.words,
            "legendgroup": looks.words,
            "x": [None],
            "y": [None],
            "marker": {"symbol": looks.symbol, "size": 8, "color": "var(--faint)"},
        }

    def _marker(self, looks: Any, places: Any, color: str) -> dict[str, Any]:
        style = {"symbol": looks.symbol, "size": 8, "opacity": 0.8}
        if color == "verdict":
            return style | {"color": looks.color}
        return style | {"color": short(np.log10(np.maximum(self._study.steps[places], 1))), "coloraxis": "coloraxis"}

    def _trace(self, uid: str, places: Any, name: str, style: dict[str, Any]) -> dict[str, Any]:
        study, on_rail = self._study, uid.endswith("-rail")
        values = short(study.worth[places])
        said = [number(value) if value is not None else "not finite" for value in values]
        if study.target is not None:
            said = ["never" if value is None else one for value, one in zip(values, said, strict=True)]
        state = ["" if one == "complete" else f", {one}" for one in study.points.state[places].tolist()]
        return {
            "type": "scatter",
            "mode": "markers",
            "uid": uid,
            "name": name,
            "legendgroup": name,
            "x": short(self._rates[places]),
            "y": [0] * len(places) if on_rail else values,
            "yaxis": "y2" if on_rail else "y",
            "customdata": [
                list(one)
                for one in zip(
                    study.points.number[places].tolist(), whole(study.steps[places]), said, state, strict=True
                )
            ],
            "marker": style,
            "hovertemplate": f"trial %{{customdata[0]}}<br>{escaped(words(self._across))} %{{x:.4~g}}"
            + ("" if self._across == STEPS else "<br>%{customdata[1]} steps")
            + f"<br>{escaped(_short_title(study))} %{{customdata[2]}}<br>{name}%{{customdata[3]}}<extra></extra>",
            "showlegend": False,
            "meta": {"merge": True},
        }

    def best_trace(self) -> list[dict[str, Any]]:
        """A ring around the best trial."""
        best = self._study.best
        if best is None or not self._seen[best] or self._off[best]:
            return []
        return [
            {
                "type": "scatter",
                "mode": "markers",
                "uid": "best",
                "name": "best",
                "x": short(self._rates[[best]]),
                "y": short(self._study.worth[[best]]),
                "marker": {"symbol": "circle-open", "size": 18, "color": "var(--accent)", "line": {"width": 3}},
                "hoverinfo": "skip",
            }
        ]

    def layout(self, color: str) -> dict[str, Any]:
        """Axes, the stability limit, and what the colours mean."""
        study = self._study
        found = value_axes(title_of(study), self._values, rail=self._rail, rising=study.rising)
        limits = study.limits if self._across == RATE else ()
        shown = np.append(self._rates[self._seen], [limit.rate for limit in limits])
        found["xaxis"] = axis(escaped(words(self._across)), logarithmic=self._logarithmic, values=shown)
        found["shapes"] = [
            {
                "type": "line",
                "x0": limit.rate,
                "x1": limit.rate,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"dash": dash, "width": 1.5, "color": "var(--ink)"},
            }
            for limit, dash in zip(limits, ("dash", "dot"), strict=False)
        ]
        found["annotations"] = [
            line_label(
                f"stability limit {number(limit.rate)}<br>{limit.source}",
                limit.rate,
                shown,
                logarithmic=self._logarithmic,
                down=2 * place,
            )
            for place, limit in enumerate(limits)
        ]
        if not self._values.size:
            found["annotations"].append(all_off(study, self._rail))
        if color == "steps":
            steps = self._study.steps[self._seen]
            steps = steps[np.isfinite(steps)]
            ticks = _ticks(steps)
            found["coloraxis"] = {
                "colorscale": [[0, "var(--scale-weak)"], [0.5, "var(--scale-middle)"], [1, "var(--scale-strong)"]],
                "colorbar": {
                    "title": {"text": "steps", "side": "right"},
                    "tickvals": [float(np.log10(tick)) for tick in ticks],
                    "ticktext": [number(tick) for tick in ticks],
                },
            }
        return found

    def summary(self, drawn: int | None) -> str:
        """What the picture says."""
        study, count = self._study, int(np.count_nonzero(self._seen))
        said = f"{number(count)} trial{'' if count == 1 else 's'} by {words(self._across)}"
        if drawn is not None and drawn < count:
            said += f" ({number(drawn)} are drawn, the outermost and the best among them)"
        best = study.best
        if best is not None and self._seen[best] and not self._off[best]:
            said += (
                f": the best, trial {study.points.number[best]}, has {_short_title(study)} "
                f"{number(float(study.worth[best]))} at {number(float(self._rates[best]))}"
            )
        said += "."
        off = int(np.count_nonzero(self._off))
        if off:
            rates = self._rates[self._off]
            why = {"never": "never got there", "diverged": "diverged", "off scale": "are off the scale"}[
                self._rail or ""
            ]
            said += f" {number(off)} {why}, the lowest at {number(float(rates.min()))}."
        if study.limits and self._across == RATE:
            known = " and ".join(f"{number(limit.rate)} ({limit.source})" for limit in study.limits)
            said += f" The stability limit is {known}."
        excluded = int(np.count_nonzero(study.points.excluded))
        if excluded:
            said += f" {number(excluded)} excluded {'is' if excluded == 1 else 'are'} left out."
        return said

    def table(self) -> Table:
        """The best trials, or of a trade-off those of the best values."""
        study = self._study
        places = np.flatnonzero(self._seen)
        sign_of = -1.0 if study.rising else 1.0
        ranked = np.where(np.isfinite(study.worth), sign_of * study.worth, np.inf)[places]
        first = places[np.argsort(ranked, kind="stable")[:IN_TABLE]]
        rows = [
            [
                int(study.points.number[place]),
                float(self._rates[place]),
                *([] if self._across == STEPS else whole(study.steps[[place]])),
                float(study.worth[place]) if np.isfinite(study.worth[place]) else "not finite",
                sign(str(self._verdict[place]) or None).words,
            ]
            for place in first.tolist()
        ]
        steps = [] if self._across == STEPS else ["steps"]
        return Table([TRIAL, words(self._across), *steps, _short_title(study), "verdict"], rows)


def _short_title(study: StudyPoints) -> str:
    return STEPS if study.target is not None else words(study.metric)


def _ticks(values: Floats) -> list[int]:
    if not values.size:
        return []
    low, high = max(1.0, float(values.min())), max(1.0, float(values.max()))
    powers = [10**power for power in range(int(np.ceil(np.log10(low))), int(np.floor(np.log10(high))) + 1)]
    return powers if len(powers) > 1 else sorted({int(low), int(high)})
