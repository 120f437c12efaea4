"""A trajectory search carried out by workers in this process, on real databases."""

import math
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.worker.running import (
    curves_of,
    eventually,
    measuring,
    study_of,
    trials_of,
    work_off,
)
from tests.worker.searching import BATCHES, FEW, SPACE, checkpoints_of, counted, search, value_again
from tuner.objectives import create
from tuner.service import trials
from tuner.storage.database import Database
from tuner.trial import Outcome, TrialState
from tuner.worker import Worker


def test_line_fit_is_solved_and_every_trial_can_be_run_again(database: Database) -> None:
    search(database, settings={"seed": 5}, budget={"trials": None})
    study = work_off(database, "s")
    found = trials_of(database, "s")

    least_squares: float = create("line_fit", {"seed": 5}).minimum  # type: ignore[attr-defined]
    assert study.state == "completed"
    assert study.state_reason is not None
    assert study.state_reason.startswith("the search is over")
    assert study.best is not None
    assert study.best.values is not None
    assert study.best.values["loss"] <= 1.05 * least_squares
    for trial, curves in zip(found, curves_of(database, "s"), strict=True):
        assert trial.state == TrialState.COMPLETE
        assert trial.values is not None
        assert trial.values["loss"] == value_again(trial, "line_fit", {"seed": 5})
        # It stands for the step at which it was best, and its curve goes on to where it was followed.
        assert trial.steps_run is not None
        assert curves["loss"].steps == list(range(trial.steps_run + 1))
        best = min(curves["loss"].values[1:])
        assert trial.values["loss"] == best
        assert curves["loss"].values[int(trial.parameters["steps"])] == best  # type: ignore[arg-type]
    assert checkpoints_of(database, "s") == set()
    assert study.spent.trials == len(found)


def test_every_evaluation_is_charged_once(database: Database, tmp_path: Path) -> None:
    log = tmp_path / "evaluations"
    search(database, objective="bowl", settings={"log": str(log)})
    study = work_off(database, "s")
    in_trials = sum(trial.gradient_evaluations for trial in trials_of(database, "s"))
    assert counted(log) == study.spent.gradient_evaluations == in_trials + measuring(database, "s")
    # The start is evaluated once for all rates: a rate of n steps takes n further evaluations.
    assert in_trials == sum(trial.steps_run or 0 for trial in trials_of(database, "s"))


def test_a_rate_beyond_the_limit_stands_for_the_best_of_its_steps_and_says_how_it_ended(database: Database) -> None:
    search(database, search_space={**SPACE, "learning_rate": {"type": "float", "low": 5.0, "high": 1e6}})
    work_off(database, "s")
    diverged = [trial for trial in trials_of(database, "s") if trial.outcome == Outcome.LEFT_FINITE_NUMBERS]
    assert diverged
    for trial in diverged:
        assert trial.values is not None
        assert trial.steps_run is not None
        assert trial.steps_run > 1
        assert math.isfinite(trial.values["loss"])
        assert trial.parameters["steps"] == 1
        assert not math.isfinite(trials.curve(database, "s", trial.number)["loss"].values[-1])


@pytest.mark.parametrize("evaluations", [2, 3, 7, 20, 51, 123])
def test_a_budget_of_evaluations_is_kept_to_the_last_one(database: Database, tmp_path: Path, evaluations: int) -> None:
    log = tmp_path / "evaluations"
    budget = {"trials": None, "gradient_evaluations": evaluations}
    search(database, objective="bowl", settings={"log": str(log)}, budget=budget)
    study = work_off(database, "s")
    assert study.state == "completed"
    assert study.spent.gradient_evaluations == counted(log)
    assert evaluations - 1 <= counted(log) <= evaluations
    assert study.state_reason == f"the budget of {evaluations} gradient evaluations is spent"
    assert study.trials["running"] == study.trials["waiting"] == 0


@pytest.mark.parametrize("most", [1, 4])
def test_a_budget_of_trials_counts_rates(database: Database, most: int) -> None:
    search(database, budget={"trials": most})
    study = work_off(database, "s")
    assert (study.state, study.spent.trials) == ("completed", most)
    assert [trial.number for trial in trials_of(database, "s")] == list(range(most))


def test_the_same_definition_gives_the_same_trials_bit_for_bit(database: Database) -> None:
    for name in ("one", "two"):
        search(database, name, objective="rosenbrock")
        work_off(database, name)
    one, two = trials_of(database, "one"), trials_of(database, "two")
    assert [(trial.parameters, repr(trial.values)) for trial in one] == [
        (trial.parameters, repr(trial.values)) for trial in two
    ]
    assert [repr(curve) for curve in curves_of(database, "one")] == [
        repr(curve) for curve in curves_of(database, "two")
    ]


def test_fewer_steps_than_are_searched_are_no_result(database: Database) -> None:
    space = {**SPACE, "steps": {"type": "int", "low": 100, "high": 200}}
    search(database, search_space=space)
    work_off(database, "s")
    for trial in trials_of(database, "s"):
        assert trial.steps_run is not None
        if trial.state == TrialState.PRUNED:
            assert trial.steps_run < 100
            assert "given up" in (trial.reason or "")
        else:
            assert int(trial.parameters["steps"]) >= 100  # type: ignore[arg-type]
            assert trial.steps_run >= 100 or trial.outcome == Outcome.LEFT_FINITE_NUMBERS


def test_validation_can_be_the_goal(database: Database) -> None:
    settings = {"data": "synthetic"}
    search(database, objective="network", settings=settings, goal={"minimize": "validation_loss"})
    study = work_off(database, "s")
    assert study.best is not None
    for trial in trials_of(database, "s"):
        curve = trials.curve(database, "s", trial.number)["validation_loss"]
        assert trial.values is not None
        assert trial.values["validation_loss"] == min(curve.values[1:])
        again = value_again(trial, "network", settings, "validation_loss")
        assert trial.values["validation_loss"] == again


