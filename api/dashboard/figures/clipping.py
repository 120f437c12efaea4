"""Lines cut at the frame of a picture, and drawn so far as they lie inside."""

import math
from collections.abc import Sequence

Point = tuple[float, ...]
"""In one dimension (x, height), in two (x, y, height)."""


def clipped(points: Sequence[Point], frame: Sequence[tuple[float, float]]) -> tuple[list[Point | None], list[int]]:
    """What lies inside the frame of the line through these points, and how much of it is drawn after each point.

    Where the line comes back it begins anew after a gap, None. After Liang and Barsky, "A new concept and method for
    line clipping" (1984). Coordinates beyond the frame's are carried along. Without a frame all of it is inside.
    """
    drawn: list[Point | None] = []
    upto = []
    for place, point in enumerate(points):
        if place == 0:
            if inside(point, frame):
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


def inside(point: Point, frame: Sequence[tuple[float, float]]) -> bool:
    """Whether a point lies between low and high of each axis."""
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
