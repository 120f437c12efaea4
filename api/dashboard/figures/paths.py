"""The ways of descents down a landscape: what is drawn of each by when, and what is said of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.dashboard.figures.clipping import Point, clipped, inside
from api.dashboard.figures.heights import Height
from api.dashboard.format import number
from api.dashboard.signs import OVERSHOOTS, Sign, sign
from tuner.service.landscape import LandscapePath

TURNING = 0.6
"""The share of updates that turn back from which on a descent is said to jump from side to side."""


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


def rate_of(path: LandscapePath) -> float:
    """The learning rate of a descent."""
    rate = path.parameters["learning_rate"]
    assert isinstance(rate, int | float)  # noqa: S101 (descents have one)
    return float(rate)


def panel_of(
    path: LandscapePath,
    *,
    frames: Sequence[int],
    frame: Sequence[tuple[float, float]],
    height: Height,
    limit: float | None,
    href: str | None,
) -> Panel:
    """A descent as it is shown.

    Args:
        path: where it went.
        frames: the steps at which the player stops, ascending.
        frame: low and high of each axis of the picture; empty where there is none.
        height: how losses stand.
        limit: the rate from which on descent is unstable, where it is known.
        href: of the page of its trial.
    """
    points = [(*on, height(loss) or 0.0) for on, loss in zip(path.coordinates, path.losses, strict=True)]
    drawn, upto = clipped(points, frame)
    # The last point at or before each frame's step; a descent that has ended stays where it is.
    at, place = [], -1
    for step in frames:
        while place + 1 < len(path.steps) and path.steps[place + 1] <= step:
            place += 1
        at.append(place)
    left = _left(path, points=points, drawn=drawn, upto=upto, frame=frame, frames=frames) if frame else None
    if left is not None:
        # Who has left crosses the picture with every jump, and that shows nothing any more.
        drawn = drawn[: drawn.index(tuple(left["point"])) + 1]
    gone = left is not None or path.outcome == "left_finite_numbers"
    look = _look(path)
    rate = rate_of(path)
    share = "" if limit is None else f"{number(float(f'{rate / limit:.2g}'))} × the stability limit"
    return Panel(
        title=(f"trial {path.number}: " if path.number is not None else "")
        + f"learning rate {number(float(f'{rate:.3g}'))}",
        note=share,
        said=_said_of_leaving(path, gone=gone) if gone or path.verdict == "diverged" else _said(path, limit),
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
        mark=[list(points[place]) if place >= 0 and inside(points[place], frame) else None for place in at],
        curve={
            "x": path.steps,
            "y": [height(loss) for loss in path.losses],
            "text": [number(float(f"{loss:.4g}")) for loss in path.losses],
        },
        at=at,
        left=left,
        href=href,
    )


def _look(path: LandscapePath) -> Sign:
    """The sign of its verdict; of a descent that is no trial, of its way where that says what its loss does not."""
    if path.number is None and _turns(path) and path.verdict in {"too_slow", "improving", "plateaued"}:
        return OVERSHOOTS
    return sign(path.verdict)


def _said_of_leaving(path: LandscapePath, *, gone: bool) -> str:
    """How a descent moves that has left the picture for good (``gone``), or diverges within."""
    if path.verdict != "diverged":
        return "It jumps about, and out of the picture."
    if _turns(path):
        return "Each jump lands farther out."
    return "It leaves the picture." if gone else "It ends above where it began."


def _said(path: LandscapePath, limit: float | None) -> str:
    """How a descent moves that stays, for who sees one for the first time."""
    if path.losses and path.losses[-1] > path.losses[0]:
        return "It jumps about, and ends above where it began."
    if _turns(path):
        settled = path.verdict == "converged"
        return "It jumps from side to side, and settles." if settled else "It overshoots: it jumps from side to side."
    if path.verdict in {"converged", "improving"} and any(loss > path.losses[0] for loss in path.losses):
        return "It jumps about at first, and then comes down."
    if path.verdict == "too_slow" and limit is not None and rate_of(path) >= limit / 2:
        return "It walks down, and takes more steps than these."
    return {
        "too_slow": "It creeps, and is not there yet.",
        "converged": "It walks down, and settles.",
        "improving": "It is on its way down.",
        "plateaued": "It falls no more.",
        "oscillating": "It jumps about.",
    }.get(path.verdict or "", "")


def _turns(path: LandscapePath) -> bool:
    return path.turns_back is not None and path.turns_back > TURNING


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
    seen = [place for place, point in enumerate(points) if inside(point, frame)]
    if not seen or seen[-1] == len(points) - 1:
        return None
    place = seen[-1]
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
