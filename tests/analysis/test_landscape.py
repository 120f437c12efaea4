"""Landscapes against the objective itself, closed forms and an independent principal component analysis."""

import math

import numpy as np
import pytest

from tuner import objectives
from tuner.analysis.landscape import follow, landscape, turns_back
from tuner.descent import Row
from tuner.errors import ObjectiveFailed
from tuner.objectives import Array, KnownOptimum
from tuner.trial import Outcome


class Bowl:
    """½·Σ cᵢ·xᵢ² from ones; counts what it is asked."""

    def __init__(self, *curvatures: float) -> None:
        self.curvatures = np.array(curvatures)
        self.dimension = len(curvatures)
        self.asked = 0

    def initial_parameters(self, seed: int) -> Array:
        return np.ones(self.dimension)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        self.asked += len(parameters)
        gradients = parameters * self.curvatures
        return np.vecdot(parameters, gradients) / 2, gradients


def test_a_path_is_where_the_closed_form_says() -> None:
    bowl = Bowl(1.0, 0.1)
    [slow, fast], spent = follow(bowl, [Row(0.1, 30), Row(0.5, 7)])
    assert slow.steps.tolist() == list(range(31))
    assert fast.steps.tolist() == list(range(8))
    for path, rate in ((slow, 0.1), (fast, 0.5)):
        expected = (1 - rate * bowl.curvatures) ** path.steps[:, None]
        np.testing.assert_allclose(path.parameters, expected, rtol=1e-12)
        np.testing.assert_allclose(path.losses, (expected**2 * bowl.curvatures).sum(axis=1) / 2, rtol=1e-12)
        assert path.outcome is Outcome.RAN_ITS_STEPS
    assert spent == bowl.asked == 31 + 8


def test_a_long_path_is_kept_by_few_points_with_both_ends() -> None:
    [path, other], _ = follow(Bowl(1.0), [Row(1e-3, 5000), Row(1e-3, 777)], most_points=50)
    assert (path.steps[0], path.steps[-1], other.steps[-1]) == (0, 5000, 777)
    assert len(path.steps) <= 52
    np.testing.assert_allclose(path.parameters[:, 0], (1 - 1e-3) ** path.steps, rtol=1e-9)


def test_a_path_ends_where_it_leaves_the_finite_numbers() -> None:
    [path], _ = follow(Bowl(1.0, 1.0), [Row(1e30, 100)])
    assert path.outcome is Outcome.LEFT_FINITE_NUMBERS
    assert np.isfinite(path.losses).all()
    assert np.isfinite(path.parameters).all()
    assert path.steps[-1] < 100


def test_the_grid_of_two_parameters_holds_the_losses_of_the_objective() -> None:
    objective = objectives.create("line_fit", {"seed": 5})
    paths, _ = follow(objective, [Row(0.1, 200)])
    found = landscape(objective, paths, resolution=9)
    assert found.labels == ("w", "b")
    assert found.plane.explained is None
    assert found.values.shape == (9, 9)
    assert found.gradient_evaluations == 81
    for row, b in enumerate(found.axes[1]):
        for column, w in enumerate(found.axes[0]):
            [loss], _ = objective.value_and_gradient(np.array([[w, b]], dtype=np.float32))
            assert found.values[row, column] == loss
    np.testing.assert_array_equal(found.coordinates[0], paths[0].parameters)
    for axis, on in zip(found.axes, found.coordinates[0].T, strict=True):
        assert axis[0] < on.min() < on.max() < axis[-1]


def test_one_parameter_makes_a_line() -> None:
    bowl = Bowl(2.0)
    paths, spent = follow(bowl, [Row(0.2, 5)])
    found = landscape(bowl, paths, resolution=21)
    assert found.labels == ("x",)
    [axis] = found.axes
    np.testing.assert_allclose(found.values, axis**2)
    assert found.coordinates[0].shape == (6, 1)
    assert bowl.asked == spent + found.gradient_evaluations == 6 + 21


