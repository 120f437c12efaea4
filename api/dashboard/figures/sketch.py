"""A landscape small: lines of equal loss and one descent, as an SVG picture that a list of objectives can show."""

import math
from itertools import pairwise

import numpy as np

from api.dashboard.figures.clipping import clipped
from tuner.analysis.isolines import isoline
from tuner.service.landscape import LandscapeView

WIDTH, HEIGHT, LEVELS = 240.0, 160.0, 11

STYLE = (
    "svg{color-scheme:light dark}"
    ".low{fill:light-dark(#eef3ee,#20282a)}"
    ".lines{fill:none;stroke:light-dark(#5d9c89,#3f8f7c);stroke-width:1}"
    ".way{fill:none;stroke:light-dark(#1b2023,#e8eae8);stroke-width:1.5;stroke-linejoin:round;stroke-linecap:round}"
    ".dots{stroke-width:4}"
    ".end{fill:light-dark(#14624f,#63c5a9)}"
)
"""A picture is a document of its own: the page's style sheet does not reach into it."""


def sketch(view: LandscapeView | None) -> str:
    """The SVG. One parameter makes a curve, and no view an empty picture."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}"><style>{STYLE}</style>'
        f'<rect class="low" width="{WIDTH:g}" height="{HEIGHT:g}"/>{"" if view is None else _drawn(view)}</svg>'
    )


def _drawn(view: LandscapeView) -> str:
    path = view.paths[0]
    frame = [(axis.values[0], axis.values[-1]) for axis in view.axes]
    if len(view.axes) == 1:
        finite = [value for value in view.values[0] if math.isfinite(value)] or [0.0]
        frame.append((min(finite) - 0.05 * (max(finite) - min(finite)), max(finite) or 1.0))
        curve = list(zip(view.axes[0].values, view.values[0], strict=True))
        ground = "M" + "L".join(_at(point, frame) for point in curve if math.isfinite(point[1]))
        points = [(on[0], loss) for on, loss in zip(path.coordinates, path.losses, strict=True)]
    else:
        ground = _contour(np.array(view.values))
        points = [(on[0], on[1]) for on in path.coordinates]
    drawn = [None if point is None else _at((point[0], point[1]), frame) for point in clipped(points, frame)[0]]
    way = "".join(f"M{one}L{other}" for one, other in pairwise(drawn) if one is not None and other is not None)
    dots = "".join(f"M{one}h0" for one in drawn if one is not None)
    ends = [one.split() for one in drawn[-1:] if one is not None]
    return (
        f'<path class="lines" d="{ground}"/>'
        f'<path class="way" d="{way}"/><path class="way dots" d="{dots}"/>'
        + "".join(f'<circle class="end" cx="{x}" cy="{y}" r="5"/>' for x, y in ends)
    )


def _at(point: tuple[float, float], frame: list[tuple[float, float]]) -> str:
    (left, right), (bottom, top) = frame
    x, y = (point[0] - left) / (right - left), (point[1] - bottom) / ((top - bottom) or 1.0)
    return f"{WIDTH * x:.1f} {HEIGHT * (1 - y):.1f}"


def _contour(values: np.ndarray) -> str:
    """Lines at levels that part the grid into equal areas: every shape shows, whatever its losses span."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return ""
    if finite.min() > 0:
        # Levels are the same lines; between points of the grid a loss is nearer to an exponential than to a line.
        values, finite = np.log(values), np.log(finite)
    rows, columns = values.shape
    pieces = []
    for level in np.unique(np.quantile(finite, np.linspace(0, 1, LEVELS + 2)[1:-1] ** 1.5)):
        for (x, y), (to_x, to_y) in isoline(values, float(level)):
            begin = f"{x / (columns - 1) * WIDTH:.1f} {HEIGHT * (1 - y / (rows - 1)):.1f}"
            pieces.append(f"M{begin}L{to_x / (columns - 1) * WIDTH:.1f} {HEIGHT * (1 - to_y / (rows - 1)):.1f}")
    return "".join(pieces)
