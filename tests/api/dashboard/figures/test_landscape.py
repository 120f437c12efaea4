"""Descents on their landscape: what lies inside the picture, what is drawn of it when, and what is said."""

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from api.dashboard.figures.clipping import clipped
from api.dashboard.figures.landscape import descents
from api.dashboard.figures.sketch import sketch
from tuner.definition import ObjectiveChoice
from tuner.service import landscape
from tuner.service.landscape import LandscapeAxis, LandscapeMinimum, LandscapePath, LandscapeView
from tuner.trial import Outcome

PLAIN = {"update_rule": "gradient_descent"}
UNIT = [(0.0, 1.0), (0.0, 1.0)]


def tried(name: str, *rates: float, steps: int = 20, resolution: int | None = 9, **settings: Any) -> LandscapeView:
    choice = ObjectiveChoice(name=name, settings=settings)
    return landscape.preview(choice, list(rates) or None, steps=steps, method=PLAIN, resolution=resolution)


def view(coordinates: list[list[float]], losses: list[float], **changes: Any) -> LandscapeView:
    """A view over the unit square, or the unit interval, with one path."""
    axes = [LandscapeAxis(label=label, values=[0.0, 0.5, 1.0], explained=None) for label in "xy"[: len(coordinates[0])]]
    path: dict[str, Any] = {
        "number": None,
        "parameters": {"learning_rate": 0.1, "steps": len(losses) - 1},
        "steps": list(range(len(losses))),
        "coordinates": coordinates,
        "losses": losses,
        "outcome": Outcome.RAN_ITS_STEPS,
        "cut": False,
        "turns_back": 0.0,
        "verdict": "converged",
        "advice": "",
    }
    fields: dict[str, Any] = {
        "objective": "o",
        "axes": axes,
        "values": [[1.0, 0.1, 1.0]] * (3 if len(axes) == 2 else 1),
        "paths": [LandscapePath(**path | changes)],
        "minimum": None,
        "gradient_evaluations": 0,
    }
    return LandscapeView(**fields)


def test_a_line_is_cut_at_the_frame_and_begins_anew_where_it_comes_back() -> None:
    points = [(0.5, 0.5, 0.0), (2.5, 0.5, 4.0), (2.5, 3.0, 9.0), (0.5, 3.0, 9.0), (0.5, 0.0, 3.0)]
    drawn, upto = clipped(points, UNIT)
    assert drawn == [(0.5, 0.5, 0.0), (1.0, 0.5, 1.0), None, (0.5, 1.0, 5.0), (0.5, 0.0, 3.0)]
    assert upto == [1, 2, 2, 2, 5]


def test_a_line_that_only_crosses_is_drawn_from_side_to_side() -> None:
    drawn, upto = clipped([(-1.0, -1.0), (2.0, 2.0), (-1.0, 5.0)], UNIT)
    assert drawn == [pytest.approx((0.0, 0.0)), pytest.approx((1.0, 1.0))]
    assert upto == [0, 2, 2]


@pytest.mark.parametrize("far", [1e300, -1e308, 1.7e308])
def test_a_jump_as_far_as_doubles_go_is_cut(far: float) -> None:
    [begin, end], _ = clipped([(0.5, 0.5), (far, 0.5)], UNIT)
    assert begin == (0.5, 0.5)
    assert end == pytest.approx((1.0 if far > 0 else 0.0, 0.5))


def test_cut_lines_lie_inside_and_on_the_line() -> None:
    rng = np.random.default_rng(3)
    points = [tuple(point) for point in rng.normal(0.5, 1.0, (200, 2))]
    drawn, upto = clipped(points, UNIT)
    assert upto == sorted(upto)
    for point in drawn:
        assert point is None or all(-1e-9 <= value <= 1 + 1e-9 for value in point)
    # By sampling: as much of the way is drawn as lies inside.
    sampled = np.concatenate([np.linspace(a, b, 2001) for a, b in pairwise(points)])
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    inside = ((sampled >= 0) & (sampled <= 1)).all(axis=1).reshape(-1, 2001).mean(axis=1) @ lengths
    pairs = pairwise(drawn)
    assert sum(math.dist(a, b) for a, b in pairs if a is not None and b is not None) == pytest.approx(inside, rel=0.01)


