"""The first step at which a curve reaches a target."""

import math

import numpy as np

from tuner.analysis.reaching import first_reached

STEPS = np.array([0, 2, 5, 9])


def first(values: list[float], target: float, *, rising: bool = False) -> int | None:
    return first_reached(STEPS, np.array(values), target, rising=rising)


def test_the_first_step_counts_whatever_comes_later() -> None:
    assert first([3.0, 1.0, 2.0, 0.5], 1.0) == 2
    assert first([3.0, 1.0, 2.0, 0.5], 0.9) == 9
    assert first([0.1, 0.7, 0.6, 0.9], 0.65, rising=True) == 2


def test_a_target_that_is_met_exactly_is_reached() -> None:
    assert first([3.0, 2.0, 1.0, 0.5], 1.0) == 5
    assert first([0.0, 0.25, 0.5, 0.5], 0.5, rising=True) == 5


def test_what_is_not_finite_reaches_nothing() -> None:
    assert first([math.nan, -math.inf, math.inf, math.nan], 1.0) is None
    assert first([0.1, math.inf, math.nan, 0.2], 0.9, rising=True) is None
    assert first_reached(np.array([], dtype=np.int64), np.array([]), 1.0) is None
