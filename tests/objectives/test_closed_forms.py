"""Known minima and curvatures, against their closed forms and against differences."""

from typing import Any

import numpy as np
import pytest

from tuner.objectives import KnownCurvature, KnownMinimum, KnownOptimum, create, evaluate, start
from tuner.objectives.datasets import load


def hessian(objective: Any, at: np.ndarray) -> np.ndarray:
    """By central differences of the gradient, (D, D)."""
    steps = 1e-4 * np.eye(objective.dimension)
    _, ahead = evaluate(objective, at + steps)
    _, behind = evaluate(objective, at - steps)
    matrix: np.ndarray = (ahead - behind) / 2e-4
    return matrix


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("line_fit", {}),
        ("line_fit", {"seed": 11}),
        ("quadratic", {"dimension": 1, "curvature_scale": 3.0}),
        ("quadratic", {"dimension": 12, "condition_number": 50.0, "curvature_scale": 4.0, "seed": 2}),
        ("linear_regression", {"data": "diabetes"}),
        ("linear_regression", {"data": "synthetic"}),
    ],
)
def test_curvature_is_the_range_of_hessian_eigenvalues_everywhere(name: str, settings: dict[str, Any]) -> None:
    objective = create(name, settings)
    assert isinstance(objective, KnownCurvature)
    for at in (np.zeros(objective.dimension), np.full(objective.dimension, 2.0)):
        eigenvalues = np.linalg.eigvalsh(hessian(objective, at))
        assert objective.curvature == pytest.approx((eigenvalues[0], eigenvalues[-1]), rel=1e-5)


def test_quadratic_has_the_condition_number_and_scale_it_was_given() -> None:
    objective: Any = create("quadratic", {"dimension": 5, "condition_number": 1e4, "curvature_scale": 2.0})
    mu, largest = objective.curvature
    assert largest == 2.0
    assert largest / mu == pytest.approx(1e4)
    eigenvalues = np.linalg.eigvalsh(hessian(objective, np.zeros(5)))
    np.testing.assert_allclose(np.diff(np.log10(eigenvalues)), 1, rtol=1e-3)


def test_quadratic_is_half_the_distance_weighed_by_the_hessian() -> None:
    objective: Any = create("quadratic", {"dimension": 4})
    matrix, at = hessian(objective, np.zeros(4)), np.arange(4.0)
    offset = at - objective.optimum
    assert evaluate(objective, at[None])[0][0] == pytest.approx(offset @ matrix @ offset / 2)


@pytest.mark.parametrize(
    ("name", "settings", "at"),
    [
        ("rosenbrock", {"dimension": 2}, [1, 1]),
        ("rosenbrock", {"dimension": 6}, [1] * 6),
        ("beale", {}, [3, 0.5]),
    ],
)
def test_minimum_is_reached_where_it_is_known_to_be(name: str, settings: dict[str, Any], at: list[float]) -> None:
    objective = create(name, settings)
    values, gradients = evaluate(objective, np.array([at], dtype=float))
    assert isinstance(objective, KnownMinimum)
    assert isinstance(objective, KnownOptimum)
    assert values[0] == objective.minimum == 0
    assert objective.optimum.tolist() == at
    np.testing.assert_array_equal(gradients, 0)
    assert evaluate(objective, np.array([at]) + 0.01)[0][0] > 0


def test_classic_values() -> None:
    # Moré, Garbow and Hillstrom (1981): f at the standard starts of problems 1 and 5.
    for name, loss in (("rosenbrock", 24.2), ("beale", 14.203125)):
        objective = create(name, {})
        assert evaluate(objective, start(objective, 0)[None])[0][0] == pytest.approx(loss, rel=1e-12)
        assert np.any(start(objective, 1) != start(objective, 0))