def test_without_a_frame_all_of_it_is_drawn() -> None:
    points = [(1.0, 2.0), (1e9, 0.0)]
    assert clipped(points, []) == (points, [1, 2])


def test_a_frame_tells_what_is_drawn_by_then() -> None:
    [panel] = descents(view([[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]], [1.0, 0.1, 0.01])).panels
    assert panel.upto == [1, 2, 3]
    assert panel.mark == [[0.1, 0.1, 0.0], [0.5, 0.5, -1.0], [0.9, 0.9, -2.0]]
    assert panel.path == {"x": [0.1, 0.5, 0.9], "y": [0.1, 0.5, 0.9], "z": [0.0, -1.0, -2.0]}
    assert panel.curve == {"x": [0, 1, 2], "y": [0.0, -1.0, -2.0], "text": ["1", "0.1", "0.01"]}
    assert panel.left is None


def test_who_leaves_for_good_is_followed_to_the_edge_and_no_further() -> None:
    coordinates = [[0.5, 0.5], [0.5, 4.5], [0.5, 0.25], [0.75, 0.25], [2.75, 0.25], [-9.0, 0.25]]
    shown = descents(view(coordinates, [1.0, 2.0, 1.0, 1.5, 8.0, 64.0], verdict="diverged"))
    [panel] = shown.panels
    assert panel.left is not None
    assert panel.left["words"] == "left the picture at step 4"
    assert panel.left["frame"] == 4
    assert panel.left["point"][:2] == [1.0, 0.25]
    assert panel.left["angle"] == pytest.approx(90)
    assert panel.path["x"][-1] == 1.0
    assert panel.upto[4:] == [len(panel.path["x"])] * 2
    assert [mark is None for mark in panel.mark] == [False, True, False, False, True, True]
    assert "left the picture at step 4" in shown.summary
    assert shown.table["rows"][0][-1] == "left the picture at step 4"


def test_descents_of_different_lengths_share_their_frames() -> None:
    shown = descents(tried("line_fit", 0.1, 0.0001, 10, steps=120, seed=5))
    assert [panel.title for panel in shown.panels] == [f"learning rate {rate}" for rate in ("0.0001", "0.1", "10")]
    assert shown.frames == list(range(121))
    for panel in shown.panels:
        assert len(panel.upto) == len(panel.mark) == len(panel.at) == 121
        assert panel.upto[-1] <= len(panel.path["x"]) == len(panel.path["z"])
        assert panel.at[-1] == len(panel.curve["x"]) - 1
    assert shown.panels[-1].name == "verdict-diverged"
    assert shown.limit == pytest.approx(0.7755, abs=5e-5)
    assert shown.panels[1].note == "0.13 × the stability limit"


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("line_fit", {"seed": 5}),
        ("quadratic", {"dimension": 1}),
        ("quadratic", {"condition_number": 10.0}),
        ("linear_regression", {}),
    ],
)
def test_the_four_rates_say_what_they_show(name: str, settings: dict[str, Any]) -> None:
    shown = descents(tried(name, steps=40, resolution=None, **settings))
    assert [(panel.words, panel.said) for panel in shown.panels] == [
        ("too slow", "It creeps, and is not there yet."),
        ("converged", "It walks down, and settles."),
        ("overshoots", "It overshoots: it jumps from side to side."),
        ("diverged", "Each jump lands farther out."),
    ]
    assert [panel.glyph for panel in shown.panels] == ["■", "●", "✚", "▲"]
    assert len({panel.color for panel in shown.panels}) == 4


