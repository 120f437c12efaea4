"""What the descent loop promises: every row its own run, exactly accounted, whatever its company."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.descent import RULES, Checkpoint, Curve, Descent, Row, measures_validation
from tuner.errors import InvalidInput, ObjectiveFailed
from tuner.objectives import Objective, create
from tuner.trial import Outcome


class Counting:
    """Passes everything on, and counts the rows of gradient evaluations."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.dimension = inner.dimension
        self.evaluations = 0

    def initial_parameters(self, seed: int) -> Any:
        return self.inner.initial_parameters(seed)

    def value_and_gradient(self, parameters: Any) -> Any:
        self.evaluations += len(parameters)
        return self.inner.value_and_gradient(parameters)

    def sample_value_and_gradient(self, parameters: Any, rng: Any, batch_size: int) -> Any:
        self.evaluations += len(parameters)
        return self.inner.sample_value_and_gradient(parameters, rng, batch_size)


def quadratic() -> Objective:
    return create("quadratic", {"dimension": 4, "condition_number": 10.0})


def learner() -> Any:
    return create("logistic_regression", {"data": "synthetic"})


def run(objective: Objective, rows: list[Row], **options: Any) -> Descent:
    descent = Descent(objective, rows, **options)
    assert descent.advance() == 0
    assert descent.running == ()
    return descent


def assert_same(one: Curve | None, other: Curve | None) -> None:
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.steps, other.steps)
    np.testing.assert_array_equal(one.values, other.values)


some_rows = st.lists(
    st.builds(Row, learning_rate=st.sampled_from([1e-3, 0.1, 1.0, 1.9, 2.5, 30.0, 1e200]), steps=st.integers(0, 40)),
    min_size=1,
    max_size=8,
)
kinds = st.sampled_from([("full", None), ("mini", 16)])


# Row by row


def test_the_value_at_step_k_is_the_loss_after_k_updates() -> None:
    objective = quadratic()
    x = objective.initial_parameters(3)[None]
    losses = []
    for _ in range(11):
        value, gradient = objective.value_and_gradient(x)
        losses.append(value[0])
        x = x - 0.5 * gradient
    result = run(objective, [Row(0.5, 10)], initial_seed=3).result(0)
    np.testing.assert_array_equal(result.loss.steps, np.arange(11))
    np.testing.assert_allclose(result.loss.values, losses, rtol=1e-14)
    assert result.loss.values.dtype == np.float64
    assert (result.outcome, result.steps_run, result.gradient_evaluations) == (Outcome.RAN_ITS_STEPS, 10, 11)
    assert result.validation is None


def test_a_run_of_no_steps_is_the_loss_at_the_start() -> None:
    result = run(quadratic(), [Row(1.0, 0)]).result(0)
    assert (result.outcome, result.steps_run, result.gradient_evaluations) == (Outcome.RAN_ITS_STEPS, 0, 1)
    assert len(result.loss.values) == 1


def test_no_rows_are_nothing_to_do() -> None:
    assert Descent(quadratic(), []).advance() == 0


def test_a_row_ends_at_its_first_loss_that_is_not_finite() -> None:
    result = run(quadratic(), [Row(30.0, 1000), Row(0.1, 5)]).result(0)
    assert result.outcome is Outcome.LEFT_FINITE_NUMBERS
    assert len(result.loss.values) == result.steps_run + 1 == result.gradient_evaluations
    assert np.all(np.isfinite(result.loss.values[:-1]))
    assert not np.isfinite(result.loss.values[-1])
    assert result.checkpoint is None


@settings(max_examples=60, deadline=None)
@given(some_rows, kinds, st.sampled_from(sorted(RULES)))
def test_a_row_is_the_same_to_the_last_bit_in_any_company(rows: list[Row], kind: tuple[str, int | None], rule: str):  # type: ignore[no-untyped-def]
    objective = learner()
    together = run(objective, rows, update_rule=rule, batch_size=kind[1], seed=4)
    for index, row in enumerate(rows):
        alone = run(objective, [row], update_rule=rule, batch_size=kind[1], seed=4)
        mine, lonely = together.result(index), alone.result(0)
        assert (mine.outcome, mine.steps_run) == (lonely.outcome, lonely.steps_run)
        assert_same(mine.loss, lonely.loss)
        assert_same(mine.validation, lonely.validation)


