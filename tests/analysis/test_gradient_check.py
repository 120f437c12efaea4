"""A wrong gradient is found by one central difference, and no right one is called wrong."""

from typing import Any

import numpy as np
import pytest

from tuner.analysis.gradient_check import check_gradient
from tuner.objectives import create, registered, start


class Made:
    """An objective from two functions of a batch."""

    def __init__(self, value: Any, gradient: Any, dimension: int, dtype: Any = np.float64) -> None:
        self.value, self.gradient, self.dimension, self.dtype = value, gradient, dimension, dtype
        self.evaluations = 0

    def initial_parameters(self, seed: int) -> Any:
        return np.random.default_rng(seed).normal(size=self.dimension).astype(self.dtype)

    def value_and_gradient(self, x: Any) -> Any:
        self.evaluations += len(x)
        return self.value(x), self.gradient(x)


def square(factor: float = 1.0, dimension: int = 20, dtype: Any = np.float64) -> Made:
    """|x|², and its gradient times a factor."""
    return Made(lambda x: (x * x).sum(axis=1), lambda x: factor * 2 * x, dimension, dtype)


def check(objective: Any, seed: int = 0) -> Any:
    return check_gradient(objective, start(objective, seed), seed=seed)


@pytest.mark.parametrize("name", sorted(name for name in registered() if not name.endswith("bowl")))
@pytest.mark.parametrize("seed", range(5))
def test_the_gradients_of_our_own_objectives_are_right(name: str, seed: int) -> None:
    found = check(create(name, {}), seed)
    assert not found.wrong, found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.5, 0.9, 1.1, 2.0])
def test_a_gradient_off_by_a_factor_is_wrong_by_that_much(factor: float, dtype: Any) -> None:
    for seed in range(20):
        found = check(square(factor, dtype=dtype), seed)
        assert found.wrong
        expected = abs(1 - factor) / max(1.0, abs(factor))
        assert found.relative_error == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_wrong_component_of_few_is_found(dtype: Any) -> None:
    def gradient(x: Any) -> Any:
        wrong = 2 * x
        wrong[:, 1] = 0
        return wrong

    found = [check(Made(lambda x: (x * x).sum(axis=1), gradient, 3, dtype), seed).wrong for seed in range(50)]
    # A direction in which that component counts for little says little of it.
    assert sum(found) >= 40


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_rounding_is_no_error(dtype: Any, offset: float) -> None:
    """A large loss of which the gradient is a small part."""
    objective = Made(lambda x: offset + (x * x).sum(axis=1), lambda x: 2 * x, 1000, dtype)
    assert not any(check(objective, seed).wrong for seed in range(50))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kinks_are_no_error(dtype: Any) -> None:
    """Starts on either side of the kinks of |x|, and on them."""
    objective = Made(lambda x: np.abs(x).sum(axis=1), np.sign, 50, dtype)
    for seed in range(50):
        x = objective.initial_parameters(seed) * np.asarray(1e-3, dtype)
        assert not check_gradient(objective, x, seed=seed).wrong
    assert not check_gradient(objective, np.zeros(50, dtype), seed=0).wrong


def test_a_start_at_rest_and_one_outside_the_finite_numbers_say_nothing() -> None:
    flat = Made(lambda x: np.ones(len(x)), np.zeros_like, 4)
    assert check(flat).relative_error == 0
    assert not check(flat).wrong
    endless = Made(lambda x: np.full(len(x), np.inf), np.ones_like, 4)
    assert check(endless).relative_error is None
    assert not check(endless).wrong


def test_it_takes_two_evaluations() -> None:
    objective = square()
    check(objective)
    assert objective.evaluations == 2
