"""The history: what each trial was worth, and the best so far, against whatever counts."""

import math
from typing import Any

import numpy as np
import pytest

from api.dashboard.figures.figure import Figure
from api.dashboard.figures.history import MOST_POINTS, history
from tests.api.dashboard.figures.looking import drawn, merged, numbers, places, points, study, why


def best_of(figure: Figure) -> dict[str, Any]:
    [best] = [trace for trace in figure.data if trace["uid"] == "best"]
    assert best["line"]["shape"] == "hv"
    return best


LOSSES = [0.5, 0.7, math.nan, 0.2, 0.2, 0.1, 0.9]


def test_the_best_so_far_steps_down_and_holds_until_the_end() -> None:
    figure = drawn(history(study(points(LOSSES))))
    assert numbers(figure, "trials") == [0, 1, 3, 4, 5, 6]
    assert numbers(figure, "trials-rail") == [2]
    assert (best_of(figure)["x"], best_of(figure)["y"]) == ([0, 3, 5, 6], [0.5, 0.2, 0.1, 0.1])
    assert "went from 0.5 to 0.1 in 3 improvements, the last by trial 5." in figure.summary
    assert figure.table is not None
    assert [row[:2] for row in figure.table.rows] == [[0, 0.5], [3, 0.2], [5, 0.1]]


def test_where_all_diverged_it_says_so_in_the_empty_room() -> None:
    figure = drawn(history(study(points([1e9, math.inf], verdict=["diverged"] * 2))))
    assert numbers(figure) == [0, 1]
    assert [one["text"] for one in figure.layout["annotations"]] == ["every trial: diverged"]
    assert figure.layout["yaxis2"]["domain"] == [0, 1], "the rail has all the room"
    assert "annotations" not in drawn(history(study(points(LOSSES)))).layout


def test_of_what_rises_it_steps_up() -> None:
    figure = drawn(history(study(points([0.5, 0.7, 0.6]), {"maximize": "accuracy"})))
    assert best_of(figure)["y"] == [0.5, 0.7, 0.7]


def test_of_the_fewest_steps_it_steps_down_whichever_way_the_metric_goes() -> None:
    goal = {"minimize": "steps", "until": {"accuracy": {"at_least": 0.9}}}
    figure = drawn(history(study(points([50, math.nan, 20]), goal)))
    assert best_of(figure)["y"] == [50, 20, 20]
    assert figure.layout["yaxis2"]["ticktext"] == ["never"]


def test_against_evaluations_trials_stand_where_they_ended() -> None:
    found = points([0.5, 0.4, 0.3], gradient_evaluations=[10, 100, 1], finished_at=[1e9, 1e9 + 9, 1e9 + 5])
    figure = drawn(history(study(found), by="evaluations"))
    assert places(figure)["trials"] == {0: (10, 0.5), 1: (111, 0.4), 2: (11, 0.3)}
    assert (best_of(figure)["x"], best_of(figure)["y"]) == ([10, 11, 111], [0.5, 0.3, 0.3])
    assert figure.layout["xaxis"]["title"]["text"] == "gradient evaluations spent by trials"


@pytest.mark.parametrize(
    ("gap", "unit", "at"), [(1, "s", 60), (60, "min", 1), (7200, "h", 1 / 60), (86_400 * 5, "days", 60 / 86_400)]
)
def test_against_time_the_unit_fits(gap: float, unit: str, at: float) -> None:
    found = points([0.5, 0.4, 0.3], finished_at=[1e9, 1e9 + gap, 1e9 + 2 * gap])
    figure = drawn(history(study(found), by="time"))
    assert figure.layout["xaxis"]["title"]["text"] == f"time since the first trial began ({unit})"
    assert places(figure)["trials"][0][0] == pytest.approx(at, rel=1e-4)


def test_a_change_put_into_a_figure_makes_the_figure_of_now() -> None:
    before, after = points(LOSSES[:4]), points(LOSSES)
    for by in ("trials", "evaluations", "time"):
        change = drawn(history(study(after), by=by, since=4))
        whole = drawn(history(study(after), by=by))
        assert numbers(change) == [4, 5, 6]
        assert merged(drawn(history(study(before), by=by)), change) == places(whole)
        assert best_of(change) == best_of(whole)


def test_of_a_hundred_thousand_trials_the_extremes_are_drawn() -> None:
    losses = np.random.default_rng(0).lognormal(0, 1, 100_000)
    losses[70_000] = 1e-9
    figure = drawn(history(study(points(losses))))
    assert len(numbers(figure)) == MOST_POINTS
    assert {0, 70_000, 99_999} <= set(numbers(figure))
    exact = np.flatnonzero(losses < np.r_[np.inf, np.minimum.accumulate(losses)[:-1]])
    assert best_of(figure)["x"] == [*exact.tolist(), 99_999]


def test_with_nothing_finite_it_says_so() -> None:
    figure = drawn(history(study(points([math.nan, math.inf]))))
    assert "none has a finite value" in figure.summary
    assert why(history(study(points([])))) == "No trial yet."
    assert why(history(study(points([math.nan], state=["running"])))) == "No trial has finished yet."
