"""What every objective of ours promises: right gradients, and rows that do not feel each other."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.objectives import (
    Named,
    Objective,
    Stochastic,
    Validated,
    create,
    evaluate,
    evaluate_sample,
    evaluate_validation,
    registered,
    start,
)

CASES: list[tuple[str, dict[str, Any]]] = [
    ("line_fit", {}),
    ("quadratic", {"dimension": 1}),
    ("quadratic", {"dimension": 20, "condition_number": 1e3}),
    ("rosenbrock", {}),
    ("rosenbrock", {"dimension": 7}),
    ("beale", {}),
    ("linear_regression", {"data": "diabetes"}),
    ("linear_regression", {"data": "synthetic"}),
    ("logistic_regression", {"data": "breast_cancer"}),
    ("logistic_regression", {"data": "wine", "regularisation": 0.1}),
    ("logistic_regression", {"data": "synthetic"}),
    ("network", {"data": "synthetic"}),
    ("network", {"data": "synthetic", "loss": "squared", "hidden": 3}),
    ("network", {"data": "diabetes", "loss": "squared"}),
    ("network", {"data": "wine", "loss": "squared", "hidden": 5}),
    ("network", {"data": "digits", "hidden": 8, "train_fraction": 0.1}),
]

each_objective = pytest.mark.parametrize(("name", "given_settings"), CASES)


def points(objective: Objective, count: int, seed: int = 0) -> np.ndarray:
    """Points around the start, in the dtype of the descent."""
    origin = start(objective, 1)
    noise = np.random.default_rng(seed).normal(size=(count, objective.dimension))
    return (origin + noise).astype(origin.dtype)


def test_every_objective_of_ours_is_among_the_cases() -> None:
    ours = {name for name, kind in registered().items() if kind.factory.__module__.startswith("tuner.objectives.")}
    assert ours == {name for name, _ in CASES}


@each_objective
def test_gradient_equals_central_differences(name: str, given_settings: dict[str, Any]) -> None:
    objective = create(name, given_settings)
    # In double precision: objectives compute in the dtype of the parameters.
    at = points(objective, 3).astype(np.float64)
    _, gradients = evaluate(objective, at)
    directions = np.random.default_rng(1).normal(size=(5, objective.dimension))
    for direction in directions / np.linalg.norm(directions, axis=1, keepdims=True):
        ahead, _ = evaluate(objective, at + 1e-5 * direction)
        behind, _ = evaluate(objective, at - 1e-5 * direction)
        scale = np.linalg.norm(gradients, axis=1)
        assert np.all(np.abs((ahead - behind) / 2e-5 - gradients @ direction) <= 1e-6 * scale)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["rosenbrock", "beale", "quadratic"]), st.lists(st.floats(-3, 3), min_size=2, max_size=2))
def test_gradient_of_two_parameters_equals_central_differences_anywhere(name: str, at: list[float]) -> None:
    objective = create(name, {"dimension": 2} if name != "beale" else {})
    _, gradient = evaluate(objective, np.array([at]))
    for axis, unit in enumerate(np.eye(2)):
        ahead, _ = evaluate(objective, np.array([at + 1e-6 * unit]))
        behind, _ = evaluate(objective, np.array([at - 1e-6 * unit]))
        assert (ahead - behind)[0] / 2e-6 == pytest.approx(gradient[0, axis], rel=1e-5, abs=1e-3)


@each_objective
def test_a_row_is_the_same_to_the_last_bit_in_any_batch(name: str, given_settings: dict[str, Any]) -> None:
    objective = create(name, given_settings)
    at = points(objective, 37)
    values, gradients = evaluate(objective, at)
    for rows in ([0], [36], [5, 3], list(range(36)), list(range(16)), [7] * 33):
        some_values, some_gradients = evaluate(objective, at[rows])
        np.testing.assert_array_equal(some_values, values[rows])
        np.testing.assert_array_equal(some_gradients, gradients[rows])
        if isinstance(objective, Validated):
            np.testing.assert_array_equal(
                evaluate_validation(objective, at[rows]), evaluate_validation(objective, at)[rows]
            )
        if isinstance(objective, Stochastic):
            alone = evaluate_sample(objective, at[rows], np.random.default_rng(3), 16)
            together = evaluate_sample(objective, at, np.random.default_rng(3), 16)
            np.testing.assert_array_equal(alone[0], together[0][rows])
            np.testing.assert_array_equal(alone[1], together[1][rows])


@each_objective
def test_answers_have_the_promised_kinds(name: str, given_settings: dict[str, Any]) -> None:
    objective = create(name, given_settings)
    at = points(objective, 4)
    values, gradients = objective.value_and_gradient(at)
    assert values.shape == (4,)
    assert values.dtype == np.float64
    assert gradients.shape == at.shape
    assert gradients.dtype == at.dtype
    np.testing.assert_array_equal(start(objective, 3), start(objective, 3))
    if isinstance(objective, Named):
        assert len(objective.names) == objective.dimension


@each_objective
def test_a_bad_point_gives_numbers_that_are_not_finite_and_never_raises(
    name: str, given_settings: dict[str, Any]
) -> None:
    objective = create(name, given_settings)
    largest = float(np.finfo(start(objective, 0).dtype).max)
    at = points(objective, 4)
    at[1], at[2], at[3] = np.nan, np.inf, largest
    with np.errstate(all="ignore"):
        values, _ = evaluate(objective, at)
    assert np.isfinite(values[0])
    assert np.isnan(values[1])
    assert not np.isfinite(values[2]) or name == "network"  # tanh of infinity is 1, and classes then tie


@pytest.mark.parametrize(("name", "given_settings"), [case for case in CASES if "data" in case[1]])
def test_mini_batches_average_to_the_full_gradient(name: str, given_settings: dict[str, Any]) -> None:
    objective = create(name, given_settings)
    assert isinstance(objective, Stochastic)
    at = points(objective, 2).astype(np.float64)
    full_values, full_gradients = evaluate(objective, at)

    whole = evaluate_sample(objective, at, np.random.default_rng(0), 10**6)
    np.testing.assert_allclose(whole[0], full_values, rtol=1e-10)
    np.testing.assert_allclose(whole[1], full_gradients, rtol=1e-7, atol=1e-10)

    draws = [evaluate_sample(objective, at, np.random.default_rng(k), 20)[0] for k in range(300)]
    error = np.std(draws, axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(np.mean(draws, axis=0) - full_values) < 5 * error)
    assert np.all(error > 0)