def test_by_mini_batches_a_rate_stands_for_a_step_whose_full_loss_is_known(database: Database) -> None:
    settings = {"data": "synthetic"}
    search(database, objective="logistic_regression", settings=settings, search_space=BATCHES)
    study = work_off(database, "s")
    assert study.state == "completed"
    assert study.best is not None
    for trial in trials_of(database, "s"):
        if trial.outcome != Outcome.LEFT_FINITE_NUMBERS:
            assert trial.values is not None
            assert trial.values["loss"] == value_again(trial, "logistic_regression", settings)


def test_the_fewest_steps_to_a_target_are_found(database: Database) -> None:
    search(database, goal={"minimize": "steps", "until": {"loss": 2e-4}}, settings={"seed": 5})
    study = work_off(database, "s")
    assert study.best is not None
    for trial in trials_of(database, "s"):
        losses = np.array(trials.curve(database, "s", trial.number)["loss"].values)
        reached = np.flatnonzero(losses <= 2e-4)
        assert trial.objective_value == (int(reached[0]) if len(reached) else None)
        if len(reached):
            assert trial.parameters["steps"] == reached[0]


def test_a_trade_off_is_answered_from_the_rates(database: Database) -> None:
    search(database, goal={"minimize": ["loss", "steps"]})
    study = work_off(database, "s")
    assert study.state == "completed"
    assert study.trials["complete"] == study.spent.trials


def test_points_that_users_enqueue_are_run_as_they_are(database: Database) -> None:
    search(database)
    chosen = trials.enqueue(database, "s", {"learning_rate": 0.05, "steps": 7})
    work_off(database, "s")
    trial = trials.get(database, "s", chosen.number)
    assert (trial.state, trial.parameters, trial.steps_run) == (TrialState.COMPLETE, chosen.parameters, 7)
    assert len(trials_of(database, "s")) > 1


def test_points_that_come_in_the_midst_of_a_search_are_run_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(database, objective="slow_bowl", settings={"seconds": 0.005}, budget=FEW)
    with Worker(database, studies=["s"]) as worker:
        thread = threading.Thread(target=worker.work_once)
        thread.start()
        eventually(lambda: study_of(database, "s").trials["running"] > 0)
        chosen = trials.enqueue(database, "s", {"learning_rate": 0.05, "steps": 3})
        thread.join()
    assert trials.get(database, "s", chosen.number).state == TrialState.COMPLETE
    assert study_of(database, "s").state == "completed"


def test_a_rate_at_which_the_objective_raises_fails_and_the_others_do_not(database: Database) -> None:
    search(database, objective="fragile_bowl", settings={"rim": 10.0})
    study = work_off(database, "s")
    found = trials_of(database, "s")
    assert study.state == "completed"
    assert study.best is not None
    failed = [trial for trial in found if trial.state == TrialState.FAILED]
    assert failed
    for trial in failed:
        assert trial.reason == "FragileBowl.value_and_gradient: ArithmeticError: over the rim"
        assert trial.parameters["learning_rate"] > 1  # type: ignore[operator]
    assert study.spent.gradient_evaluations == sum(trial.gradient_evaluations for trial in found) + measuring(
        database, "s"
    )


@pytest.mark.parametrize("objective", ["crooked_bowl", "leaving_bowl"])
def test_an_objective_that_only_fails_says_so_and_the_worker_goes_on(database: Database, objective: str) -> None:
    search(database, "bad", objective=objective, budget={"trials": 5})
    search(database, "good", objective="bowl")
    with Worker(database) as worker:
        while worker.work_once():
            pass
    study = study_of(database, "bad")
    assert study.state == "completed"
    assert study.trials["failed"] == study.spent.trials > 0
    assert all("Bowl.value_and_gradient" in (trial.reason or "") for trial in trials_of(database, "bad"))
    assert study_of(database, "good").best is not None


def test_a_rate_that_ends_its_workers_is_quarantined_and_the_others_are_followed(database: Database) -> None:
    """Descent at a rate r takes x from 1 to (1 - 2r)ⁿ: beyond r = 1 it gets to where the objective is deadly."""
    search(database, objective="leaving_bowl", settings={"politely": False, "rim": 2.5}, budget=FEW)
    deaths = 0
    while study_of(database, "s").state == "active":
        try:
            work_off(database, "s")
        except KeyboardInterrupt:
            deaths += 1
    found = trials_of(database, "s")
    deadly = [trial for trial in found if trial.quarantined]
    others = [trial for trial in found if not trial.quarantined]

    assert study_of(database, "s").state == "completed"
    assert deadly
    assert all(trial.parameters["learning_rate"] > 1 for trial in deadly)  # type: ignore[operator]
    assert deaths == 3 * len(deadly)
    assert {trial.state for trial in others} == {TrialState.COMPLETE}
    assert study_of(database, "s").best is not None


def test_another_worker_finds_nothing_of_a_study_that_is_searched(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(database, objective="slow_bowl", settings={"seconds": 0.01}, budget=FEW)
    search(database, "other", objective="bowl")
    with Worker(database, studies=["s"]) as first, Worker(database, studies=["s", "other"]) as second:
        thread = threading.Thread(target=first.work_once)
        thread.start()
        eventually(lambda: study_of(database, "s").trials["running"] > 0)
        assert second.work_once()
        assert study_of(database, "other").state == "completed"
        assert study_of(database, "s").state == "active"
        assert not second.work_once()
        thread.join()
    assert study_of(database, "s").state == "completed"
    assert {trial.attempt for trial in trials_of(database, "s")} == {1}
