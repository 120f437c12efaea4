"""The ground of a landscape, drawn once: as a contour, as a curve where there is one parameter, as a surface in 3-D."""

from collections.abc import Sequence
from typing import Any

from api.dashboard.figures.clipping import inside
from api.dashboard.figures.heights import Height, extent, ticks
from api.dashboard.format import number
from tuner.service.landscape import LandscapeAxis, LandscapeView

COLORS = [[0, "var(--landscape-low)"], [1, "var(--landscape-high)"]]


def _title(axis: LandscapeAxis) -> str:
    return axis.label if axis.explained is None else f"{axis.label} ({100 * axis.explained:.2g} %)"


def ground(view: LandscapeView, height: Height) -> dict[str, Any]:
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


def _line(axis: LandscapeAxis, heights: Sequence[float | None], height: Height) -> dict[str, Any]:
    low, high = extent([value for value in heights if value is not None])
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
        "yaxis": {"title": {"text": "loss"}, "range": [low, high], **ticks(height, low, high)},
        "showlegend": False,
    }
    return {"data": [trace], "layout": layout}


def _minimum(view: LandscapeView) -> list[dict[str, Any]]:
    """The known minimum as a mark, where it is in the picture."""
    known = view.minimum
    if known is None or known.coordinates is None:
        return []
    if not inside(tuple(known.coordinates), [(axis.values[0], axis.values[-1]) for axis in view.axes]):
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


def surface(view: LandscapeView, height: Height) -> dict[str, Any]:
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
