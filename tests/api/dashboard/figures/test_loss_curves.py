"""Loss curves: whose are shown, how far they are drawn, and over what."""

import math
from typing import Any

import numpy as np
import pytest

from api.dashboard.figures.figure import Figure
from api.dashboard.figures.loss_curves import MOST_CURVES, POINTS_IN_ALL, loss_curves, numbers_of
from tests.api.dashboard.figures.looking import drawn, points, study, why
from tuner.service.trajectories import Trajectory


def curve(number: int, values: Any, first: int = 0) -> Trajectory:
    losses = np.array(values, dtype=float)
    return Trajectory(number, {}, np.arange(first, first + len(losses)), losses)


def trace_of(figure: Figure, number: int) -> dict[str, Any]:
    [found] = [trace for trace in figure.data if trace["uid"] == f"trial-{number}"]
    return found


def test_the_best_are_those_of_the_lowest_losses_and_the_diverged_come_last() -> None:
    found = points(
        [0.5, math.nan, 0.1, 0.3, 1e-9, 0.2, 0.4],
        verdict=["", "diverged", "", "", "diverged", "", ""],
        state=["complete"] * 6 + ["failed"],
    )
    assert numbers_of(study(found)) == [2, 5, 3, 0, 4]
    assert numbers_of(study(found, {"maximize": "accuracy"})) == [0, 3, 5, 2, 4]
    running = points([0.5, math.nan], state=["complete", "running"], best_value=[math.nan, 0.1])
    assert numbers_of(study(running)) == [1, 0]


def test_of_many_trials_all_ranks_are_shown() -> None:
    many = study(points(np.arange(1000.0)))
    shown = numbers_of(many, "all")
    assert len(shown) == MOST_CURVES
    assert (shown[0], shown[-1]) == (0, 999)


def test_a_curve_is_drawn_by_its_steps() -> None:
    figure = drawn(loss_curves(study(points([0.1])), [curve(0, [1.0, 0.5, 0.1])], [0]))
    trace = trace_of(figure, 0)
    assert (trace["x"], trace["y"]) == ([0, 1, 2], [1.0, 0.5, 0.1])
    assert trace["name"] == "trial 0, learning rate 1"
    assert figure.layout["yaxis"]["type"] == "log"
    assert "Loss of 1 trial along its steps: trial 0 goes from 1 to 0.1 at learning rate 1." in figure.summary
    assert figure.table is not None
    assert figure.table.rows == [[0, 1.0, 10, 1.0, 0.1, 0.1, "no verdict"]]


def test_a_diverging_curve_is_drawn_until_it_leaves() -> None:
    grows = [1.0, -3.0, 9.0, 81.0, 1e6, math.inf]
    curves = [curve(0, [1.0, 0.5, 0.1]), curve(1, grows), curve(2, [1.0, math.nan, 0.5, math.nan])]
    figure = drawn(loss_curves(study(points([0.1, math.nan, math.nan])), curves, [0, 1, 2], scale="linear"))
    assert trace_of(figure, 1)["y"] == [1.0, -3.0, 9.0, 81.0]
    assert trace_of(figure, 2)["y"] == [1.0, 0.5], "a measurement that failed is no end"
    [left] = [trace for trace in figure.data if trace["uid"] == "left"]
    assert (left["x"], left["y"]) == ([3, 2], [81.0, 0.5])
    assert left["customdata"] == [[1, 4], [2, 3]]
    assert "2 leave the chart." in figure.summary


def test_a_high_jump_that_comes_back_is_drawn_whole() -> None:
    figure = drawn(loss_curves(study(points([0.1])), [curve(0, [1.0, 1e5, 0.1])], [0]))
    assert trace_of(figure, 0)["y"] == [1.0, 1e5, 0.1]


@pytest.mark.parametrize(("evaluations", "expected"), [(20, [0, 4, 8]), (0, [0, 1, 2])])
def test_over_evaluations_a_step_is_what_it_took(evaluations: int, expected: list[float]) -> None:
    found = points([0.1], gradient_evaluations=[evaluations], steps_run=[5])
    figure = drawn(loss_curves(study(found), [curve(0, [1.0, 0.5, 0.1])], [0], align="evaluation"))
    assert trace_of(figure, 0)["x"] == expected
    assert figure.layout["xaxis"]["title"]["text"] == "gradient evaluations of the trial"


def test_losses_that_are_not_positive_are_on_a_linear_scale() -> None:
    figure = drawn(loss_curves(study(points([-0.1])), [curve(0, [1.0, -0.1])], [0]))
    assert figure.layout["yaxis"]["type"] == "linear"


def test_a_target_is_a_line() -> None:
    goal = {"minimize": "steps", "until": {"loss": 0.2}}
    figure = drawn(loss_curves(study(points([2.0]), goal), [curve(0, [1.0, 0.5, 0.1])], [0]))
    [line] = figure.layout["shapes"]
    assert line["y0"] == line["y1"] == 0.2


def test_many_long_curves_are_thinned_and_keep_their_extremes() -> None:
    rng = np.random.default_rng(0)
    many = [curve(number, rng.lognormal(size=5000)) for number in range(40)]
    figure = drawn(loss_curves(study(points([0.1] * 40)), many, range(40)))
    assert sum(len(trace["x"]) for trace in figure.data) <= POINTS_IN_ALL
    for one in many:
        shown = trace_of(figure, one.number)["y"]
        assert min(shown) == pytest.approx(one.values.min(), rel=1e-5)
        assert max(shown) == pytest.approx(one.values.max(), rel=1e-5)


def test_a_change_is_the_curves_that_changed() -> None:
    curves = [curve(0, [1.0, 0.5]), curve(1, [1.0, 0.6]), curve(2, [1.0, math.inf])]
    figure = drawn(loss_curves(study(points([0.5, 0.6, math.nan])), curves, [0, 1, 2], since=1))
    assert figure.traces == ["trial-0", "trial-1", "trial-2", "left"]
    assert [trace["uid"] for trace in figure.data] == ["trial-1", "trial-2", "left"]


def test_with_no_curve_it_says_why() -> None:
    assert why(loss_curves(study(points([])), [], [])) == "No trial yet."
    ended, began = study(points([0.1])), study(points([0.1], state=["running"]))
    assert why(loss_curves(ended, [], [0])) == "Trial 0 has reported no loss along its way: there is no curve to draw."
    assert why(loss_curves(began, [], [0])) == "Trial 0 has reported no loss yet."
    assert why(loss_curves(study(points([0.1, 0.2])), [], [0, 1])).startswith(
        "No trial has reported a loss along its way"
    )


@pytest.mark.parametrize(("steps", "tick"), [(3, 1), (300, None)])
def test_few_steps_have_a_tick_each(steps: int, tick: int | None) -> None:
    figure = drawn(loss_curves(study(points([0.1])), [curve(0, np.linspace(1, 0.1, steps))], [0]))
    assert figure.layout["xaxis"].get("dtick") == tick
