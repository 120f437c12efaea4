"""A trajectory search of further dimensions, carried out by workers on real databases."""

from pathlib import Path
from typing import Any

import pytest

from tests.worker.running import (
    measuring,
    trials_of,
    work_off,
)
from tests.worker.searching import SPACE, counted, search, value_again
from tuner.service import studies
from tuner.storage.database import Database
from tuner.trial import Outcome, Trial, TrialState

MOMENTUM: dict[str, Any] = {
    **SPACE,
    "update_rule": {"type": "categorical", "choices": ["heavy_ball"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99},
}

METHODS: dict[str, Any] = {
    **MOMENTUM,
    "update_rule": {"type": "categorical", "choices": ["gradient_descent", "heavy_ball", "adam"]},
    "beta1": {"type": "float", "low": 0.5, "high": 0.95},
}


def arms_of(found: list[Trial], *names: str) -> set[tuple[Any, ...]]:
    return {tuple(trial.parameters[name] for name in names) for trial in found}


@pytest.mark.parametrize("space", [MOMENTUM, METHODS], ids=["momentum", "methods"])
def test_further_dimensions_are_searched_and_every_trial_can_be_run_again(
    database: Database, space: dict[str, Any]
) -> None:
    budget = {"trials": None, "gradient_evaluations": 1500}
    search(database, objective="rosenbrock", search_space=space, budget=budget)
    study = work_off(database, "s")
    found = trials_of(database, "s")
    assert study.state == "completed"
    assert len(arms_of(found, "update_rule", "momentum")) > 2
    for trial in found:
        assert trial.parameters.keys() == space.keys()
        assert trial.values is not None
        assert repr(trial.values["loss"]) == repr(value_again(trial, "rosenbrock", {}))
    rates = [tuple(value for name, value in trial.parameters.items() if name != "steps") for trial in found]
    assert len(set(rates)) == len(rates)


@pytest.mark.parametrize("evaluations", [3, 160, 555])
def test_a_budget_of_evaluations_holds_for_all_arms_together(
    database: Database, tmp_path: Path, evaluations: int
) -> None:
    log = tmp_path / "evaluations"
    budget = {"trials": None, "gradient_evaluations": evaluations}
    search(database, objective="bowl", settings={"log": str(log)}, budget=budget, search_space=MOMENTUM)
    study = work_off(database, "s")
    found = trials_of(database, "s")
    assert (study.state, study.spent.gradient_evaluations) == ("completed", counted(log))
    assert evaluations - 1 <= counted(log) <= evaluations
    # The start, the check and the probe are paid for once, whatever the arms.
    assert counted(log) == sum(trial.gradient_evaluations for trial in found) + measuring(database, "s")
    assert sum(trial.gradient_evaluations for trial in found) == sum(trial.steps_run or 0 for trial in found)


def test_a_budget_of_trials_counts_the_rates_of_all_arms_and_the_best_is_followed_to_the_end(
    database: Database,
) -> None:
    search(database, objective="rosenbrock", budget={"trials": 20}, search_space=MOMENTUM)
    study = work_off(database, "s")
    found = trials_of(database, "s")
    assert (study.state, study.spent.trials, len(found)) == ("completed", 20, 20)
    assert len(arms_of(found, "momentum")) > 1
    assert max(trial.steps_run or 0 for trial in found) == 200


def test_the_same_definition_gives_the_same_arms_bit_for_bit(database: Database) -> None:
    for name in ("one", "two"):
        search(database, name, objective="rosenbrock", search_space=METHODS, budget={"gradient_evaluations": 1200})
        work_off(database, name)
    assert [(trial.parameters, repr(trial.values)) for trial in trials_of(database, "one")] == [
        (trial.parameters, repr(trial.values)) for trial in trials_of(database, "two")
    ]


def test_the_size_of_mini_batches_can_be_searched(database: Database) -> None:
    settings = {"data": "synthetic"}
    space = {**SPACE, "batch_size": {"type": "categorical", "choices": [8, 32]}}
    budget = {"gradient_evaluations": 800}
    search(database, objective="logistic_regression", settings=settings, search_space=space, budget=budget)
    work_off(database, "s")
    found = trials_of(database, "s")
    assert arms_of(found, "batch_size") == {(8,), (32,)}
    for trial in found:
        if trial.state == TrialState.COMPLETE and trial.outcome != Outcome.LEFT_FINITE_NUMBERS:
            assert trial.values is not None
            assert trial.values["loss"] == value_again(trial, "logistic_regression", settings)


def test_a_raised_budget_goes_on_with_the_arms_that_are_there(database: Database, tmp_path: Path) -> None:
    log = tmp_path / "evaluations"
    budget = {"trials": None, "gradient_evaluations": 500}
    search(database, objective="bowl", settings={"log": str(log)}, budget=budget, search_space=MOMENTUM)
    work_off(database, "s")
    before = trials_of(database, "s")
    studies.change(database, "s", {"budget": {"trials": None, "gradient_evaluations": 1500}})
    study = work_off(database, "s")
    found = trials_of(database, "s")
    assert study.spent.gradient_evaluations == counted(log)
    assert found[: len(before)] == before
    assert any(trial.gradient_evaluations < (trial.steps_run or 0) for trial in found[len(before) :])
    assert arms_of(before, "momentum") <= arms_of(found, "momentum")


def test_verdicts_know_the_limit_of_each_arm(database: Database) -> None:
    search(database, budget={"trials": 12}, search_space=MOMENTUM)
    work_off(database, "s")
    judged = [one for one in trials_of(database, "s") if one.evidence is not None]
    assert len(judged) == 12
    for one in judged:
        assert one.evidence is not None
        momentum = one.parameters["momentum"]
        assert isinstance(momentum, float)
        assert one.evidence["limit"] == pytest.approx(0.7755 * (1 + momentum), rel=0.01)
