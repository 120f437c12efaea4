"""Rates that show what a learning rate does, against closed forms, counted to the row."""

import numpy as np
import pytest

from tuner.analysis.telling_rates import telling_rates
from tuner.analysis.verdict import Name, judge
from tuner.descent import Descent, Method, Row
from tuner.objectives import Array, Objective
from tuner.objectives.beale import Beale
from tuner.objectives.quadratic import Quadratic


class Bowl:
    """½·Σ cᵢ·xᵢ² from ones; counts what it is asked."""

    def __init__(self, *curvatures: float, begin: float = 1.0) -> None:
        self.curvatures = np.array(curvatures)
        self.dimension = len(curvatures)
        self.begin = begin
        self.asked = 0

    def initial_parameters(self, seed: int) -> Array:
        return np.full(self.dimension, self.begin)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        self.asked += len(parameters)
        gradients = parameters * self.curvatures
        return np.vecdot(parameters, gradients) / 2, gradients


class Slope(Bowl):
    """A slope that ends nowhere: no rate is too large."""

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        self.asked += len(parameters)
        return parameters[:, 0], np.ones_like(parameters)


def test_a_quadratic_has_all_four_around_its_limit() -> None:
    bowl = Bowl(4.0, 0.4)
    found, spent = telling_rates(bowl, 0.5, 40)
    assert spent == bowl.asked
    assert found.swings is not None
    assert found.diverges is not None
    assert found.creeps == found.right / 30
    assert found.right < found.swings < 0.5 < found.diverges < 0.5 * 1.3
    assert found.swings > 0.5 * 0.95

    def fall(rate: float) -> float:
        left = (1 - rate * bowl.curvatures) ** 80 * bowl.curvatures / 2
        return float(1 - left.sum() / (bowl.curvatures / 2).sum())

    assert fall(found.right) > 0.998
    assert fall(found.creeps) < 0.9
    assert fall(found.diverges) < 0


def verdict(objective: Objective, rate: float | None, steps: int) -> Name:
    assert rate is not None
    descent = Descent(objective, [Row(rate, steps)])
    descent.advance()
    return judge(descent.result(0).loss.values, stochastic=False).name


def test_where_a_loss_oscillates_that_is_the_rate_that_swings() -> None:
    limit = 0.0255  # 2 over Beale's curvature at the start
    found, _ = telling_rates(Beale(), limit, 40)
    four = [verdict(Beale(), rate, 40) for rate in (found.creeps, found.right, found.swings, found.diverges)]
    assert four == [Name.TOO_SLOW, Name.CONVERGED, Name.OSCILLATING, Name.DIVERGED]


def test_the_right_rate_settles_where_one_does() -> None:
    found, _ = telling_rates(Quadratic(), 2.0, 40)
    assert verdict(Quadratic(), found.right, 40) == Name.CONVERGED


def test_momentum_moves_the_edge() -> None:
    found, _ = telling_rates(Bowl(1.0), 2 * 1.5, 60, method=Method("heavy_ball", {"momentum": 0.5}))
    assert found.swings is not None
    assert found.diverges is not None
    assert 2.5 < found.swings < found.diverges < 3.8


def test_where_nothing_diverges_there_are_two() -> None:
    found, _ = telling_rates(Slope(1.0), 1.0, 10)
    assert (found.swings, found.diverges) == (None, None)
    assert found.right == pytest.approx(30)


@pytest.mark.parametrize("begin", [np.inf, np.nan, 1e300])
def test_a_start_that_is_not_finite_is_survived(begin: float) -> None:
    found, _ = telling_rates(Bowl(1e200, begin=begin), 0.5, 5)
    assert found.right == 0.5


def test_a_start_at_the_minimum_is_survived() -> None:
    found, _ = telling_rates(Bowl(1.0, begin=0.0), 2.0, 5)
    assert (found.right, found.swings, found.diverges) == (2.0, None, None)