@settings(max_examples=60, deadline=None)
@given(some_rows, kinds)
def test_gradient_evaluations_are_counted_exactly(rows: list[Row], kind: tuple[str, int | None]) -> None:
    objective = Counting(learner())
    descent = run(objective, rows, batch_size=kind[1])
    results = [descent.result(row) for row in range(len(rows))]
    assert sum(result.gradient_evaluations for result in results) == objective.evaluations
    assert all(result.gradient_evaluations == result.steps_run + 1 for result in results)


# A piece at a time


@settings(max_examples=40, deadline=None)
@given(some_rows, st.integers(0, 9))
def test_advancing_by_pieces_is_running_through(rows: list[Row], piece: int) -> None:
    through = run(learner(), rows)
    pieces = Descent(learner(), rows)
    read = dict.fromkeys(range(len(rows)), 0)
    values: dict[int, list[float]] = {row: [] for row in range(len(rows))}
    pieces.advance(0)
    while True:
        for row in values:
            news = pieces.loss_curve(row, since=read[row])
            values[row] += news.values.tolist()
            read[row] += len(news.values)
        if pieces.advance(piece + 1) == 0 and all(read[r] == pieces.result(r).steps_run + 1 for r in read):
            break
    for row, expected in values.items():
        np.testing.assert_array_equal(expected, through.loss_curve(row).values)


def test_advance_runs_so_many_steps_and_says_how_many_rows_are_left() -> None:
    descent = Descent(quadratic(), [Row(0.1, 3), Row(0.1, 7)])
    assert descent.advance(2) == 2
    assert len(descent.loss_curve(0).values) == 3
    result = descent.result(1)
    assert (result.outcome, result.steps_run, result.gradient_evaluations) == (None, 2, 3)
    assert descent.advance(2) == 1
    assert descent.running == (1,)
    assert descent.advance(100) == 0


def test_curves_longer_than_a_block_are_whole() -> None:
    rows = [Row(0.01 * (row + 1), steps) for row, steps in enumerate([2500, 1023, 1024, 1025, 3, 2048])]
    descent = run(quadratic(), rows)
    for index, row in enumerate(rows):
        assert_same(descent.loss_curve(index), run(quadratic(), [row]).loss_curve(0))
        tail = descent.loss_curve(index, since=1000)
        np.testing.assert_array_equal(tail.steps, np.arange(1000, row.steps + 1))
        np.testing.assert_array_equal(tail.values, descent.loss_curve(index).values[1000:])


def test_a_stopped_row_keeps_what_it_ran_and_costs_no_more() -> None:
    objective = Counting(quadratic())
    descent = Descent(objective, [Row(0.1, 100), Row(0.2, 20), Row(0.3, 5)])
    descent.advance(9)
    descent.stop(0)
    descent.stop(2)  # it has ended: nothing changes
    assert descent.running == (1,)
    descent.advance()
    stopped, through, short = (descent.result(row) for row in range(3))
    assert (stopped.outcome, stopped.steps_run, stopped.gradient_evaluations) == (Outcome.STOPPED, 9, 10)
    assert (through.outcome, through.steps_run) == (Outcome.RAN_ITS_STEPS, 20)
    assert (short.outcome, short.steps_run) == (Outcome.RAN_ITS_STEPS, 5)
    assert objective.evaluations == 10 + 21 + 6
    assert len(stopped.loss.values) == 10


