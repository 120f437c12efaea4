"""Goals about steps, and what trials show together, from a training program's side."""

import math

import pytest

from tests.api.requests import registered
from tests.client.descending import loss_after
from tuner.client import Client, Study
from tuner.errors import ExternalStudy, InvalidInput, NoResult, NoSingleBest


def descended(client: Client, goal: str, trials: int = 8, steps: int = 30) -> Study:
    """A study of a parabola whose trials report every step; some diverge."""
    study = client.study(
        "s", learning_rate=(1e-2, 1.0), steps=steps, goal=goal, sampler={"name": "random", "seed": 1}, trials=trials
    )
    for trial in study:
        for step in trial.range():
            trial.report(step, loss=loss_after(step, trial.learning_rate))
        trial.tell(loss=loss_after(steps, trial.learning_rate))
    return study


def first_below(target: float, rate: float, steps: int = 30) -> float:
    return next((step for step in range(1, steps + 1) if loss_after(step, rate) <= target), math.inf)


def test_the_fewest_steps_to_a_target(client: Client) -> None:
    study = descended(client, "minimize steps until loss 0.01")
    expected = {trial.number: first_below(0.01, trial.learning_rate) for trial in study.trials()}
    assert {trial.number: trial.objective_value or math.inf for trial in study.trials()} == expected
    assert study.best.objective_value == min(expected.values())
    assert study.best.number == min(expected, key=lambda number: (expected[number], number))
    assert study.definition["goal"] == {"minimize": "steps", "until": {"loss": 0.01}}


def test_a_trial_that_has_arrived_may_stop_and_is_complete(client: Client) -> None:
    study = client.study("s", learning_rate=0.1, steps=1000, goal="minimize steps until loss 0.01", trials=1)
    for trial in study:
        for step in trial.range():
            trial.report(step, loss=loss_after(step, 0.1))
            if trial.should_stop:
                break
        assert trial.stop_reason is not None
        assert "target" in trial.stop_reason
        told = trial.tell(loss=loss_after(step, 0.1))
    assert told.state == "complete"
    assert told.steps_run == told.objective_value == first_below(0.01, 0.1)


def test_the_same_call_joins_a_study_of_any_goal(client: Client) -> None:
    for place, goal in enumerate(("minimize steps until accuracy is at least 0.9", "minimize steps and loss")):
        for _ in range(2):
            client.study(f"s{place}", learning_rate=(1e-2, 1.0), steps=30, goal=goal)


def test_the_trade_off_and_the_table_are_answered_from_what_was_reported(client: Client) -> None:
    study = descended(client, "minimize loss and steps")
    trials = {trial.number: trial for trial in study.trials()}
    points = study.pareto()
    assert [point.steps for point in points] == sorted({point.steps for point in points})
    for point in points:
        assert point.learning_rate == trials[point.number].learning_rate
        assert point.value == loss_after(point.steps, point.learning_rate)
        assert point.value == min(
            loss_after(step, trial.learning_rate) for trial in trials.values() for step in range(1, point.steps + 1)
        )
    table = study.surface()
    assert list(table.rates) == sorted(trial.learning_rate for trial in trials.values())
    for steps, row in zip(table.steps, table.values, strict=True):
        assert row == [loss_after(steps, rate) for rate in table.rates]
    with pytest.raises(NoSingleBest, match="pareto"):
        _ = study.best
    with pytest.raises(InvalidInput, match=r"^parameter: "):
        study.surface(parameter="momentum")


def test_which_parameters_decide(client: Client) -> None:
    with pytest.raises(NoResult):
        descended(client, "minimize loss").importance()
    study = client.study("t", learning_rate=(1e-2, 1.0), steps=(1, 5), sampler="random", trials=40)
    for trial in study:
        trial.tell(loss=trial.learning_rate)
    found = study.importance()
    assert next(iter(found)) == "learning_rate"
    assert sum(found.values()) == pytest.approx(1)


def test_a_landscape_is_of_an_objective_that_the_service_knows(client: Client) -> None:
    with pytest.raises(ExternalStudy):
        client.study("s", learning_rate=(1e-2, 1.0), steps=3).landscape(0)
    client._transport.write("/v1/studies", registered())
    study = client.study("line-fit")
    with pytest.raises(NoResult):
        study.landscape()
    study.enqueue(learning_rate=0.5, steps=20)
    found = study.landscape(0, resolution=5)
    assert [axis["label"] for axis in found["axes"]] == ["w", "b"]
    assert found["gradient_evaluations"] == 21 + 25
