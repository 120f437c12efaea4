"""The loss landscape and the descents on it, as the player of a page takes them: drawn once, shown step by step.

Beside Plotly's traces and layouts there is a timetable: *frames* are the steps at which the player stops, the same for
all descents, and for each frame it is said how much of a path is drawn, and where the descent is. So what the browser
does to play them is to cut lists.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from api.dashboard.format import number
from api.dashboard.signs import sign
from tuner.service.landscape import LandscapeAxis, LandscapePath, LandscapeView, ObjectivePreview

Point = tuple[float, ...]
"""In one dimension (x, height), in two (x, y, height)."""

HIGHEST = 100.0
"""How many times the loss of the start a loss curve that rises is shown up to."""

TURNING = 0.6
"""The share of updates that turn back from which on a descent is said to jump from side to side."""

COLORS = [[0, "var(--landscape-low)"], [1, "var(--landscape-high)"]]


@dataclass(frozen=True)
class Panel:
    """One descent.

    path: traces' coordinates of all that is drawn of it, with gaps (None); upto[frame]: how many of them; mark[frame]:
    where it is then, None while it is outside; at[frame]: the same on its curve. left: after which frame it does not
    come back into the picture, at which step, and an arrow there.
    """

    title: str
    note: str
    said: str
    advice: str
    words: str
    glyph: str
    name: str
    color: str
    symbol: str
    path: dict[str, list[float | None]]
    upto: list[int]
    mark: list[list[float] | None]
    curve: dict[str, Sequence[Any]]
    at: list[int]
    left: dict[str, Any] | None
    href: str | None = None


@dataclass(frozen=True)
class Descents:
    """Everything that the player shows. ``ground`` is one figure, ``surface`` the same in 3-D where there are two axes.

    scale: the ends of the colour scale, lowest first, as losses. curve: the layout of every loss curve. logarithmic:
    whether heights are logarithms of losses, to base ten.
    """

    frames: list[int]
    panels: list[Panel]
    ground: dict[str, Any] | None
    surface: dict[str, Any] | None
    curve: dict[str, Any]
    scale: list[str]
    logarithmic: bool
    limit: float | None
    summary: str
    note: str
    table: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def descents(view: LandscapeView, addresses: Sequence[str] | None = None) -> Descents:
    """The descents of a view by ascending rate. ``addresses``: of the pages of its trials, one a path."""
    order = sorted(range(len(view.paths)), key=lambda place: _rate(view.paths[place]))
    paths = [view.paths[place] for place in order]
    limit = view.limit if isinstance(view, ObjectivePreview) else None
    height = _Height.of(
        [*(value for row in view.values for value in row), *(loss for path in paths for loss in path.losses)]
    )
    frame = [(axis.values[0], axis.values[-1]) for axis in view.axes] if view.values else []
    frames = sorted({step for path in paths for step in path.steps})
    panels = [
        _panel(
            path,
            frames=frames,
            frame=frame,
            height=height,
            limit=limit,
            href=None if addresses is None else addresses[place],
        )
        for place, path in zip(order, paths, strict=True)
    ]
    return Descents(
        frames=frames,
        panels=panels,
        ground=_ground(view, height) if view.values else None,
        surface=_surface(view, height) if len(frame) == 2 else None,
        curve=_curve_layout(paths, view, height),
        scale=_scale(view),
        logarithmic=height.floor is not None,
        limit=limit,
        summary=_summary(view, panels),
        note=_note(view),
        table={
            "columns": ["Learning rate", "Verdict", "Steps", "Loss at the end", "In the picture"],
            "rows": [
                [
                    number(_rate(path)),
                    panel.words,
                    number(path.steps[-1] if path.steps else 0),
                    number(path.losses[-1] if path.losses else None),
                    panel.left["words"] if panel.left else "to its end",
                ]
                for path, panel in zip(paths, panels, strict=True)
            ],
        },
    )


def clipped(points: Sequence[Point], frame: Sequence[tuple[float, float]]) -> tuple[list[Point | None], list[int]]:
    """What lies inside the frame of the line through these points, and how much of it is drawn after each point.

    Where the line comes back it begins anew after a gap, None. After Liang and Barsky, "A new concept and method for
    line clipping" (1984). Coordinates beyond the frame's are carried along. Without a frame all of it is inside.
    """
    drawn: list[Point | None] = []
    upto = []
    for place, point in enumerate(points):
        if place == 0:
            if _inside(point, frame):
                drawn.append(point)
        else:
            part = _segment(points[place - 1], point, frame)
            if part is not None:
                begin, end = part
                if not drawn or drawn[-1] != begin:
                    drawn += [None, begin] if drawn else [begin]
                drawn.append(end)
        upto.append(len(drawn))
    return drawn, upto


def _inside(point: Point, frame: Sequence[tuple[float, float]]) -> bool:
    return all(low <= value <= high for value, (low, high) in zip(point, frame, strict=False))


def _segment(begin: Point, end: Point, frame: Sequence[tuple[float, float]]) -> tuple[Point, Point] | None:
    """The part inside the frame of the line between two points; None where there is none."""
    first, last = 0.0, 1.0
    for one, other, (low, high) in zip(begin, end, frame, strict=False):
        way = other - one
        if way == 0 or not math.isfinite(way):
            if not low <= one <= high:
                return None
            continue
        near, far = sorted(((low - one) / way, (high - one) / way))
        first, last = max(first, near), min(last, far)
    if first > last:
        return None
    return _between(begin, end, first), _between(begin, end, last)


def _between(begin: Point, end: Point, share: float) -> Point:
    if share in {0.0, 1.0}:
        return end if share else begin
    return tuple(one + share * (other - one) for one, other in zip(begin, end, strict=True))


@dataclass(frozen=True)
class _Height:
    """How a loss is drawn: by its logarithm where every loss is positive, as losses span magnitudes."""

    floor: float | None
    """Losses of 0 are drawn at this; None: losses are drawn as they are."""

    @classmethod
    def of(cls, losses: Sequence[float]) -> "_Height":
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


def _rate(path: LandscapePath) -> float:
    rate = path.parameters["learning_rate"]
    assert isinstance(rate, int | float)  # noqa: S101 (descents have one)
    return float(rate)


def _panel(
    path: LandscapePath,
    *,
    frames: Sequence[int],
    frame: Sequence[tuple[float, float]],
    height: _Height,
    limit: float | None,
    href: str | None,
) -> Panel:
    points = [(*on, height(loss) or 0.0) for on, loss in zip(path.coordinates, path.losses, strict=True)]
    drawn, upto = clipped(points, frame)
    # The last point at or before each frame's step; a descent that has ended stays where it is.
    at, place = [], -1
    for step in frames:
        while place + 1 < len(path.steps) and path.steps[place + 1] <= step:
            place += 1
        at.append(place)
    ended = path.outcome is not None and path.outcome.value == "left_finite_numbers"
    left = _left(path, points=points, drawn=drawn, upto=upto, frame=frame, frames=frames) if frame else None
    if left is not None:
        # Who has left crosses the picture with every jump, and that shows nothing any more.
        drawn = drawn[: drawn.index(tuple(left["point"])) + 1]
    look = sign(path.verdict)
    rate = _rate(path)
    share = "" if limit is None else f"{number(float(f'{rate / limit:.2g}'))} × the stability limit"
    return Panel(
        title=(f"trial {path.number}: " if path.number is not None else "")
        + f"learning rate {number(float(f'{rate:.3g}'))}",
        note=share,
        said=_said(path, left is not None or ended),
        advice=path.advice or "",
        words=look.words,
        glyph=look.glyph,
        name=look.name,
        color=look.color,
        symbol=look.symbol,
        path={
            axis: [None if point is None else point[index] for point in drawn]
            for index, axis in enumerate("xyz"[: len(points[0]) if points else 3])
        },
        upto=[min(upto[place], len(drawn)) if place >= 0 else 0 for place in at],
        mark=[list(points[place]) if place >= 0 and _inside(points[place], frame) else None for place in at],
        curve={
            "x": path.steps,
            "y": [height(loss) for loss in path.losses],
            "text": [number(float(f"{loss:.4g}")) for loss in path.losses],
        },
        at=at,
        left=left,
        href=href,
    )


def _said(path: LandscapePath, gone: bool) -> str:
    """How the descent moves, for who sees one for the first time."""
    if gone:
        return "Each jump lands farther out." if (path.turns_back or 0) > TURNING else "It leaves the picture."
    if path.turns_back is not None and path.turns_back > TURNING:
        return "It jumps from side to side."
    return {
        "too_slow": "It creeps, and is not there yet.",
        "converged": "It walks down, and settles.",
        "improving": "It is on its way down.",
        "plateaued": "It falls no more.",
        "oscillating": "It jumps about.",
        "diverged": "It ends above where it began.",
    }.get(path.verdict or "", "")


def _left(
    path: LandscapePath,
    *,
    points: Sequence[Point],
    drawn: Sequence[Point | None],
    upto: Sequence[int],
    frame: Sequence[tuple[float, float]],
    frames: Sequence[int],
) -> dict[str, Any] | None:
    """Where a path leaves the picture for good; None where it ends inside."""
    inside = [place for place, point in enumerate(points) if _inside(point, frame)]
    if not inside or inside[-1] == len(points) - 1:
        return None
    place = inside[-1]
    edge = drawn[upto[place + 1] - 1]
    assert edge is not None  # noqa: S101 (a line's end is a point)
    begin, step = points[place], path.steps[place + 1]
    shares = [(end - one) / (high - low) for one, end, (low, high) in zip(begin, edge, frame, strict=False)]
    across, up = shares[0], shares[1] if len(shares) > 1 else 0.0
    return {
        "frame": next(index for index, at in enumerate(frames) if at >= step),
        "words": f"left the picture at step {number(step)}",
        "point": list(edge),
        # Plotly's, in degrees clockwise from upwards.
        "angle": math.degrees(math.atan2(across, up)),
    }


def _title(axis: LandscapeAxis) -> str:
    return axis.label if axis.explained is None else f"{axis.label} ({100 * axis.explained:.2g} % of the way)"


def _ground(view: LandscapeView, height: _Height) -> dict[str, Any]:
    """The landscape as a contour; of one parameter, as a curve."""
    heights = [[height(value) for value in row] for row in view.values]
    if len(view.axes) == 1:
        return _line(view.axes[0], heights[0], height)
    axes = list(zip("xy", view.axes, strict=True))
    trace: dict[str, Any] = {
        "type": "contour",
        **{name: axis.values for name, axis in axes},
        "z": heights,
        "text": [[number(float(f"{value:.3g}")) for value in row] for row in view.values],
        "colorscale": COLORS,
        "showscale": False,
        "ncontours": 24,
        "contours": {"coloring": "heatmap"},
        "line": {"color": "var(--landscape-line)", "width": 0.7},
        "hovertemplate": "<br>".join(
            [*(f"{axis.label} %{{{name}:.3g}}" for name, axis in axes), "loss %{text}<extra></extra>"]
        ),
    }
    layout: dict[str, Any] = {
        f"{name}axis": {
            "title": {"text": _title(axis), "font": {"size": 12}},
            "range": [axis.values[0], axis.values[-1]],
            "nticks": 5,
            "showgrid": False,
            "zeroline": False,
        }
        for name, axis in axes
    }
    return {"data": [trace, *_minimum(view)], "layout": layout | {"showlegend": False}}


def _line(axis: LandscapeAxis, heights: Sequence[float | None], height: _Height) -> dict[str, Any]:
    low, high = _range([value for value in heights if value is not None])
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": axis.values,
        "y": heights,
        "line": {"color": "var(--accent)", "width": 1.5},
        "hoverinfo": "skip",
    }
    layout = {
        "xaxis": {"title": {"text": _title(axis)}, "range": [axis.values[0], axis.values[-1]]},
        "yaxis": {"title": {"text": "loss"}, "range": [low, high], **_ticks(height, low, high)},
        "showlegend": False,
    }
    return {"data": [trace], "layout": layout}


def _minimum(view: LandscapeView) -> list[dict[str, Any]]:
    """The known minimum as a mark, where it is in the picture."""
    known = view.minimum
    if known is None or known.coordinates is None:
        return []
    if not _inside(tuple(known.coordinates), [(axis.values[0], axis.values[-1]) for axis in view.axes]):
        return []
    projected = ", seen from here" if view.axes[0].explained is not None else ""
    loss = "" if known.loss is None else f": loss {number(known.loss)}"
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": known.coordinates[:1],
            "y": known.coordinates[1:],
            "marker": {"symbol": "x-thin", "size": 11, "line": {"width": 2, "color": "var(--ink)"}},
            "hovertemplate": f"the minimum{projected}{loss}<extra></extra>",
        }
    ]


def _surface(view: LandscapeView, height: _Height) -> dict[str, Any]:
    """The landscape as a surface."""
    heights = [[height(value) for value in row] for row in view.values]
    trace = {
        "type": "surface",
        "x": view.axes[0].values,
        "y": view.axes[1].values,
        "z": heights,
        "colorscale": COLORS,
        "showscale": False,
        "lighting": {"ambient": 0.95, "diffuse": 0.25, "specular": 0.01},
        "contours": {"z": {"show": True, "color": "var(--landscape-line)", "width": 1}},
        "hoverinfo": "skip",
    }
    small = {"size": 11}
    layout = {
        "scene": {
            "xaxis": {"title": {"text": view.axes[0].label, "font": small}, "nticks": 4, "tickfont": small},
            "yaxis": {"title": {"text": view.axes[1].label, "font": small}, "nticks": 4, "tickfont": small},
            "zaxis": {"title": {"text": ""}, "showticklabels": False},
            "aspectratio": {"x": 1, "y": 1, "z": 0.65},
            "camera": {"eye": {"x": 1.2, "y": -1.25, "z": 1.05}, "center": {"x": 0, "y": 0, "z": -0.2}},
        },
        "showlegend": False,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
    }
    return {"data": [trace], "layout": layout}


def _ticks(height: _Height, low: float, high: float) -> dict[str, Any]:
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


def _range(heights: Sequence[float], highest: float = math.inf) -> tuple[float, float]:
    """From the lowest to the highest of these, or so high at most, with some air."""
    low, high = min(heights, default=0.0), min(max(heights, default=1.0), highest)
    air = 0.06 * (high - low) or 0.5
    return low - air, high + air


def _curve_layout(paths: Sequence[LandscapePath], view: LandscapeView, height: _Height) -> dict[str, Any]:
    """Of the loss curves: one range for all of them, in which those that rise leave at the top."""
    heights = [drawn for path in paths for loss in path.losses if (drawn := height(loss)) is not None]
    starts = max((path.losses[0] for path in paths if path.losses), default=1.0)
    low, high = _range(heights, height(starts + HIGHEST * abs(starts)) or math.inf)
    layout: dict[str, Any] = {
        "xaxis": {
            "title": {"text": "step"},
            "range": [0, max((path.steps[-1] for path in paths if path.steps), default=1) or 1],
            "nticks": 6,
        },
        "yaxis": {"title": {"text": "loss"}, "range": [low, high], **_ticks(height, low, high)},
        "showlegend": False,
    }
    at = None if view.minimum is None or view.minimum.loss is None else height.exactly(view.minimum.loss)
    if at is not None and low <= at <= high:
        line = {"color": "var(--faint)", "width": 1, "dash": "dot"}
        layout["shapes"] = [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at, "line": line}]
    return layout


def _scale(view: LandscapeView) -> list[str]:
    finite = [value for row in view.values for value in row if math.isfinite(value)]
    return [number(float(f"{value:.2g}")) for value in (min(finite), max(finite))] if finite else []


def _summary(view: LandscapeView, panels: Sequence[Panel]) -> str:
    parts = [f"{panel.title} {panel.words}" + (f", {panel.left['words']}" if panel.left else "") for panel in panels]
    where = " and ".join(axis.label for axis in view.axes)
    drawn = f"The loss over {where}, with" if view.values else "The losses of"
    descents_of = "one descent" if len(panels) == 1 else f"{len(panels)} descents from the same start"
    return f"{drawn} {descents_of}: {'; '.join(parts)}."


def _note(view: LandscapeView) -> str:
    """What the picture leaves out."""
    shares = [axis.explained for axis in view.axes if axis.explained is not None]
    if not shares:
        return ""
    return (
        f"Seen on the plane of the paths' two main directions, which hold {100 * sum(shares):.3g} % of the way. "
        "The rest does not show: a path may seem to cross a hill that it goes round."
    )
