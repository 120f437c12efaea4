"""What comes between a trajectory search and its end: limits, pauses, signals, raised budgets, deletion."""

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.worker.running import (
    curves_of,
    definition,
    eventually,
    study_of,
    trials_of,
    work_off,
)
from tests.worker.searching import FEW, checkpoints_of, counted, search, value_again
from tuner.analysis.verdict import Name
from tuner.errors import BudgetSpent, LeaseLost
from tuner.search import planner_of
from tuner.service import holds, stability, studies, trials, workers
from tuner.service.ask import ask
from tuner.service.search import Step, advance
from tuner.service.stability import StabilityEffort
from tuner.storage.database import Database
from tuner.trial import Outcome, TrialState
from tuner.worker import Worker, pace


def interrupted(database: Database, name: str, by: Any, **changes: Any) -> None:
    """Search a slow study with a worker in a thread, and do something to the study in the midst of it."""
    search(database, name, objective="slow_bowl", settings={"seconds": 0.01}, **{"budget": FEW, **changes})
    with Worker(database, studies=[name]) as worker:
        thread = threading.Thread(target=worker.work_once)
        thread.start()
        eventually(lambda: study_of(database, name).trials["running"] > 1)
        by(worker)
        thread.join()


def compare_with_a_whole_one(database: Database, name: str) -> None:
    """The trials of a study are those of an undisturbed search, and so is what they took."""
    search(database, "whole", objective="slow_bowl", settings={"seconds": 0.0}, budget=FEW)
    whole = work_off(database, "whole")
    found = study_of(database, name)
    assert [(one.parameters, one.values, one.steps_run) for one in trials_of(database, name)] == [
        (one.parameters, one.values, one.steps_run) for one in trials_of(database, "whole")
    ]
    assert curves_of(database, name) == curves_of(database, "whole")
    assert found.spent.gradient_evaluations == whole.spent.gradient_evaluations


def test_what_a_search_may_spend_is_spent_on_no_measurement(database: Database) -> None:
    def measure(worker: Worker) -> None:
        with pytest.raises(BudgetSpent, match="pause it"):
            stability.measure(database, "s", StabilityEffort())

    interrupted(database, "s", measure, budget={"gradient_evaluations": 600})
    found = study_of(database, "s")
    assert found.state == "completed"
    assert found.spent.gradient_evaluations <= 600


def test_what_a_plan_has_probed_is_no_measured_stability(database: Database) -> None:
    search(database, settings={"seed": 5})
    work_off(database, "s")
    assert stability.read(database, "s").measured is None
    measured = stability.measure(database, "s", StabilityEffort(points=1))
    best = studies.best(database, "s")
    assert (measured.trial, measured.along_best[0].step) == (best.number, best.parameters["steps"])


def test_the_verdict_on_a_rate_is_on_all_that_it_was_followed(database: Database) -> None:
    search(database, settings={"seed": 5})
    work_off(database, "s")
    for trial in trials_of(database, "s"):
        assert trial.verdict is not None
        left = trial.outcome == Outcome.LEFT_FINITE_NUMBERS
        assert not left or trial.verdict == Name.DIVERGED


def test_a_paused_search_gives_its_rates_back_and_goes_on_where_it_stood(database: Database) -> None:
    interrupted(database, "s", lambda _: studies.pause(database, "s"))
    study = study_of(database, "s")
    assert (study.state, study.trials["running"]) == ("paused", 0)
    assert study.trials["waiting"] > 0
    assert checkpoints_of(database, "s") >= {
        trial.number for trial in trials_of(database, "s") if trial.state == TrialState.WAITING
    }
    studies.resume(database, "s")
    work_off(database, "s")
    compare_with_a_whole_one(database, "s")


def test_a_worker_that_is_told_to_stop_leaves_a_search_that_another_takes_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "CHUNK_SECONDS", 0.02)
    interrupted(database, "s", lambda worker: worker.stop())
    study = study_of(database, "s")
    assert (study.state, study.trials["running"]) == ("active", 0)
    assert study.trials["waiting"] > 0
    work_off(database, "s")
    compare_with_a_whole_one(database, "s")


def test_a_stopped_search_tells_what_it_has(database: Database) -> None:
    interrupted(database, "s", lambda _: studies.stop(database, "s"))
    study = study_of(database, "s")
    assert (study.state, study.trials["running"], study.trials["waiting"]) == ("stopped", 0, 0)
    assert study.trials["complete"] == study.spent.trials > 0


