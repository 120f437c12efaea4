"""Curves: what is stored is read back, bit for bit, and compactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from tests.storage.rows import add_study, add_trials
from tuner.storage import curves
from tuner.storage.curves import FULL_BLOCK, CurveBlock
from tuner.storage.database import Database
from tuner.storage.tables import curve_block

STEP = st.integers(-(2**53), 2**53)
VALUE = st.floats(width=64) | st.floats(width=32)


def assert_same_bits(actual: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    """Equal as bit patterns, but that any NaN is like another."""
    assert actual.dtype == np.float64
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    finite = ~np.isnan(expected)
    np.testing.assert_array_equal(actual[finite].view(np.int64), expected[finite].view(np.int64))


@given(st.lists(st.tuples(STEP, VALUE), min_size=1, max_size=60))
def test_any_points_come_back(points: list[tuple[int, float]]) -> None:
    steps = np.array([step for step, _ in points], dtype=np.int64)
    values = np.array([value for _, value in points], dtype=np.float64)

    decoded_steps, decoded_values = curves.decode(curves.encode(steps, values), int(steps.min()))

    np.testing.assert_array_equal(decoded_steps, steps)
    assert_same_bits(decoded_values, values)


@given(st.integers(0, 10**9), st.lists(VALUE, min_size=1, max_size=60))
def test_steps_without_a_gap_come_back(first: int, losses: list[float]) -> None:
    steps = np.arange(first, first + len(losses))
    values = np.array(losses)

    decoded_steps, decoded_values = curves.decode(curves.encode(steps, values), first)

    np.testing.assert_array_equal(decoded_steps, steps)
    assert_same_bits(decoded_values, values)


def test_a_descent_takes_a_fraction_of_its_raw_size() -> None:
    steps = np.arange(1001)
    double = np.asarray(0.97**steps, dtype=np.float64)
    single = double.astype(np.float32).astype(np.float64)
    raw = steps.nbytes + double.nbytes

    assert len(curves.encode(steps, double)) < raw / 2
    assert len(curves.encode(steps, single)) < raw / 4


def test_a_run_that_left_the_finite_numbers_takes_next_to_nothing() -> None:
    assert len(curves.encode(np.arange(10_000), np.full(10_000, np.inf))) < 300


@pytest.fixture
def trial_id(database: Database) -> int:
    study_id = add_study(database).id
    return add_trials(database, study_id, 1, state="running", attempt=1)[0].id


def stored_blocks(database: Database) -> int:
    return database.read(
        lambda connection: connection.execute(select(func.count()).select_from(curve_block)).scalar_one()
    )


def test_a_later_block_replaces_the_values_of_earlier_ones(database: Database, trial_id: int) -> None:
    def work(connection: Connection) -> None:
        curves.append(connection, [CurveBlock(trial_id, 1, "loss", [0, 1, 2], [9.0, 8.0, 7.0])])
        curves.append(connection, [CurveBlock(trial_id, 1, "loss", [4, 2], [5.0, 6.0])])

    database.write(work)
    curve = database.read(lambda connection: curves.read(connection, trial_id, 1))["loss"]

    assert curve.steps.tolist() == [0, 1, 2, 4]
    assert curve.values.tolist() == [9.0, 8.0, 6.0, 5.0]
    assert curves.as_intermediate_values(curve) == {0: 9.0, 1: 8.0, 2: 6.0, 4: 5.0}


def test_the_last_of_repeated_steps_in_one_block_counts(database: Database, trial_id: int) -> None:
    block = CurveBlock(trial_id, 1, "loss", [3, 3, 1, 3], [1.0, 2.0, 3.0, 4.0])
    database.write(lambda connection: curves.append(connection, [block]))
    curve = database.read(lambda connection: curves.read(connection, trial_id, 1))["loss"]
    assert (curve.steps.tolist(), curve.values.tolist()) == ([1, 3], [3.0, 4.0])


def test_metrics_and_attempts_are_kept_apart(database: Database, trial_id: int) -> None:
    blocks = [
        CurveBlock(trial_id, 1, "loss", [0], [1.0]),
        CurveBlock(trial_id, 1, "validation_loss", [0], [2.0]),
        CurveBlock(trial_id, 2, "loss", [0, 1], [3.0, 4.0]),
        CurveBlock(trial_id, 2, "validation_loss", [], []),
    ]
    database.write(lambda connection: curves.append(connection, blocks))

    def values(attempt: int) -> dict[str, list[float]]:
        found = database.read(lambda connection: curves.read(connection, trial_id, attempt))
        return {metric: curve.values.tolist() for metric, curve in found.items()}

    assert values(1) == {"loss": [1.0], "validation_loss": [2.0]}
    assert values(2) == {"loss": [3.0, 4.0]}
    assert values(3) == {}


def test_a_curve_that_grows_point_by_point_takes_few_rows(database: Database, trial_id: int) -> None:
    count = 2 * FULL_BLOCK + 10

    def work(connection: Connection) -> None:
        for step in range(count):
            curves.grow(connection, [CurveBlock(trial_id, 1, "loss", [step], [1 / (step + 1)])])
        curves.grow(connection, [CurveBlock(trial_id, 1, "loss", [5], [-1.0])])
        curves.grow(connection, [CurveBlock(trial_id, 1, "loss", [count - 1], [-2.0])])

    database.write(work)
    curve = database.read(lambda connection: curves.read(connection, trial_id, 1))["loss"]

    expected = 1 / (np.arange(count) + 1.0)
    expected[5], expected[-1] = -1.0, -2.0
    np.testing.assert_array_equal(curve.steps, np.arange(count))
    np.testing.assert_array_equal(curve.values, expected)
    assert stored_blocks(database) == 3


def test_points_from_before_the_first_attempt_are_handed_over_to_it(database: Database, trial_id: int) -> None:
    def work(connection: Connection) -> None:
        curves.append(connection, [CurveBlock(trial_id, 0, "loss", [0, 1], [2.0, 1.0])])
        curves.hand_over(connection, trial_id, attempt=1)

    database.write(work)
    assert database.read(lambda connection: curves.read(connection, trial_id, 0)) == {}
    assert database.read(lambda connection: curves.read(connection, trial_id, 1))["loss"].steps.tolist() == [0, 1]


def test_a_trial_s_curves_can_be_removed(database: Database, trial_id: int) -> None:
    def work(connection: Connection) -> None:
        curves.append(connection, [CurveBlock(trial_id, 1, "loss", [0], [1.0])])
        curves.remove(connection, trial_id)

    database.write(work)
    assert stored_blocks(database) == 0


def test_one_metric_of_a_sample_is_the_whole_sample_s(database: Database, trial_id: int) -> None:
    long = np.arange(2 * curves.SAMPLED * FULL_BLOCK)

    def write(connection: Connection) -> None:
        for first in range(0, len(long), FULL_BLOCK):
            part = long[first : first + FULL_BLOCK]
            curves.append(connection, [CurveBlock(trial_id, 1, "loss", part, part / 7)])
        curves.append(connection, [CurveBlock(trial_id, 1, "accuracy", [1, 2], [0.25, 0.5])])

    database.write(write)
    everything = database.read(lambda connection: curves.sample(connection, [(trial_id, 1)]))[trial_id]

    def alone(metric: str) -> dict[str, curves.Curve]:
        found = database.read(lambda connection: curves.sample(connection, [(trial_id, 1)], metric=metric))
        return found.get(trial_id, {})

    for metric in ("loss", "accuracy"):
        assert list(alone(metric)) == [metric]
        np.testing.assert_array_equal(alone(metric)[metric].steps, everything[metric].steps)
        np.testing.assert_array_equal(alone(metric)[metric].values, everything[metric].values)
    assert len(everything["loss"].steps) == curves.SAMPLED * FULL_BLOCK
    assert alone("none") == {}