def test_a_row_is_stopped_at_the_first_step_above_its_ceiling() -> None:
    """At a rate beyond the limit the loss of a bowl grows by (1 - rate·c)² on every step."""
    objective = Counting(create("quadratic", {"dimension": 1, "condition_number": 1.0}))
    free = run(objective, [Row(2.5, 30)]).result(0)
    ceiling = float(free.loss.values[7])
    before = objective.evaluations
    bounded, level, other = (
        run(objective, [Row(2.5, 30, ceiling=ceiling), Row(2.5, 30, ceiling=1e300), Row(0.5, 30)]).result(row)
        for row in range(3)
    )
    assert (bounded.outcome, bounded.steps_run) == (Outcome.STOPPED, 8)
    assert bounded.gradient_evaluations == 9
    np.testing.assert_array_equal(bounded.loss.values, free.loss.values[:9])
    assert (level.steps_run, other.outcome) == (30, Outcome.RAN_ITS_STEPS)
    assert objective.evaluations - before == 3 * (9 + 31 + 31)
    assert bounded.checkpoint is not None
    # Whoever goes on from above its ceiling does so until the next step.
    on = run(objective, [Row(2.5, 30, ceiling=ceiling)], checkpoints=[bounded.checkpoint]).result(0)
    assert (on.outcome, on.steps_run) == (Outcome.STOPPED, 9)


def test_a_ceiling_may_bound_what_is_validated() -> None:
    rows = [Row(0.5, 200)]
    free = run(learner(), rows).result(0).validation
    assert free is not None
    ceiling = float(free.values[40:].min())
    bounded = run(learner(), [replace(rows[0], ceiling=ceiling)], ceilings_on="validation").result(0)
    first = int(free.steps[np.flatnonzero((free.values > ceiling) & (free.steps > 0))[0]])
    assert (bounded.outcome, bounded.steps_run) == (Outcome.STOPPED, first)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch_size", [None, 16])
def test_a_checkpoint_is_read_from_its_bytes_bit_for_bit(rule: str, batch_size: int | None) -> None:
    options = {"update_rule": rule, "batch_size": batch_size}
    halfway = run(learner(), [Row(0.01, 7)], **options).result(0).checkpoint
    assert halfway is not None
    read = Checkpoint.from_bytes(halfway.to_bytes())
    assert (read.gradient is None) == (batch_size is not None)
    one, other = (
        run(learner(), [Row(0.01, 20)], checkpoints=[point], **options).result(0) for point in (halfway, read)
    )
    assert_same(one.loss, other.loss)


def test_a_row_stopped_before_it_began_costs_nothing() -> None:
    objective = Counting(quadratic())
    descent = Descent(objective, [Row(0.1, 10), Row(0.1, 10)])
    descent.stop(0)
    descent.advance()
    result = descent.result(0)
    assert (result.outcome, result.steps_run, result.gradient_evaluations) == (Outcome.STOPPED, 0, 0)
    assert len(result.loss.values) == 0
    assert result.checkpoint is None
    assert objective.evaluations == 11


# Going on


@pytest.mark.parametrize("rule", RULES)
def test_going_on_equals_never_having_stopped_and_evaluates_nothing_twice(rule: str) -> None:
    objective = Counting(quadratic())
    through = run(objective, [Row(0.05, 30), Row(0.1, 50)], update_rule=rule)
    first = run(objective, [Row(0.05, 12), Row(0.1, 31)], update_rule=rule)
    objective.evaluations = 0
    checkpoints = [first.result(row).checkpoint for row in range(2)]
    # A fresh row and one that starts later share the batch.
    second = run(
        objective,
        [Row(0.05, 30), Row(0.1, 50), Row(0.1, 50)],
        update_rule=rule,
        checkpoints=[*checkpoints, None],
    )
    assert objective.evaluations == (30 - 12) + (50 - 31) + 51
    for row, (begin, end) in enumerate([(12, 30), (31, 50)]):
        result = second.result(row)
        assert result.steps_run == end
        assert result.gradient_evaluations == end - begin
        assert result.gradient_evaluations + first.result(row).gradient_evaluations == end + 1
        assert_same(result.loss, through.loss_curve(row, since=begin))
        assert_same(
            first.loss_curve(row), Curve(*(array[: begin + 1] for array in vars(through.loss_curve(row)).values()))
        )
    assert_same(second.loss_curve(2), through.loss_curve(1))


