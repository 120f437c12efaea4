"""The benchmark's own objectives: their gradients, and the promises of the protocol."""

from typing import Any

import numpy as np
import pytest

from benchmarks.problems import DESIGN, HELD_OUT, PROBLEMS, Problem
from tuner.objectives import evaluate, registered, start

OURS = [problem for problem in PROBLEMS if problem.objective not in registered()]


def near_the_start(problem: Problem, rows: int) -> Any:
    """Points (B, D) around the start, in its dtype."""
    begin = start(problem.create(), problem.initial_seed)
    return (begin + 0.05 * np.random.default_rng(0).normal(size=(rows, len(begin)))).astype(begin.dtype)


@pytest.mark.parametrize("problem", OURS, ids=lambda problem: problem.name)
def test_gradients_are_those_of_the_loss(problem: Problem) -> None:
    objective = problem.create()
    [point] = near_the_start(problem, 1)
    single = point.dtype == np.float32
    direction = np.random.default_rng(1).normal(size=len(point))
    direction /= np.linalg.norm(direction)
    step = 3e-3 if single else 1e-5
    ends = np.stack([point + step * direction, point - step * direction]).astype(point.dtype)
    (above, below), _ = evaluate(objective, ends)
    _, [gradient] = evaluate(objective, point[np.newaxis])
    taken = ends[0].astype(np.float64) - ends[1]
    assert above - below == pytest.approx(float(gradient @ taken), rel=2e-2 if single else 1e-6)


@pytest.mark.parametrize("problem", OURS, ids=lambda problem: problem.name)
def test_a_row_does_not_depend_on_its_company(problem: Problem) -> None:
    objective = problem.create()
    points = near_the_start(problem, 11)
    values, gradients = evaluate(objective, points)
    for row in (0, 7, 10):
        value, gradient = evaluate(objective, points[row : row + 1])
        np.testing.assert_array_equal(value, values[row : row + 1])
        np.testing.assert_array_equal(gradient, gradients[row : row + 1])


@pytest.mark.parametrize("problem", OURS, ids=lambda problem: problem.name)
def test_far_away_nothing_is_raised(problem: Problem) -> None:
    with np.errstate(all="ignore"):
        values, _ = evaluate(problem.create(), near_the_start(problem, 1) * 1e30)
    assert values.shape == (1,)


def test_the_halves_have_the_same_kinds_and_no_problem_in_common() -> None:
    assert len(DESIGN) == len(HELD_OUT) == 20
    assert len({problem.name for problem in PROBLEMS}) == len({problem.key for problem in PROBLEMS}) == 40
    kinds = [{problem.objective for problem in half} - {"raw_iris"} for half in (DESIGN, HELD_OUT)]
    assert kinds[0] == kinds[1]
