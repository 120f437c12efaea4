"""The surface of rates and steps."""

import math

import numpy as np

from api.dashboard.figures.rate_steps import rate_steps
from tests.api.dashboard.figures.looking import drawn, numbers, points, study, why
from tuner.service.surface import RateSurface


def surface(values: list[list[float | None]], rates: list[float], steps: list[int], **changes: object) -> RateSurface:
    given = {"metric": "loss", "direction": "minimize", "parameter": "learning_rate", "within": False}
    given |= {"trials": 9, "finished": 20} | changes
    return RateSurface.model_validate(given | {"values": values, "rates": rates, "steps": steps})


VALUES: list[list[float | None]] = [[0.9, 0.8, 1.5], [0.8, 0.01, 1e3], [0.7, 0.001, math.inf], [None, 0.0001, math.inf]]


def test_losses_are_heights_and_what_diverged_is_apart() -> None:
    found = surface(VALUES, [0.01, 0.1, 1.0], [1, 10, 100, 200])
    figure = drawn(rate_steps(study(points([0.1, 0.2, 0.3])), found))
    heights = next(trace for trace in figure.data if trace["uid"] == "surface")
    expected = np.array([[0.9, 0.8, 1.5], [0.8, 0.01, np.nan], [0.7, 0.001, np.nan], [np.nan, 0.0001, np.nan]])
    shown = np.array([[np.nan if cell is None else cell for cell in row] for row in heights["z"]])
    np.testing.assert_allclose(10**shown, expected, rtol=1e-5)
    assert heights["colorbar"]["ticktext"] == ["0.0001", "0.001", "0.01", "0.1", "1"]
    diverged = next(trace for trace in figure.data if trace["uid"] == "diverged")
    assert diverged["z"] == [[None] * 3, [None, None, 1], [None, None, 1], [None, None, 1]]
    assert "The best is 0.0001, after 200 steps at 0.1. Diverged from 1 up." in figure.summary
    assert "from 9 of 20 finished trials" in figure.summary
    assert figure.table is not None
    assert figure.table.rows == [[1, 0.1, 0.8], [10, 0.1, 0.01], [100, 0.1, 0.001], [200, 0.1, 0.0001]]


def test_trials_lie_on_it() -> None:
    found = surface(VALUES, [0.01, 0.1, 1.0], [1, 10, 100, 200])
    figure = drawn(rate_steps(study(points([0.1, 0.05, 0.3])), found))
    assert numbers(figure, "trials") == [0, 1, 2]
    best = next(trace for trace in figure.data if trace["uid"] == "best")
    assert (best["x"], best["y"]) == ([0.5], [10])
    many = study(points(np.arange(5000.0)[::-1] + 1))
    shown = numbers(drawn(rate_steps(many, found)), "trials")
    assert len(shown) == 300
    assert 4999 in shown, "the best"


def test_of_what_rises_the_best_is_the_highest() -> None:
    found = surface([[0.1, 0.2, 0.3], [0.4, 0.9, 0.5], [0.4, 0.8, 0.5]], [1, 2, 3], [1, 2, 3], direction="maximize")
    figure = drawn(rate_steps(study(points([0.1, 0.9, 0.3]), {"maximize": "loss"}), found))
    assert "The best is 0.9, after 2 steps at 2." in figure.summary


def test_with_too_little_it_says_why() -> None:
    found = study(points([0.1]))
    assert "finished" in why(rate_steps(found, surface([], [], [])))
    assert "there is one" in why(rate_steps(found, surface([[1.0]], [0.1], [5])))
    assert "there are two" in why(rate_steps(found, surface([[1.0, 2.0]], [0.1, 0.2], [5])))
    assert "numbers of steps" in why(rate_steps(found, surface([[1.0, 2.0, 3.0]], [0.1, 0.2, 0.3], [5])))
    lost: list[list[float | None]] = [[math.inf] * 3] * 3
    assert "Every trial diverged" in why(rate_steps(found, surface(lost, [0.1, 0.2, 0.3], [1, 2, 3])))
