"""The loss landscape and the descents on it, as the player of a page takes them: drawn once, shown step by step.

Beside Plotly's traces and layouts there is a timetable: *frames* are the steps at which the player stops, the same for
all descents, and for each frame it is said how much of a path is drawn, and where the descent is. So what the browser
does to play them is to cut lists.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from api.dashboard.figures.ground import ground, surface
from api.dashboard.figures.heights import Height, extent, ticks
from api.dashboard.figures.paths import Panel, panel_of, rate_of
from api.dashboard.format import number
from tuner.service.landscape import LandscapePath, LandscapeView, ObjectivePreview

HIGHEST = 100.0
"""How many times the loss of the start a loss curve that rises is shown up to."""


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
    order = sorted(range(len(view.paths)), key=lambda place: rate_of(view.paths[place]))
    paths = [view.paths[place] for place in order]
    limit = view.limit if isinstance(view, ObjectivePreview) else None
    height = Height.of(
        [*(value for row in view.values for value in row), *(loss for path in paths for loss in path.losses)]
    )
    frame = [(axis.values[0], axis.values[-1]) for axis in view.axes] if view.values else []
    frames = sorted({step for path in paths for step in path.steps})
    panels = [
        panel_of(
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
        ground=ground(view, height) if view.values else None,
        surface=surface(view, height) if len(frame) == 2 else None,
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
                    number(rate_of(path)),
                    panel.words,
                    number(path.steps[-1] if path.steps else 0),
                    number(path.losses[-1] if path.losses else None),
                    panel.left["words"] if panel.left else "to its end",
                ]
                for path, panel in zip(paths, panels, strict=True)
            ],
        },
    )


def _curve_layout(paths: Sequence[LandscapePath], view: LandscapeView, height: Height) -> dict[str, Any]:
    """Of the loss curves: one range for all of them, in which those that rise leave at the top."""
    heights = [drawn for path in paths for loss in path.losses if (drawn := height(loss)) is not None]
    starts = max((path.losses[0] for path in paths if path.losses), default=1.0)
    low, high = extent(heights, height(starts + HIGHEST * abs(starts)) or math.inf)
    layout: dict[str, Any] = {
        "xaxis": {
            "title": {"text": "step"},
            "range": [0, max((path.steps[-1] for path in paths if path.steps), default=1) or 1],
            "nticks": 6,
        },
        "yaxis": {"title": {"text": "loss"}, "range": [low, high], **ticks(height, low, high)},
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
