"""The front of trajectories against brute force over all their points."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tuner.analysis.front import front, knee

Curves = list[tuple[int, NDArray[np.int64], NDArray[np.float64]]]


def drawn(seed: int) -> Curves:
    rng = np.random.default_rng(seed)
    found: Curves = []
    for owner in range(rng.integers(1, 12)):
        steps = np.unique(rng.integers(0, 60, rng.integers(1, 40)))
        # Few distinct values, so that there are ties; some are no numbers.
        values = rng.integers(-5, 20, len(steps)).astype(float)
        values[rng.random(len(steps)) < 0.1] = rng.choice([math.nan, math.inf, -math.inf])
        found.append((owner, steps, values))
    return found


def by_brute_force(curves: Curves, sign: float) -> list[tuple[int, float]]:
    points = {
        (int(step), sign * float(value))
        for _, steps, values in curves
        for step, value in zip(steps, values, strict=True)
        if math.isfinite(value)
    }
    undominated = [one for one in points if not any(o != one and o[0] <= one[0] and o[1] <= one[1] for o in points)]
    return [(step, sign * value) for step, value in sorted(undominated)]


@pytest.mark.parametrize("rising", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_the_front_is_what_no_other_point_beats(seed: int, rising: bool) -> None:
    curves = drawn(seed)
    found = front(curves, rising=rising)
    assert list(zip(found.steps.tolist(), found.values.tolist(), strict=True)) == by_brute_force(
        curves, -1.0 if rising else 1.0
    )
    for step, value, owner in zip(found.steps, found.values, found.owners, strict=True):
        _, steps, values = curves[owner]
        assert values[steps == step] == value
        # Of equals the first.
        assert not any(((steps == step) & (values == value)).any() for _, steps, values in curves[:owner])


def test_one_trajectory_answers_for_all_its_lengths() -> None:
    losses = np.array([8.0, 4.0, 2.0, 1.0])
    found = front([(7, np.arange(4), losses)])
    assert found.steps.tolist() == [0, 1, 2, 3]
    assert found.values.tolist() == losses.tolist()
    assert set(found.owners.tolist()) == {7}


def test_no_trajectory_no_front() -> None:
    assert len(front([]).steps) == 0
    assert len(front([(0, np.arange(2), np.array([math.nan, math.inf]))]).steps) == 0


@pytest.mark.parametrize("most", [2, 5, 50])
def test_a_long_front_is_thinned_to_points_of_it_with_both_ends(most: int) -> None:
    whole = front([(0, np.arange(10_000), 1.0 / np.arange(1, 10_001))])
    thin = whole.thinned(most)
    assert 2 <= len(thin.steps) <= most
    assert (thin.steps[0], thin.steps[-1]) == (0, 9_999)
    assert np.array_equal(thin.values, 1.0 / (thin.steps + 1))
    assert np.all(np.diff(thin.steps) > 0)
    assert whole.thinned(10_000) is whole


def test_a_front_bends_where_it_is_farthest_from_the_line_between_its_ends() -> None:
    # Of 1/x from 1 to 100 that is where its slope is that of the line: at the root of both.
    costs = np.arange(1.0, 101.0)
    place = knee(costs, 1 / costs)
    assert place is not None
    assert costs[place] == 10
    # Scales and places of the axes do not matter.
    assert knee(5 + 3 * costs, 1e6 / costs - 7) == place
    for straight in (costs[:2], 100 - costs, -(costs**2), np.ones(100)):
        assert knee(costs[: len(straight)], straight) is None
