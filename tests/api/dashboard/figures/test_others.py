"""Range tests, importance, fronts, and the small line in a list."""

import datetime
import math
import re
from typing import Any

import pytest

from api.dashboard.figures.front import front
from api.dashboard.figures.importance import importance
from api.dashboard.figures.range_test import range_test
from api.dashboard.figures.sparkline import MOST_POINTS, sparkline
from tests.api.dashboard.figures.looking import drawn, why
from tuner.service.importance import Importance, Share
from tuner.service.pareto import FrontPoint, Pareto
from tuner.service.range_tests import StoredRangeTest


def a_test(**changes: Any) -> StoredRangeTest:
    given = {
        "id": 1,
        "source": "client",
        "created_at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        "rates": [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0],
        "losses": [1.0, 0.9, 0.5, 0.1, 0.5, math.inf],
        "smoothed": [1.0, 0.9, 0.5, 0.1],
        "points": 6,
        "minimum": 0.1,
        "tenth_of_minimum": 0.01,
        "steepest": 0.02,
        "range": {"low": 0.001, "high": 0.1},
        "statement": "The loss is lowest at the rate 0.1.",
        "parameters": None,
        "gradient_evaluations": 6,
    }
    return StoredRangeTest.model_validate(given | changes)


def test_a_range_test_shows_its_curve_and_what_it_suggests() -> None:
    figure = drawn(range_test([a_test(), a_test(id=0, minimum=None)]))
    assert [trace["uid"] for trace in figure.data] == ["losses-1", "losses-0", "smoothed"]
    assert figure.data[0]["y"] == [1.0, 0.9, 0.5, 0.1, 0.5, None]
    assert [shape["x0"] for shape in figure.layout["shapes"]] == [0.001, 0.01, 0.02, 0.1]
    assert [label["text"] for label in figure.layout["annotations"]] == [
        "a tenth of the bottom 0.01",
        "steepest fall 0.02",
        "bottom 0.1",
    ]
    assert figure.summary == "The loss is lowest at the rate 0.1. 1 earlier one beside it."


def test_a_range_test_that_says_nothing_is_shown_all_the_same() -> None:
    silent = dict.fromkeys(("minimum", "tenth_of_minimum", "steepest", "range"))
    figure = drawn(range_test([a_test(**silent, smoothed=[], losses=[math.nan] * 6, statement="It says nothing.")]))
    assert figure.layout["shapes"] == []
    assert figure.summary == "It says nothing."
    assert "range-tests" in why(range_test([]))


def test_the_most_important_parameter_is_at_the_top() -> None:
    shares = [Share(name="learning_rate", share=0.8), Share(name="steps", share=0.2)]
    figure = drawn(importance(Importance(parameters=shares, quantile=0.1, trials=50, finished=60)))
    assert (figure.data[0]["y"], figure.data[0]["x"]) == (["steps", "learning rate"], [20.0, 80.0])
    assert figure.summary == "Learning rate decides most, with 80 % of all importance. From 50 of 60 finished trials."


@pytest.mark.parametrize(("shares", "said"), [([0.0, 0.0], "No parameter decides"), ([1.0], "Only a is searched")])
def test_where_nothing_decides_it_says_so(shares: list[float], said: str) -> None:
    found = [Share(name="ab"[place], share=share) for place, share in enumerate(shares)]
    assert said in drawn(importance(Importance(parameters=found, quantile=0.1, trials=50, finished=60))).summary


def test_a_front_is_a_staircase() -> None:
    runs = [FrontPoint(number=n, steps=s, value=v, parameters={"lr": 0.1}) for n, s, v in ((4, 0, 2.0), (7, 50, 0.01))]
    found = Pareto(metric="loss", direction="minimize", points=runs, points_in_all=9, trials=5, finished=5)
    figure = drawn(front(found, rate="lr"))
    [line] = figure.data
    assert (line["x"], line["y"], line["line"]["shape"]) == ([0, 50], [2.0, 0.01], "hv")
    assert line["customdata"] == [[4, "0.1"], [7, "0.1"]]
    assert (
        "From loss 2 after 0 steps to 0.01 after 50: 9 runs that no other beats in both (2 are drawn)."
        in figure.summary
    )
    nothing = Pareto(metric="loss", direction="minimize", points=[], points_in_all=0, trials=0, finished=0)
    assert why(front(nothing)) == "No trial has finished yet."
    assert "finite" in why(front(nothing.model_copy(update={"finished": 3})))


def corners(path: str | None) -> list[tuple[str, float]]:
    assert path is not None
    return [(kind, float(value)) for kind, value in re.findall(r"([HV])(-?[0-9.]+)", path)]


def test_a_sparkline_steps_from_improvement_to_improvement() -> None:
    path = sparkline([(0, 4.0), (3, 3.0), (9, 2.0)], 100, width=100, height=24)
    assert path is not None
    assert path.startswith("M0.0,2.0H")
    at = [100 * math.log(number + 1) / math.log(101) for number in (3, 9)]
    assert corners(path) == [
        ("H", pytest.approx(at[0], abs=0.05)),
        ("V", 12.0),
        ("H", pytest.approx(at[1], abs=0.05)),
        ("V", 22.0),
        ("H", 100.0),
    ]


def test_a_sparkline_is_short_and_inside_its_box() -> None:
    many = [(number, 1e300 / 2.0**number) for number in range(500)]
    found = corners(sparkline(many, 10_000))
    assert len(found) <= 2 * MOST_POINTS
    assert all(0 <= value <= (120 if kind == "H" else 28) for kind, value in found)
    # On a log scale the fall is even.
    falls = [value for kind, value in found if kind == "V"]
    assert falls == sorted(falls)


def test_a_sparkline_of_nothing_is_none_and_of_one_is_level() -> None:
    assert sparkline([], 5) is None
    assert sparkline([(0, -3.0)], 1, width=50, height=20) == "M0.0,10.0H50.0"
    assert sparkline([(0, 1.7e308), (1, -1.7e308)], 2) is not None