def test_the_plane_of_many_parameters_is_that_of_the_principal_directions() -> None:
    objective = objectives.create("quadratic", {"dimension": 30, "condition_number": 50})
    paths, _ = follow(objective, [Row(0.5, 80), Row(1.9, 40)])
    found = landscape(objective, paths, resolution=5)
    offsets = np.concatenate([path.parameters for path in paths]) - paths[0].parameters[-1]
    # Independently: the eigenvectors of the offsets' second moments.
    moments, vectors = np.linalg.eigh(offsets.T @ offsets)
    np.testing.assert_allclose(np.abs(np.diag(found.plane.directions @ vectors[:, -1:-3:-1])), 1, atol=1e-6)
    assert found.plane.explained is not None
    np.testing.assert_allclose(found.plane.explained, moments[-1:-3:-1] / moments.sum(), rtol=1e-6)
    np.testing.assert_allclose(found.plane.directions @ found.plane.directions.T, np.eye(2), atol=1e-12)
    for row, column in ((0, 0), (1, 3), (4, 2)):
        point = found.plane.points(np.array([[found.axes[0][column], found.axes[1][row]]]))
        assert found.values[row, column] == pytest.approx(objective.value_and_gradient(point)[0][0], rel=1e-12)
    np.testing.assert_allclose(found.coordinates[0][-1], [0, 0], atol=1e-12)


def test_of_a_plane_path_in_many_dimensions_nothing_is_left_out() -> None:
    bowl = Bowl(1.0, 0.3, 0.0, 0.0)
    paths, _ = follow(bowl, [Row(0.7, 40)])
    found = landscape(bowl, paths, resolution=3)
    assert found.plane.explained is not None
    assert found.plane.explained.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.plane.points(found.coordinates[0]), paths[0].parameters, atol=1e-12)


def test_a_straight_path_and_one_that_does_not_move_have_a_plane_too() -> None:
    bowl = Bowl(1.0, 1.0, 1.0)
    paths, _ = follow(bowl, [Row(0.5, 3)])
    straight = landscape(bowl, paths, resolution=3)
    assert straight.plane.explained == pytest.approx([1, 0])
    np.testing.assert_allclose(straight.plane.directions @ straight.plane.directions.T, np.eye(2), atol=1e-12)
    assert all(np.all(np.diff(axis) > 0) for axis in straight.axes)
    paths, _ = follow(Bowl(0.0, 0.0, 0.0), [Row(0.5, 3)])
    still = landscape(Bowl(0.0, 0.0, 0.0), paths, resolution=3)
    assert still.values.tolist() == np.zeros((3, 3)).tolist()
    assert all(np.all(np.diff(axis) > 0) for axis in still.axes)


def test_a_diverging_path_beside_another_does_not_make_it_a_dot() -> None:
    objective = objectives.create("line_fit", {"seed": 5})
    paths, _ = follow(objective, [Row(0.1, 200), Row(0.9, 200)])
    found = landscape(objective, paths, resolution=3)
    assert abs(found.coordinates[1]).max() > 1e20
    assert all(axis[-1] - axis[0] < 20 for axis in found.axes)