def test_checkpoints_far_apart_leave_out_the_steps_between() -> None:
    objective = Counting(quadratic())
    late = run(objective, [Row(0.1, 3000)]).result(0).checkpoint
    objective.evaluations = 0
    descent = run(objective, [Row(0.1, 4), Row(0.1, 3003)], checkpoints=[None, late])
    assert objective.evaluations == 5 + 3
    assert descent.loss_curve(1).steps.tolist() == [3000, 3001, 3002, 3003]


def test_a_checkpoint_at_the_target_is_the_result() -> None:
    objective = Counting(quadratic())
    first = run(objective, [Row(0.1, 8)]).result(0)
    objective.evaluations = 0
    again = run(objective, [Row(0.1, 8)], checkpoints=[first.checkpoint]).result(0)
    assert objective.evaluations == again.gradient_evaluations == 0
    assert again.outcome is Outcome.RAN_ITS_STEPS
    assert again.loss.steps.tolist() == [8]
    assert again.loss.values[0] == first.loss.values[-1]


def test_a_running_row_has_a_checkpoint_too() -> None:
    objective = learner()
    descent = Descent(objective, [Row(0.1, 20), Row(0.3, 25)], update_rule="adam", batch_size=8)
    assert descent.result(1).checkpoint is None
    descent.advance(7)
    checkpoint = descent.result(1).checkpoint
    descent.advance()
    gone_on = run(objective, [Row(0.3, 25)], update_rule="adam", batch_size=8, checkpoints=[checkpoint])
    assert_same(gone_on.loss_curve(0), descent.loss_curve(1, since=7))
    assert gone_on.result(0).gradient_evaluations == 25 - 7


# Mini-batches


def test_mini_batches_come_from_the_seed_and_the_step_and_the_last_value_is_the_full_loss() -> None:
    objective = learner()
    result, same, other = (run(objective, [Row(0.1, 30)], batch_size=16, seed=seed).result(0) for seed in (1, 1, 2))
    assert_same(result.loss, same.loss)
    assert np.any(result.loss.values != other.loss.values)
    assert result.checkpoint is not None
    full, _ = objective.value_and_gradient(result.checkpoint.parameters[None])
    assert result.loss.values[-1] == full[0]

    longer = run(objective, [Row(0.1, 31)], batch_size=16, seed=1)
    np.testing.assert_array_equal(longer.loss_curve(0).values[:30], result.loss.values[:30])
    rng = np.random.default_rng((1, 30))
    sampled, _ = objective.sample_value_and_gradient(result.checkpoint.parameters[None], rng, 16)
    assert longer.loss_curve(0).values[30] == sampled[0] != full[0]


def test_going_on_by_mini_batches_costs_one_evaluation_more_and_nothing_else() -> None:
    objective = Counting(learner())
    first = run(objective, [Row(0.2, 15)], batch_size=16, update_rule="heavy_ball").result(0)
    second = run(
        objective, [Row(0.2, 40)], batch_size=16, update_rule="heavy_ball", checkpoints=[first.checkpoint]
    ).result(0)
    assert first.gradient_evaluations + second.gradient_evaluations == objective.evaluations == 42
    through = run(objective, [Row(0.2, 40)], batch_size=16, update_rule="heavy_ball")
    assert_same(second.loss, through.loss_curve(0, since=15))


def test_a_stopped_row_whose_target_comes_down_to_it_gets_the_full_loss() -> None:
    objective = learner()
    descent = Descent(objective, [Row(0.2, 40)], batch_size=16)
    descent.advance(9)
    descent.stop(0)
    checkpoint = descent.result(0).checkpoint
    ended = run(objective, [Row(0.2, 9)], batch_size=16, checkpoints=[checkpoint]).result(0)
    assert ended.gradient_evaluations == 1
    assert ended.loss.values[-1] == run(objective, [Row(0.2, 9)], batch_size=16).loss_curve(0).values[-1]


