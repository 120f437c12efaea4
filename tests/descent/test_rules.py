"""Update rules against their papers' formulas, one number at a time, and against closed forms on quadratics."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from tuner.descent import RULES, Descent, Row
from tuner.objectives import create, start

Path = Iterator[float]
Slope = Callable[[float], float]


def polyak(x: float, slope: Slope, rate: float, settings: Mapping[str, float]) -> Path:
    """Polyak (1964): x_{k+1} = x_k - η·f'(x_k) + β·(x_k - x_{k-1})."""
    before = x
    while True:
        yield x
        x, before = x - rate * slope(x) + settings["momentum"] * (x - before), x


def plain(x: float, slope: Slope, rate: float, settings: Mapping[str, float]) -> Path:
    yield from polyak(x, slope, rate, {"momentum": 0.0})


def nesterov(y: float, slope: Slope, rate: float, settings: Mapping[str, float]) -> Path:
    """Nesterov (1983): x_{k+1} = y_k - η·f'(y_k), y_{k+1} = x_{k+1} + β·(x_{k+1} - x_k)."""
    x = y
    while True:
        yield y
        ahead = y - rate * slope(y)
        x, y = ahead, ahead + settings["momentum"] * (ahead - x)


def rmsprop(x: float, slope: Slope, rate: float, settings: Mapping[str, float]) -> Path:
    """Hinton's lecture 6e: MeanSquare(t) = 0.9·MeanSquare(t-1) + 0.1·g(t)², the gradient divided by its root."""
    mean_square = 0.0
    while True:
        yield x
        g = slope(x)
        mean_square = settings["beta2"] * mean_square + (1 - settings["beta2"]) * g**2
        x -= rate * g / (math.sqrt(mean_square) + settings["epsilon"])


def adam(x: float, slope: Slope, rate: float, settings: Mapping[str, float]) -> Path:
    """Kingma and Ba (2015), the rewriting at the end of their section 2: η_t = η·√(1-β₂ᵗ)/(1-β₁ᵗ), ε̂ = ε·√(1-β₂ᵗ)."""
    m = v = 0.0
    t = 0
    while True:
        yield x
        t += 1
        g = slope(x)
        m = settings["beta1"] * m + (1 - settings["beta1"]) * g
        v = settings["beta2"] * v + (1 - settings["beta2"]) * g**2
        correction = math.sqrt(1 - settings["beta2"] ** t)
        x -= rate * correction / (1 - settings["beta1"] ** t) * m / (math.sqrt(v) + settings["epsilon"] * correction)


REFERENCES = {"gradient_descent": plain, "heavy_ball": polyak, "nesterov": nesterov, "rmsprop": rmsprop, "adam": adam}


class Wavy:
    """f(x) = x⁴/4 + sin 3x per coordinate: the coordinates are strangers to each other."""

    dimension = 3

    def initial_parameters(self, seed: int) -> Any:
        return np.array([1.5, -0.7, 0.2])

    def value_and_gradient(self, parameters: Any) -> Any:
        return np.sum(parameters**4 / 4 + np.sin(3 * parameters), axis=1), parameters**3 + 3 * np.cos(3 * parameters)


def slope(x: float) -> float:
    return x**3 + 3 * math.cos(3 * x)


def test_every_rule_has_a_reference() -> None:
    assert set(RULES) == set(REFERENCES)
    for name, rule in RULES.items():
        assert rule.name == name
        assert all(setting.allows(setting.default) for setting in rule.settings.values())


@pytest.mark.parametrize("name", REFERENCES)
def test_a_rule_walks_where_its_paper_says(name: str) -> None:
    rule = RULES[name]
    other = {setting: 0.37 if setting != "epsilon" else 1e-3 for setting in rule.settings}
    rows = [Row(0.01, 25), Row(0.05, 25, other)]
    descent = Descent(Wavy(), rows, update_rule=name)
    descent.advance()
    for index, row in enumerate(rows):
        told = {setting: bounds.default for setting, bounds in rule.settings.items()} | dict(row.settings)
        checkpoint = descent.result(index).checkpoint
        assert checkpoint is not None
        for x, origin in zip(checkpoint.parameters, start(Wavy(), 0), strict=True):
            path = REFERENCES[name](float(origin), slope, row.learning_rate, told)
            assert x == pytest.approx([next(path) for _ in range(26)][-1], rel=1e-9)


def test_gradient_descent_on_a_quadratic_shrinks_each_eigenvector_by_its_own_factor() -> None:
    objective: Any = create("quadratic", {"dimension": 6, "condition_number": 30.0})
    hessian = objective.value_and_gradient(objective.optimum + np.eye(6))[1]
    eigenvalues, vectors = np.linalg.eigh(hessian)
    rates = [0.3, 1.0, 1.9, 2.1]
    descent = Descent(objective, [Row(rate, 40) for rate in rates])
    descent.advance()
    offset = vectors.T @ (start(objective, 0) - objective.optimum)
    for index, rate in enumerate(rates):
        factors = (1 - rate * eigenvalues)[None, :] ** np.arange(41)[:, None]
        expected = np.sum(eigenvalues * (factors * offset) ** 2, axis=1) / 2
        np.testing.assert_allclose(descent.loss_curve(index).values, expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("rule", "settings", "limit"),
    [
        ("gradient_descent", {}, 2.0),
        ("heavy_ball", {"momentum": 0.5}, 3.0),
        ("heavy_ball", {"momentum": 0.9}, 3.8),
        # With y_{k+1} = (1+β)·s·y_k - β·s·y_{k-1}, s = 1 - η·L: stable while s > -1/(1+2β).
        ("nesterov", {"momentum": 0.5}, 1.5),
    ],
)
def test_a_rate_converges_just_below_the_stability_limit_and_diverges_just_above(
    rule: str, settings: dict[str, float], limit: float
) -> None:
    largest = 4.0
    objective = create("quadratic", {"dimension": 5, "condition_number": 3.0, "curvature_scale": largest})
    rates = [0.98 * limit / largest, 1.02 * limit / largest]
    descent = Descent(objective, [Row(rate, 2000, settings) for rate in rates], update_rule=rule)
    descent.advance()
    below, above = (descent.loss_curve(row).values for row in range(2))
    assert below[-1] < 1e-12 * below[0]
    assert above[-1] > 1e12 * above[0]


def test_adams_first_step_is_the_rate_whatever_the_gradient_and_its_decays() -> None:
    settings = {"beta1": 0.3, "beta2": 0.6, "epsilon": 1e-12}
    descent = Descent(Wavy(), [Row(0.01, 1), Row(0.01, 1, settings)], update_rule="adam")
    descent.advance()
    for row in range(2):
        checkpoint = descent.result(row).checkpoint
        assert checkpoint is not None
        np.testing.assert_allclose(np.abs(checkpoint.parameters - start(Wavy(), 0)), 0.01, rtol=1e-6)