def test_of_a_trial_the_verdict_stays_and_its_way_is_said_beside_it() -> None:
    across = [[0.2, 0.2], [0.8, 0.7], [0.25, 0.3], [0.7, 0.6]]
    told = {"number": 3, "turns_back": 1.0}
    [panel] = descents(view(across, [1.0, 0.9, 0.8, 0.7], verdict="too_slow", **told)).panels
    assert (panel.words, panel.said) == ("too slow", "It overshoots: it jumps from side to side.")
    [panel] = descents(view(across, [1.0, 0.9, 0.8, 0.7], **told)).panels
    assert (panel.words, panel.said) == ("converged", "It jumps from side to side, and settles.")
    [panel] = descents(view(across, [1.0, 0.9, 0.8, 1.7], verdict="oscillating", **told)).panels
    assert panel.said == "It jumps about, and ends above where it began."


def test_a_landscape_is_drawn_by_the_logarithm_with_its_minimum() -> None:
    found = tried("line_fit", 0.1, steps=200, resolution=9, seed=5)
    shown = descents(found)
    assert shown.ground is not None
    contour, minimum = shown.ground["data"]
    np.testing.assert_allclose(10 ** np.array(contour["z"]), found.values, rtol=2e-4)
    assert contour["type"] == "contour"
    assert [minimum["x"][0], minimum["y"][0]] == pytest.approx([0.1, 0.5], abs=0.02)
    assert shown.ground["layout"]["xaxis"]["title"]["text"] == "w"
    assert shown.ground["layout"]["yaxis"]["range"] == [found.axes[1].values[0], found.axes[1].values[-1]]
    assert shown.surface is not None
    assert shown.surface["data"][0]["z"] == contour["z"]
    colors = json.dumps([shown.ground, shown.surface])
    assert "#" not in colors
    assert "rgb" not in colors


def test_a_minimum_outside_the_picture_is_not_marked() -> None:
    near = view([[0.5, 0.5]], [1.0])
    assert len(descents(near).ground["data"]) == 1  # type: ignore[index]
    for coordinates, marks in (([0.5, 0.5], 2), ([0.5, 1.5], 1)):
        known = near.model_copy(update={"minimum": LandscapeMinimum(loss=0.0, coordinates=coordinates)})
        assert len(descents(known).ground["data"]) == marks  # type: ignore[index]


def test_of_many_parameters_it_is_said_what_the_plane_leaves_out() -> None:
    shown = descents(tried("quadratic", 0.9, 1.5))
    assert shown.ground is not None
    assert shown.ground["layout"]["xaxis"]["title"]["text"] == "direction 1 (89 %)"
    assert "The rest does not show" in shown.note
    assert "seen from here" in shown.ground["data"][1]["hovertemplate"]


def test_one_parameter_makes_a_curve_and_no_surface() -> None:
    shown = descents(tried("quadratic", 0.5, 2.5, dimension=1))
    assert shown.surface is None
    assert shown.ground is not None
    [curve] = shown.ground["data"]
    assert curve["type"] == "scatter"
    low, high = shown.ground["layout"]["yaxis"]["range"]
    assert low < min(value for value in curve["y"] if value is not None) < high
    assert all(len(mark) == 2 for panel in shown.panels for mark in panel.mark if mark)
    assert set(shown.panels[0].path) == {"x", "y"}


def test_losses_that_are_none_for_a_logarithm_are_drawn_as_they_are() -> None:
    shown = descents(view([[0.1, 0.1], [0.2, 0.2]], [1.0, -3.0]))
    assert not shown.logarithmic
    assert shown.panels[0].curve["y"] == [1.0, -3.0]
    assert "tickvals" not in shown.curve["yaxis"]


def test_a_loss_of_zero_stands_at_the_smallest_that_is_not() -> None:
    shown = descents(view([[0.1, 0.1], [0.2, 0.2]], [1.0, 0.0]))
    assert shown.logarithmic
    assert shown.panels[0].curve == {"x": [0, 1], "y": [0.0, -1.0], "text": ["1", "0"]}