# Validation


def test_validation_is_measured_at_steps_that_do_not_depend_on_the_length_and_at_the_end() -> None:
    objective = learner()
    descent = run(objective, [Row(0.05, 700), Row(0.05, 333), Row(0.05, 3)])
    long, medium, short = (descent.validation_curve(row) for row in range(3))
    assert long.steps.tolist() == [step for step in range(701) if measures_validation(step) or step == 700]
    assert set(medium.steps) - set(long.steps) == {333}
    assert short.steps.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(medium.values[:-1], long.values[: len(medium.values) - 1])
    checkpoint = descent.result(1).checkpoint
    assert checkpoint is not None
    assert medium.values[-1] == objective.validation_value(checkpoint.parameters[None])[0]
    assert descent.validation_curve(0, since=600).steps.tolist() == [step for step in long.steps if step >= 600]


def test_the_validation_schedule_is_dense_early_and_some_hundred_points_for_thousands_of_steps() -> None:
    due = [step for step in range(10_001) if measures_validation(step)]
    assert due[:130] == [*range(64), *range(64, 128, 2), *range(128, 256, 4), 256, 264]
    assert len(due) < 320
    assert np.diff(due).max() == 256


def test_a_stopped_row_is_validated_where_it_stopped() -> None:
    descent = Descent(learner(), [Row(0.1, 500)])
    descent.advance(201)
    descent.stop(0)
    assert descent.validation_curve(0).steps[-1] == 201
    assert len(set(descent.validation_curve(0).steps)) == len(descent.validation_curve(0).steps)


# What cannot be


@pytest.mark.parametrize(
    ("rows", "options", "field"),
    [
        ([Row(0.0, 1)], {}, "rows.0.learning_rate"),
        ([Row(0.1, 1), Row(float("nan"), 1)], {}, "rows.1.learning_rate"),
        ([Row(float("inf"), 1)], {}, "rows.0.learning_rate"),
        ([Row(0.1, -1)], {}, "rows.0.steps"),
        ([Row(0.1, 1, {"momentum": 0.9})], {}, "rows.0.settings.momentum"),
        ([Row(0.1, 1, {"momentum": 1.0})], {"update_rule": "heavy_ball"}, "rows.0.settings.momentum"),
        ([Row(0.1, 1, {"epsilon": float("nan")})], {"update_rule": "adam"}, "rows.0.settings.epsilon"),
        ([Row(0.1, 1)], {"update_rule": "newton"}, "update_rule"),
        ([Row(0.1, 1)], {"batch_size": 8}, "batch_size"),
        ([Row(0.1, 1)], {"checkpoints": []}, "checkpoints"),
        ([Row(0.1, 1)], {"checkpoints": [Checkpoint(2, np.zeros(4), {}, 0.0, np.zeros(4))]}, "rows.0.steps"),
        ([Row(0.1, 9)], {"checkpoints": [Checkpoint(2, np.zeros(3), {}, 0.0, np.zeros(3))]}, "checkpoints.0"),
        (
            [Row(0.1, 9)],
            {"checkpoints": [Checkpoint(2, np.zeros(4), {}, 0.0, np.zeros(4))], "update_rule": "adam"},
            "checkpoints.0",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_by_field(rows: list[Row], options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Descent(quadratic(), rows, **options)
    assert [error.field for error in refused.value.fields] == [field]


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(InvalidInput, match="batch_size: must be at least 1"):
        Descent(learner(), [Row(0.1, 1)], batch_size=0)


def test_an_objective_that_breaks_midway_is_named() -> None:
    class Breaking(Counting):
        def value_and_gradient(self, parameters: Any) -> Any:
            if self.evaluations > 5:
                raise RuntimeError("out of luck")
            return super().value_and_gradient(parameters)

    descent = Descent(Breaking(quadratic()), [Row(0.1, 100)])
    with pytest.raises(ObjectiveFailed, match=r"Breaking\.value_and_gradient: RuntimeError: out of luck"):
        descent.advance()