def test_minimum_of_a_line_fit_is_the_least_squares_loss() -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 1, 100)
    y = 0.1 * x + 0.5 + rng.normal(0, 0.01, 100)
    slope, intercept = np.polyfit(x, y, 1)
    objective: Any = create("line_fit", {"seed": 5})
    assert objective.minimum == pytest.approx(np.mean((slope * x + intercept - y) ** 2), rel=1e-5)
    assert objective.names == ("w", "b")
    np.testing.assert_array_equal(start(objective, 7), [0, -1])
    mu, largest = objective.curvature
    assert 2 / largest == pytest.approx(0.7755, abs=5e-5)
    assert 2 / (largest + mu) == pytest.approx(0.7369, abs=5e-5)
    values, gradients = evaluate(objective, np.array([[slope, intercept]], dtype=np.float32))
    assert values[0] == pytest.approx(objective.minimum, rel=1e-4)
    np.testing.assert_allclose(gradients, 0, atol=1e-6)


@pytest.mark.parametrize("data", ["diabetes", "synthetic"])
def test_minimum_of_linear_regression_is_the_least_squares_loss(data: str) -> None:
    objective: Any = create("linear_regression", {"data": data, "seed": 3})
    split = load(data, "numbers", 3, 0.75)
    design = np.column_stack([split.features, np.ones(len(split.features))])
    best, residual, *_ = np.linalg.lstsq(design, split.targets)
    assert objective.minimum == pytest.approx(residual[0] / len(design), rel=1e-10)
    values, gradients = evaluate(objective, best[None])
    assert values[0] == pytest.approx(objective.minimum, rel=1e-10)
    np.testing.assert_allclose(gradients, 0, atol=1e-12)


def test_losses_at_zero_are_those_of_knowing_nothing() -> None:
    zero_logit = create("logistic_regression", {"data": "breast_cancer"})
    assert evaluate(zero_logit, start(zero_logit, 0)[None])[0][0] == pytest.approx(np.log(2))
    three_ways = create("logistic_regression", {"data": "wine"})
    assert evaluate(three_ways, start(three_ways, 0)[None])[0][0] == pytest.approx(np.log(3))
    # Standardised targets have mean square 1.
    flat = create("linear_regression", {"data": "diabetes"})
    assert evaluate(flat, start(flat, 0)[None])[0][0] == pytest.approx(1)


def test_network_equals_its_formula_written_sample_by_sample() -> None:
    objective = create("network", {"data": "wine", "hidden": 3})
    split = load("wine", "classes", 0, 0.75)
    at = start(objective, 0).astype(np.float64)
    first, bias, second, second_bias = np.split(at, np.cumsum([13 * 3, 3, 3 * 3]))
    losses = []
    for features, label in zip(split.features, split.targets, strict=True):
        logits = np.tanh(features @ first.reshape(13, 3) + bias) @ second.reshape(3, 3) + second_bias
        losses.append(np.log(np.sum(np.exp(logits))) - logits[int(label)])
    assert evaluate(objective, at[None])[0][0] == pytest.approx(np.mean(losses), rel=1e-6)


def test_regularisation_weighs_weights_but_no_intercepts_and_no_validation() -> None:
    free: Any = create("logistic_regression", {"data": "wine"})
    held: Any = create("logistic_regression", {"data": "wine", "regularisation": 0.5})
    at = np.random.default_rng(0).normal(size=(1, free.dimension))
    weights = at[:, :-3]
    difference = evaluate(held, at)[0] - evaluate(free, at)[0]
    assert difference[0] == pytest.approx(0.25 * np.sum(weights**2))
    np.testing.assert_array_equal(held.validation_value(at), free.validation_value(at))


def test_extreme_logits_stay_finite() -> None:
    for settings in ({"data": "breast_cancer"}, {"data": "wine"}):
        objective = create("logistic_regression", settings)
        values, gradients = evaluate(objective, np.full((1, objective.dimension), 1e6))
        assert np.all(np.isfinite(values))
        assert np.all(np.isfinite(gradients))