def test_what_is_not_finite_never_reaches_the_page() -> None:
    rough = view([[0.1, 0.1]], [1.0]).model_copy(update={"values": [[math.inf, 1.0, math.nan]] * 3})
    shown = descents(rough)
    json.dumps(shown.document(), allow_nan=False)
    assert shown.ground is not None
    assert shown.ground["data"][0]["z"][0] == [None, 0.0, None]
    assert shown.scale == ["1", "1"]
    json.dumps(descents(tried("line_fit", 0.9, 1e4, steps=2000, seed=5)).document(), allow_nan=False)


def test_a_loss_curve_that_only_rises_leaves_at_the_top() -> None:
    shown = descents(tried("line_fit", 0.1, 0.9, steps=200, seed=5))
    low, high = shown.curve["yaxis"]["range"]
    heights = shown.panels[1].curve["y"]
    assert low < min(shown.panels[0].curve["y"])
    assert max(heights) > high > heights[0] + 1


@pytest.mark.parametrize(("low", "high"), [(1e-9, 1e9), (0.3, 40), (0.2, 0.9), (0.61, 0.62), (5, 5)])
def test_axes_of_losses_have_a_few_marks_within(low: float, high: float) -> None:
    axis = descents(view([[0.1, 0.1], [0.2, 0.2]], [low, high])).curve["yaxis"]
    assert 2 <= len(axis["tickvals"]) == len(axis["ticktext"]) <= 6
    assert all(axis["range"][0] <= mark <= axis["range"][1] for mark in axis["tickvals"])
    assert len(set(axis["ticktext"])) == len(axis["ticktext"])


def test_marks_of_losses_are_round_and_written_alike() -> None:
    def marks(low: float, high: float) -> list[str]:
        texts: list[str] = descents(view([[0.1, 0.1], [0.2, 0.2]], [high, low])).curve["yaxis"]["ticktext"]
        return texts

    assert marks(2.293, 2.412) == ["2.3", "2.35", "2.4"]
    assert marks(5.0, 5.0004) == ["5", "5.0001", "5.0002", "5.0003", "5.0004"]
    assert marks(1e-4, 2.4) == ["0.0001", "0.01", "1"]
    assert marks(1e-6, 2.4)[0] == "10<sup>\N{MINUS SIGN}6</sup>"


def test_without_a_grid_there_are_curves_alone() -> None:
    shown = descents(tried("line_fit", 0.1, resolution=None, seed=5))
    assert (shown.ground, shown.surface, shown.scale) == (None, None, [])
    assert shown.summary.startswith("The losses of one descent")


def test_a_trial_has_its_number_and_its_page() -> None:
    numbered = view([[0.1, 0.1]], [1.0], number=7, verdict=None, advice=None)
    [panel] = descents(numbered, ["/studies/s/trials/7"]).panels
    assert (panel.title, panel.href) == ("trial 7: learning rate 0.1", "/studies/s/trials/7")
    assert (panel.words, panel.advice) == ("no verdict", "")


def test_a_descent_that_was_never_finite_is_an_empty_panel() -> None:
    nowhere = view([[0.5, 0.5]], [1.0]).model_copy(deep=True)
    nowhere.paths[0].steps, nowhere.paths[0].coordinates, nowhere.paths[0].losses = [], [], []
    json.dumps(descents(nowhere).document(), allow_nan=False)


@pytest.mark.parametrize(("name", "settings"), [("line_fit", {}), ("quadratic", {"dimension": 1}), ("rosenbrock", {})])
def test_a_sketch_is_a_picture_of_the_lines_and_the_way(name: str, settings: dict[str, Any]) -> None:
    drawn = sketch(tried(name, 0.001, resolution=15, **settings))
    assert drawn.count("<path") == 3
    assert "nan" not in drawn
    assert 'class="end"' in drawn


def test_without_a_view_a_sketch_is_empty() -> None:
    assert "<path" not in sketch(None)
