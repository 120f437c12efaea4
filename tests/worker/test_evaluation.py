"""Leased trials as descents, without a database."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from tuner.descent import Descent, Row
from tuner.objectives import create
from tuner.trial import Lease, Outcome
from tuner.worker import evaluation
from tuner.worker.evaluation import Pass, Run, passes


def lease(number: int, **parameters: Any) -> Lease:
    return Lease(number=number, attempt=1, lease_expires_at=datetime.now(UTC), parameters=parameters)


def test_trials_share_a_pass_unless_rule_or_mini_batch_differ() -> None:
    leases = [
        lease(0, learning_rate=0.1, steps=5),
        lease(1, learning_rate=0.1, steps=9),
        lease(2, learning_rate=0.1, steps=5, update_rule="adam"),
        lease(3, learning_rate=0.1, steps=5, batch_size=10),
    ]
    found = {(each.update_rule, each.batch_size): [lease.number for lease in each.leases] for each in passes(leases, 2)}

    assert found == {("gradient_descent", None): [0, 1], ("adam", None): [2], ("gradient_descent", 10): [3]}


def test_a_pass_is_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "PASS_BYTES", 8 * 3 * (101 + 8 * 2))
    leases = [lease(number, learning_rate=0.1, steps=100) for number in range(7)]

    assert [len(each.leases) for each in passes(leases, dimension=2)] == [3, 3, 1]


def test_a_row_ends_as_it_does_alone() -> None:
    objective = create("line_fit", {})
    points = [(0.1, 50), (0.5, 7), (10.0, 100), (0.7, 200)]
    leases = [lease(number, learning_rate=rate, steps=steps) for number, (rate, steps) in enumerate(points)]
    run = Run(objective, 0, Pass("gradient_descent", None, tuple(leases)))
    while run.advance(13):
        pass
    endings = run.endings()

    assert [ending.number for ending in endings] == [0, 1, 2, 3]
    for ending, (rate, steps) in zip(endings, points, strict=True):
        alone = Descent(objective, [Row(rate, steps)])
        alone.advance()
        expected = alone.result(0)
        [loss] = ending.curves
        np.testing.assert_array_equal(loss.values, expected.loss.values)
        np.testing.assert_array_equal(ending.values["loss"], expected.loss.values[-1])
        assert ending.steps_run == expected.steps_run
        assert ending.gradient_evaluations == expected.steps_run + 1
        assert ending.outcome == expected.outcome
    assert endings[2].outcome == Outcome.LEFT_FINITE_NUMBERS


def test_news_and_endings_bring_every_point_once() -> None:
    objective = create("logistic_regression", {"data": "synthetic"})
    leases = (lease(0, learning_rate=0.1, steps=30), lease(1, learning_rate=0.1, steps=100))
    run = Run(objective, 0, Pass("gradient_descent", None, leases))
    steps: dict[tuple[int, str], list[int]] = {}
    running = True
    while running:
        running = run.advance(7)
        for ending in run.endings():
            for points in ending.curves:
                steps.setdefault((ending.number, points.metric), []).extend(points.steps)
        for one in run.news():
            for points in one.points:
                steps.setdefault((one.number, points.metric), []).extend(points.steps)

    assert steps[0, "loss"] == list(range(31))
    assert steps[1, "loss"] == list(range(101))
    assert steps[1, "validation_loss"][-1] == 100
    assert len(set(steps[1, "validation_loss"])) == len(steps[1, "validation_loss"])


def test_settings_reach_their_own_update_rule_alone() -> None:
    objective = create("line_fit", {})
    parameters = {"learning_rate": 0.1, "steps": 20, "update_rule": "heavy_ball", "momentum": 0.5, "beta1": 0.3}
    run = Run(objective, 0, Pass("heavy_ball", None, (lease(0, **parameters),)))
    run.advance(20)
    [ending] = run.endings()

    alone = Descent(objective, [Row(0.1, 20, {"momentum": 0.5})], update_rule="heavy_ball")
    alone.advance()
    assert ending.values["loss"] == alone.result(0).loss.values[-1]


def test_mini_batches_come_from_the_initial_seed() -> None:
    objective = create("logistic_regression", {"data": "synthetic"})

    def last_loss(seed: int) -> float:
        run = Run(objective, seed, Pass("gradient_descent", 16, (lease(0, learning_rate=0.5, steps=40),)))
        run.advance(40)
        return run.endings()[0].values["loss"]

    assert last_loss(1) == last_loss(1)
    assert last_loss(1) != last_loss(2)
