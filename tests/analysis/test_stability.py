"""Curvature against closed forms, and each limit against descents on both sides of it."""

from typing import Any

import numpy as np
import pytest

from tuner.analysis.stability import limit, measure, measure_all
from tuner.descent import RULES, Descent, Row
from tuner.errors import InvalidInput, ObjectiveFailed
from tuner.objectives import Array, evaluate, start
from tuner.objectives.line_fit import LineFit
from tuner.objectives.network import Network
from tuner.objectives.quadratic import Quadratic
from tuner.objectives.rosenbrock import Rosenbrock


class Counted:
    """An objective that counts what it is asked."""

    def __init__(self, objective: Any) -> None:
        self.objective, self.dimension = objective, objective.dimension
        self.evaluations = self.calls = 0

    def initial_parameters(self, seed: int) -> Array:
        return np.asarray(self.objective.initial_parameters(seed))

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        self.evaluations += len(parameters)
        self.calls += 1
        values, gradients = self.objective.value_and_gradient(parameters)
        return values, gradients


class Diagonal:
    """A quadratic with the eigenvalues it is told, any of them negative."""

    def __init__(self, *eigenvalues: float) -> None:
        self.eigenvalues = np.array(eigenvalues)
        self.dimension = len(eigenvalues)

    def initial_parameters(self, seed: int) -> Array:
        return np.random.default_rng(seed).normal(size=self.dimension)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        gradients = parameters * self.eigenvalues
        return np.vecdot(parameters, gradients) / 2, gradients


class Slope:
    """A plane: it has no curvature, and its gradients may be anything."""

    dimension = 3

    def __init__(self, gradient: float) -> None:
        self.gradient = gradient

    def initial_parameters(self, seed: int) -> Array:
        return np.zeros(3)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        return parameters.sum(axis=1) * self.gradient, np.full(parameters.shape, self.gradient)


@pytest.mark.parametrize("condition_number", [1, 2, 10, 100, 1e4, 1e8])
@pytest.mark.parametrize("dimension", [1, 2, 3, 5, 20, 100, 200])
def test_the_largest_eigenvalue_of_a_quadratic_is_found_to_one_percent(dimension: int, condition_number: float) -> None:
    for seed in range(3):
        objective = Counted(
            Quadratic(dimension=dimension, condition_number=condition_number, curvature_scale=3.7, seed=seed)
        )
        found = measure(objective, start(objective, seed), seed=seed)
        assert found.largest == pytest.approx(3.7, rel=0.01)
        assert found.converged
        assert found.relative_error is not None
        assert found.relative_error <= 0.01
        assert found.reason is None
        assert found.gradient_evaluations == objective.evaluations
        # A start, and never more products than dimensions.
        assert found.gradient_evaluations <= dimension + 1


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e3, 1e9])
def test_curvature_of_any_scale_is_found(scale: float) -> None:
    objective = Quadratic(dimension=10, condition_number=10, curvature_scale=scale)
    assert measure(objective, start(objective, 0)).largest == pytest.approx(scale, rel=0.01)


def test_single_precision_takes_central_differences() -> None:
    objective = Counted(LineFit())
    found = measure(objective, start(objective, 0))
    assert found.largest == pytest.approx(LineFit().curvature[1], rel=1e-3)
    assert found.smallest == pytest.approx(LineFit().curvature[0], rel=1e-2)
    assert found.converged
    assert (found.gradient_evaluations, objective.calls) == (4, 2)


def test_a_curved_valley_agrees_with_its_hessian() -> None:
    objective = Rosenbrock()
    x, y = point = np.array([-1.2, 1.0])
    hessian = np.array([[1200 * x**2 - 400 * y + 2, -400 * x], [-400 * x, 200.0]])
    assert measure(objective, point).largest == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-4)


def test_a_network_agrees_with_its_hessian_taken_column_by_column() -> None:
    objective = Network()
    point = start(objective, 0)
    step = np.eye(objective.dimension, dtype=point.dtype) * point.dtype.type(0.01)
    _, ahead = evaluate(objective, point + step)
    _, behind = evaluate(objective, point - step)
    hessian = (ahead.astype(np.float64) - behind) / 0.02
    found = measure(objective, point)
    assert found.largest == pytest.approx(np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1], rel=0.02)
    assert found.smallest is not None
    assert found.smallest < 0


def test_a_downward_curvature_that_is_larger_by_magnitude_is_not_taken_for_the_limit() -> None:
    objective = Diagonal(-50.0, 0.1, 1.0, 2.0)
    found = measure(objective, start(objective, 0))
    assert found.largest == pytest.approx(2.0, rel=0.01)
    assert found.smallest == pytest.approx(-50.0, rel=0.01)


def test_where_everything_curves_downwards_nothing_bounds_the_rate() -> None:
    objective = Diagonal(-3.0, -1.0)
    found = measure(objective, start(objective, 0))
    assert found.largest == pytest.approx(-1.0, rel=0.01)
    assert found.converged
    assert limit("gradient_descent", {}, -1.0) is None