def test_a_search_whose_seconds_are_over_tells_what_it_has(database: Database) -> None:
    budget = {"trials": None, "seconds": 0.7}
    search(database, objective="slow_bowl", settings={"seconds": 0.01}, budget=budget)
    study = work_off(database, "s")
    assert (study.state, study.state_reason) == ("completed", "the budget of 0.7 seconds is spent")
    assert study.trials["complete"] == study.spent.trials > 0


def test_a_study_that_is_held_gives_nothing_to_anybody_else(database: Database) -> None:
    search(database)
    chosen = trials.enqueue(database, "s", {"learning_rate": 0.05, "steps": 7})
    assert workers.take(database, "s", worker="one", lease_seconds=60).task == "check"
    assert workers.take(database, "s", worker="two", lease_seconds=60).task == "nothing"
    asked = ask(database, "s", count=5)
    assert (asked.trials, asked.study_state) == ([], "active")
    assert asked.retry_after_seconds is not None
    with pytest.raises(LeaseLost):
        advance(database, "s", "two", Step(completed="it is over"))
    holds.release(database, "s", "one")
    [lease] = ask(database, "s", count=5).trials
    assert lease.number == chosen.number


def test_a_wrong_gradient_stops_the_study_and_a_user_may_go_on(database: Database) -> None:
    search(database, objective="twisted_bowl")
    study = work_off(database, "s")
    assert (study.state, study.spent.trials, study.spent.gradient_evaluations) == ("stopped", 0, 2)
    assert study.state_reason is not None
    assert study.state_reason.startswith("the gradient is wrong")
    assert study.state_reason.endswith("a relative error of 0.5")
    studies.resume(database, "s")
    assert work_off(database, "s").state == "completed"


def test_progress_is_seen_while_a_long_pass_runs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "REPORT_EVERY", 0.1)
    monkeypatch.setattr(pace, "CHUNK_SECONDS", 0.02)
    seen: set[int] = set()

    def look(_: Worker) -> None:
        while study_of(database, "s").state == "active" and len(seen) < 5:
            seen.add(study_of(database, "s").spent.gradient_evaluations)

    interrupted(database, "s", look)
    assert len(seen) == 5
    compare_with_a_whole_one(database, "s")


def test_a_raised_budget_takes_the_search_up_again_and_pays_for_no_step_twice(
    database: Database, tmp_path: Path
) -> None:
    log = tmp_path / "evaluations"
    budget = {"trials": None, "gradient_evaluations": 90}
    search(database, objective="bowl", settings={"log": str(log)}, budget=budget)
    assert work_off(database, "s").state == "completed"
    before = trials_of(database, "s")
    studies.change(database, "s", {"budget": {"trials": None, "gradient_evaluations": 2000}})
    study = work_off(database, "s")
    found = trials_of(database, "s")

    assert study.state == "completed"
    assert study.spent.gradient_evaluations == counted(log)
    assert found[: len(before)] == before
    assert len(found) > len(before)
    going_on = [trial for trial in found[len(before) :] if trial.gradient_evaluations < (trial.steps_run or 0)]
    assert going_on
    for trial in going_on:
        curve = trials.curve(database, "s", trial.number)["loss"]
        assert curve.steps == list(range((trial.steps_run or 0) + 1))
        assert trial.values is not None
        assert trial.values["loss"] == value_again(trial, "bowl", {})


def test_a_study_that_is_deleted_ends_its_search(database: Database) -> None:
    search(database, objective="slow_bowl", settings={"seconds": 0.01}, budget=FEW)
    with Worker(database) as worker:
        thread = threading.Thread(target=worker.work_once)
        thread.start()
        eventually(lambda: study_of(database, "s").trials["running"] > 0)
        studies.delete(database, "s")
        thread.join()
        search(database, "next", objective="bowl")
        assert worker.work_once()
    assert study_of(database, "next").state == "completed"


def test_trajectory_is_what_a_registered_objective_is_searched_by() -> None:
    assert planner_of(definition(sampler={"name": "tpe"})) is None
    assert planner_of(definition(sampler={"name": "trajectory"})) is not None


def test_verdicts_know_the_limit_that_the_search_measured(database: Database) -> None:
    search(database, budget={"trials": 12})
    work_off(database, "s")
    judged = [one for one in trials_of(database, "s") if one.verdict is not None]
    assert len(judged) == 12
    for one in judged:
        assert one.evidence is not None
        assert one.evidence["limit"] == pytest.approx(0.7755, rel=0.01)
