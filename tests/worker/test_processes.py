"""Real worker processes side by side, and the signals that end them."""

import signal
import time
from pathlib import Path

import pytest

from tests.worker.running import (
    SLACK,
    definition,
    eventually,
    fixed,
    study_of,
    trials_of,
    worker_process,
)
from tuner.service import studies
from tuner.storage.database import Database
from tuner.trial import TrialState

SOON = ("--poll-seconds", "0.05")


def test_two_workers_run_exactly_the_trials_of_the_budget(database: Database) -> None:
    sampler = {"name": "random", "batch_size": 7}
    studies.create(database, definition(sampler=sampler, budget={"trials": 200}))
    with worker_process(database.url, *SOON), worker_process(database.url, *SOON):
        eventually(lambda: study_of(database, "line-fit").state == "completed")
    found = trials_of(database, "line-fit")

    assert [trial.number for trial in found] == list(range(200))
    assert {(trial.state, trial.attempt) for trial in found} == {(TrialState.COMPLETE, 1)}
    assert study_of(database, "line-fit").spent.trials == 200


def test_two_workers_keep_a_budget_of_gradient_evaluations_exactly(database: Database, tmp_path: Path) -> None:
    log = tmp_path / "evaluations"
    budget = {"trials": None, "gradient_evaluations": 5000}
    studies.create(
        database,
        definition(
            "bowl", "bowl", settings={"log": str(log)}, budget=budget, sampler={"name": "random", "batch_size": 5}
        ),
    )
    with worker_process(database.url, *SOON), worker_process(database.url, *SOON):
        eventually(lambda: study_of(database, "bowl").state == "completed")
    counted = sum(map(int, log.read_text().split()))

    assert counted <= 5000
    # The check of the gradient took 2.
    assert counted == sum(trial.gradient_evaluations for trial in trials_of(database, "bowl")) + 2
    assert counted == study_of(database, "bowl").spent.gradient_evaluations
    # What is left affords no further trial.
    assert 5000 - counted < 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_end_gives_its_trials_back(database: Database, number: signal.Signals) -> None:
    settings = {"seconds": 0.02}
    space = fixed(0.01, 10_000)
    studies.create(
        database, definition("slow", "slow_bowl", settings=settings, search_space=space, budget={"trials": 3})
    )
    with worker_process(database.url, *SOON, "--grace-seconds", "4") as process:
        eventually(lambda: study_of(database, "slow").trials["running"] == 3)
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
        assert time.monotonic() - began < 4 + SLACK, "the grace period"

    for trial in trials_of(database, "slow"):
        assert (trial.state, trial.attempt, trial.reason) == (TrialState.WAITING, 1, None)
    assert study_of(database, "slow").state == "active"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_worker_within_one_long_evaluation_ends_in_time(database: Database) -> None:
    settings = {"seconds": 60.0, "quick": 1}
    studies.create(database, definition("stuck", "slow_bowl", settings=settings, budget={"trials": 2}))
    with worker_process(database.url, *SOON, "--grace-seconds", "1.5") as process:
        eventually(lambda: study_of(database, "stuck").trials["running"] == 2)
        process.terminate()
        assert process.wait(timeout=1.5 + SLACK) == 0

    assert {trial.state for trial in trials_of(database, "stuck")} == {TrialState.WAITING}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_running_work_that_ends_in_time_is_told(database: Database) -> None:
    settings = {"seconds": 0.02}
    studies.create(
        database, definition("slow", "slow_bowl", settings=settings, search_space=fixed(0.01, 50), budget={"trials": 9})
    )
    with worker_process(database.url, *SOON, "--grace-seconds", "10") as process:
        eventually(lambda: study_of(database, "slow").trials["running"] > 0)
        process.terminate()
        assert process.wait(timeout=10 + SLACK) == 0

    assert {trial.state for trial in trials_of(database, "slow")} == {TrialState.COMPLETE}