def test_no_curvature_at_all_is_exactly_none() -> None:
    found = measure(Slope(0.0), np.zeros(3))
    assert (found.largest, found.converged, found.gradient_evaluations) == (0.0, True, 2)


def test_curvature_below_the_rounding_is_not_called_measured() -> None:
    class Jittery(Slope):
        """A plane whose gradients carry the rounding of a sum."""

        def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
            values, gradients = super().value_and_gradient(parameters)
            noise = np.random.default_rng(len(parameters)).normal(size=gradients.shape)
            return values, gradients * (1 + 1e-16 * noise)

    found = measure(Jittery(1e6), np.zeros(3))
    assert not found.converged
    assert found.reason is not None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_is_an_answer(bad: float) -> None:
    found = measure(Slope(bad), np.zeros(3))
    assert found.largest is None
    assert found.gradient_evaluations == 2
    assert found.reason == "the gradient is not finite at the parameters or next to them"


def test_parameters_that_are_not_finite_cost_nothing() -> None:
    found = measure(Slope(1.0), np.array([0.0, np.nan, 0.0]))
    assert (found.largest, found.gradient_evaluations) == (None, 0)


@pytest.mark.parametrize(("most", "spent"), [(0, 0), (1, 0), (2, 2), (3, 3), (5, 5)])
def test_what_may_be_spent_is_never_exceeded(most: int, spent: int) -> None:
    objective = Counted(Quadratic(dimension=200, condition_number=2))
    found = measure(objective, start(objective, 0), most_evaluations=most)
    assert found.gradient_evaluations == objective.evaluations == spent
    assert not found.converged
    assert (found.largest is None) == (spent == 0)
    assert found.reason == f"it takes more than {most} gradient evaluations"


def test_the_same_seed_measures_the_same() -> None:
    objective = Quadratic(dimension=50)
    point = start(objective, 0)
    assert measure(objective, point, seed=3) == measure(objective, point, seed=3)
    assert measure(objective, point, seed=3) != measure(objective, point, seed=4)


def test_points_that_are_measured_together_are_measured_as_alone() -> None:
    objective = Counted(Network())
    points = np.stack([start(objective, seed) for seed in range(4)])
    alone = [measure(objective, point) for point in points]
    calls, objective.calls = objective.calls, 0
    together = measure_all(objective, points)
    assert objective.calls < calls / 2
    for one, other in zip(alone, together, strict=True):
        assert one.largest == pytest.approx(other.largest, rel=1e-4)
        assert one.gradient_evaluations == other.gradient_evaluations


def test_a_broken_objective_is_named() -> None:
    class Broken(Slope):
        def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
            return parameters[:, 0], parameters[:, :1]

    with pytest.raises(ObjectiveFailed, match=r"Broken\.value_and_gradient"):
        measure(Broken(0.0), np.zeros(3))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("rule", ["gradient_descent", "heavy_ball", "nesterov"])
@pytest.mark.parametrize("curvature", [0.2, 7.0])
def test_descents_converge_just_below_the_limit_and_diverge_just_above(
    rule: str, momentum: float, curvature: float
) -> None:
    settings = {"momentum": momentum} if "momentum" in RULES[rule].settings else {}
    edge = limit(rule, settings, curvature)
    assert edge is not None
    objective = Quadratic(dimension=6, condition_number=5, curvature_scale=curvature)
    descent = Descent(objective, [Row(edge * factor, 20_000, settings) for factor in (0.98, 1.02)], update_rule=rule)
    descent.advance()
    below, above = descent.result(0), descent.result(1)
    assert below.loss.values[-1] < 1e-12 * below.loss.values[0]
    assert not np.isfinite(above.loss.values[-1]) or above.loss.values[-1] > 1e12 * above.loss.values[0]


def test_the_limits_in_numbers() -> None:
    assert limit("gradient_descent", {}, LineFit().curvature[1]) == pytest.approx(0.7755, abs=5e-5)
    assert limit("heavy_ball", {}, 2.0) == pytest.approx(1.9)
    assert limit("nesterov", {"momentum": 0.5}, 1.0) == pytest.approx(1.5)


@pytest.mark.parametrize("rule", ["rmsprop", "adam"])
def test_rules_that_scale_their_steps_have_no_limit_from_curvature_alone(rule: str) -> None:
    assert limit(rule, {}, 1.0) is None


@pytest.mark.parametrize(
    ("rule", "settings", "field"),
    [
        ("newton", {}, "update_rule"),
        ("gradient_descent", {"momentum": 0.9}, "settings.momentum"),
        ("heavy_ball", {"momentum": 1.0}, "settings.momentum"),
        ("heavy_ball", {"momentum": float("nan")}, "settings.momentum"),
    ],
)
def test_what_is_no_rule_or_setting_is_named(rule: str, settings: dict[str, float], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        limit(rule, settings, 1.0)
    assert [error.field for error in caught.value.fields] == [field]