def test_of_a_path_that_only_diverges_the_first_updates_are_shown() -> None:
    """The tutorial's jumps at a rate of 0.9, each farther out."""
    objective = objectives.create("line_fit", {"seed": 5})
    paths, _ = follow(objective, [Row(0.9, 200)])
    found = landscape(objective, paths, resolution=3)
    np.testing.assert_allclose(paths[0].parameters[1:5, 0], [1.47, -0.62, 2.01, -1.58], atol=0.01)
    for axis, on in zip(found.axes, found.coordinates[0].T, strict=True):
        assert axis[0] < on[:5].min() < on[:5].max() < axis[-1] < 20
    # One update of Rosenbrock's lands below the start by chance: that alone would be a picture of nothing.
    objective = objectives.create("rosenbrock", {})
    paths, _ = follow(objective, [Row(0.00627, 20)])
    assert np.count_nonzero(paths[0].losses < paths[0].losses[0]) == 1
    found = landscape(objective, paths, resolution=3)
    for axis, on in zip(found.axes, found.coordinates[0].T, strict=True):
        assert axis[0] < on[:5].min() < on[:5].max() < axis[-1]


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_a_start_that_is_no_number_has_a_landscape_and_no_path(dimension: int) -> None:
    class Nowhere(Bowl):
        def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
            return np.full(len(parameters), math.nan), parameters

    nowhere = Nowhere(*[1.0] * dimension)
    paths, _ = follow(nowhere, [Row(0.2, 5)])
    assert len(paths[0].steps) == 0
    found = landscape(nowhere, paths, resolution=3)
    assert np.isnan(found.values).all()
    assert all(np.all(np.diff(axis) > 0) for axis in found.axes)


def test_what_is_not_finite_on_the_grid_is_data() -> None:
    class Cliff(Bowl):
        def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
            values, gradients = super().value_and_gradient(parameters)
            return np.where(parameters[:, 0] < 0, math.nan, values), gradients

    cliff = Cliff(1.0, 1.0)
    paths, _ = follow(cliff, [Row(0.2, 50)])
    found = landscape(cliff, paths, resolution=11)
    assert np.isnan(found.values[:, found.axes[0] < 0]).all()
    assert np.isfinite(found.values[:, found.axes[0] >= 0]).all()


def test_an_objective_that_fails_on_the_grid_is_named() -> None:
    class Fragile(Bowl):
        def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
            if len(parameters) > 1:
                raise RuntimeError("one at a time")
            return super().value_and_gradient(parameters)

    fragile = Fragile(1.0, 1.0)
    paths, _ = follow(fragile, [Row(0.2, 5)])
    with pytest.raises(ObjectiveFailed, match="one at a time"):
        landscape(fragile, paths)


@pytest.mark.parametrize(("rate", "share"), [(0.4, 0.0), (0.6, 1.0), (1.5, 1.0)])
def test_a_rate_above_half_the_limit_turns_back_with_every_step(rate: float, share: float) -> None:
    [path], _ = follow(Bowl(2.0), [Row(rate, 20)])
    assert turns_back(path) == share


def test_huge_updates_still_turn_back_and_a_path_of_one_update_says_nothing() -> None:
    paths, _ = follow(Bowl(2.0), [Row(1e40, 3), Row(0.1, 1), Row(0.1, 0)])
    assert [turns_back(path) for path in paths] == [1.0, None, None]


def test_of_a_long_path_the_updates_count_that_were_kept_with_their_neighbours() -> None:
    [path], _ = follow(Bowl(2.0), [Row(0.9, 5000)], most_points=50)
    assert turns_back(path) == 1.0


def test_the_optimum_lies_on_the_plane_where_it_is_known() -> None:
    objective = objectives.create("quadratic", {"dimension": 6})
    assert isinstance(objective, KnownOptimum)
    paths, _ = follow(objective, [Row(0.9, 30)])
    found = landscape(objective, paths, resolution=3)
    assert found.optimum is not None
    expected = found.plane.directions @ (objective.optimum - found.plane.origin)
    np.testing.assert_allclose(found.optimum.tolist(), expected.tolist())
    bowl = Bowl(1.0, 2.0)
    assert landscape(bowl, follow(bowl, [Row(0.1, 2)])[0], resolution=2).optimum is None


def test_without_a_grid_nothing_of_it_is_evaluated() -> None:
    bowl = Bowl(2.0, 1.0)
    paths, spent = follow(bowl, [Row(0.2, 5)])
    found = landscape(bowl, paths, resolution=None)
    assert bowl.asked == spent
    assert (found.values.size, [axis.size for axis in found.axes], found.gradient_evaluations) == (0, [0, 0], 0)
    np.testing.assert_array_equal(found.coordinates[0], paths[0].parameters)
