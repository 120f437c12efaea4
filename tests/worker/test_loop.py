"""A worker in this process, on real databases."""

import math
import threading
import time

import numpy as np
import pytest

from tests.worker.running import (
    SLACK,
    curves_of,
    definition,
    eventually,
    fixed,
    study_of,
    trials_of,
    work_off,
)
from tuner.errors import DatabaseUnavailable
from tuner.objectives import create
from tuner.service import studies, trials
from tuner.storage.database import Database
from tuner.trial import Outcome, TrialState
from tuner.worker import ThisProcess, Worker, pace

STABILITY_LIMIT = 0.7755


def test_line_fit_is_solved_below_its_stability_limit(database: Database) -> None:
    studies.create(database, definition(sampler={"name": "tpe"}, settings={"seed": 5}))
    study = work_off(database, "line-fit")

    least_squares: float = create("line_fit", {"seed": 5}).minimum  # type: ignore[attr-defined]
    assert study.state == "completed"
    assert study.trials["complete"] == 100
    assert study.best is not None
    assert study.best.values is not None
    assert study.best.values["loss"] <= 1.05 * least_squares
    assert study.best.parameters["learning_rate"] < STABILITY_LIMIT  # type: ignore[operator]


def test_a_diverged_trial_is_complete_and_holds_its_losses(database: Database) -> None:
    studies.create(database, definition(search_space=fixed(10.0, 200), budget={"trials": 1}))
    work_off(database, "line-fit")
    [trial] = trials_of(database, "line-fit")
    curve = trials.curve(database, "line-fit", 0)["loss"]

    assert trial.state == TrialState.COMPLETE
    assert trial.outcome == Outcome.LEFT_FINITE_NUMBERS
    assert trial.values is not None
    assert not math.isfinite(trial.values["loss"])
    assert trial.steps_run is not None
    assert trial.steps_run < 200
    assert trial.gradient_evaluations == trial.steps_run + 1
    assert curve.steps == list(range(trial.steps_run + 1))
    assert not math.isfinite(curve.values[-1])


def test_validation_is_measured_and_can_be_the_goal(database: Database) -> None:
    goal = {"minimize": "validation_loss"}
    settings = {"data": "synthetic"}
    studies.create(
        database,
        definition("net", "network", settings=settings, goal=goal, budget={"trials": 5}, sampler={"name": "qmc"}),
    )
    study = work_off(database, "net")

    assert study.best is not None
    assert study.best.values is not None
    assert set(study.best.values) == {"loss", "validation_loss"}
    assert set(trials.curve(database, "net", study.best.number)) == {"loss", "validation_loss"}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_same_definition_gives_the_same_trials_bit_for_bit(database: Database, sampler: str) -> None:
    for name in ("one", "two"):
        studies.create(database, definition(name, sampler={"name": sampler, "seed": 7}, budget={"trials": 30}))
        work_off(database, name)

    one, two = trials_of(database, "one"), trials_of(database, "two")
    assert [trial.parameters for trial in one] == [trial.parameters for trial in two]
    assert [repr(trial.values) for trial in one] == [repr(trial.values) for trial in two]
    assert [repr(curve) for curve in curves_of(database, "one")] == [
        repr(curve) for curve in curves_of(database, "two")
    ]


def test_points_at_which_an_objective_raises_fail_and_the_others_do_not(database: Database) -> None:
    space = {
        "learning_rate": {"type": "float", "low": 0.1, "high": 3.0},
        "steps": {"type": "int", "low": 20, "high": 20},
    }
    studies.create(database, definition("bowl", "fragile_bowl", search_space=space, budget={"trials": 20}))
    study = work_off(database, "bowl")
    found = trials_of(database, "bowl")

    assert study.state == "completed"
    for trial in found:
        # x ← (1 - 2·rate)·x from 1 leaves [-10, 10] within 20 steps.
        breaks = abs(1 - 2 * trial.parameters["learning_rate"]) ** 20 > 10  # type: ignore[operator]
        assert trial.state == (TrialState.FAILED if breaks else TrialState.COMPLETE)
        assert trial.reason == ("FragileBowl.value_and_gradient: ArithmeticError: over the rim" if breaks else None)
    assert {trial.state for trial in found} == {TrialState.FAILED, TrialState.COMPLETE}


def test_wrong_shapes_fail_the_trials_and_the_worker_goes_on(database: Database) -> None:
    studies.create(database, definition("crooked", "crooked_bowl", budget={"trials": 3}))
    studies.create(database, definition("bowl", "bowl", budget={"trials": 3}))
    with Worker(database) as worker:
        while worker.work_once():
            pass

    assert study_of(database, "crooked").trials["failed"] == 3
    assert "shape" in (trials_of(database, "crooked")[0].reason or "")
    assert study_of(database, "bowl").trials["complete"] == 3


def test_an_objective_that_would_leave_fails_its_trials(database: Database) -> None:
    studies.create(database, definition("leaving", "leaving_bowl", budget={"trials": 3}))
    study = work_off(database, "leaving")
    assert (study.state, study.trials["failed"]) == ("completed", 3)
    assert "SystemExit" in (trials_of(database, "leaving")[0].reason or "")


def test_trials_that_end_their_worker_in_disorder_are_quarantined(database: Database) -> None:
    # Harmless at the start x = 1, and not where a rate of 3 leads.
    settings = {"politely": False, "rim": 2.0}
    space = fixed(3.0, 10)
    studies.create(
        database, definition("leaving", "leaving_bowl", settings=settings, search_space=space, budget={"trials": 2})
    )
    # Together twice, and then each by itself.
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            work_off(database, "leaving")
    assert study_of(database, "leaving").state == "completed"
    assert all(trial.quarantined for trial in trials_of(database, "leaving"))


def test_a_study_that_ends_every_worker_before_it_has_begun_is_stopped(database: Database) -> None:
    settings = {"politely": False}
    studies.create(database, definition("leaving", "leaving_bowl", settings=settings, budget={"trials": 2}))
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            work_off(database, "leaving")
    study = work_off(database, "leaving")
    assert (study.state, study.spent.trials) == ("stopped", 0)
    assert study.state_reason == "its objective has ended 3 workers before any trial was begun"


def test_studies_are_served_in_turn(database: Database) -> None:
    for name in ("one", "two"):
        studies.create(
            database, definition(name, "bowl", sampler={"name": "random", "batch_size": 2}, budget={"trials": 6})
        )
    with Worker(database) as worker:
        counts = []
        while worker.work_once():
            counts.append([study_of(database, name).trials["complete"] for name in ("one", "two")])

    assert counts == [[2, 0], [2, 2], [4, 2], [4, 4], [6, 4], [6, 6]]


def test_a_long_run_reports_its_curve_and_keeps_its_lease(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "REPORT_EVERY", 0.2)
    monkeypatch.setattr(pace, "CHUNK_SECONDS", 0.05)
    settings = {"seconds": 0.01}
    studies.create(
        database,
        definition("slow", "slow_bowl", settings=settings, search_space=fixed(0.01, 250), budget={"trials": 1}),
    )
    place = ThisProcess(Worker(database, lease_seconds=1.0, poll_seconds=0.05))
    place.start()
    eventually(lambda: bool(curves_of(database, "slow")) and "loss" in curves_of(database, "slow")[0])
    assert trials_of(database, "slow")[0].state == TrialState.RUNNING
    eventually(lambda: study_of(database, "slow").state == "completed")
    place.stop(5)

    [trial] = trials_of(database, "slow")
    [curve] = curves_of(database, "slow")
    assert (trial.state, trial.attempt) == (TrialState.COMPLETE, 1)
    assert curve["loss"].steps == list(range(251))
    np.testing.assert_allclose(curve["loss"].values, 0.98 ** (2 * np.arange(251)))


def test_told_to_stop_a_worker_gives_back_what_it_cannot_finish(database: Database) -> None:
    settings = {"seconds": 0.02}
    space = {**fixed(0.01, 100_000), "learning_rate": {"type": "float", "low": 0.005, "high": 0.02}}
    studies.create(
        database, definition("slow", "slow_bowl", settings=settings, search_space=space, budget={"trials": 3})
    )
    place = ThisProcess(Worker(database, poll_seconds=0.05))
    place.start()
    eventually(lambda: study_of(database, "slow").trials["running"] == 3)
    time.sleep(0.3)
    began = time.monotonic()
    place.stop(2.0)

    assert time.monotonic() - began < 2.0 + SLACK
    assert place.failure is None
    for trial in trials_of(database, "slow"):
        assert (trial.state, trial.attempt) == (TrialState.WAITING, 1)
        # What was run is the study's, as the curve shows it.
        assert trial.gradient_evaluations == trials.curve(database, "slow", trial.number)["loss"].points


def test_a_worker_that_hangs_is_left_without_its_trials(database: Database) -> None:
    studies.create(database, definition("stuck", "slow_bowl", settings={"seconds": 1.5}, budget={"trials": 2}))
    place = ThisProcess(Worker(database, poll_seconds=0.05))
    place.start()
    eventually(lambda: study_of(database, "stuck").trials["running"] == 2)
    place.stop(0.5)

    assert {trial.state for trial in trials_of(database, "stuck")} == {TrialState.WAITING}
    studies.stop(database, "stuck")
    eventually(lambda: not place.alive)


def test_pause_resume_and_stop_reach_a_running_worker(database: Database) -> None:
    sampler = {"name": "random", "batch_size": 2}
    space = fixed(0.01, 10)
    settings = {"seconds": 0.01}
    studies.create(
        database,
        definition(
            "slow", "slow_bowl", settings=settings, search_space=space, sampler=sampler, budget={"trials": 1000}
        ),
    )
    place = ThisProcess(Worker(database, poll_seconds=0.02))
    place.start()

    def complete() -> int:
        return study_of(database, "slow").trials["complete"]

    eventually(lambda: complete() > 0)
    studies.pause(database, "slow")
    eventually(lambda: study_of(database, "slow").trials["running"] == 0)
    paused = complete()
    time.sleep(0.3)
    assert complete() == paused

    studies.resume(database, "slow")
    eventually(lambda: complete() > paused)
    studies.stop(database, "slow")
    eventually(lambda: study_of(database, "slow").trials["running"] == 0)
    place.stop(5)
    study = study_of(database, "slow")
    assert study.state == "stopped"
    assert study.trials["failed"] == 0
    assert study.trials["waiting"] == 0


def test_a_study_deleted_under_a_worker_does_no_harm(database: Database) -> None:
    settings = {"seconds": 0.02}
    studies.create(database, definition("gone", "slow_bowl", settings=settings, search_space=fixed(0.01, 60)))
    studies.create(database, definition("bowl", "bowl", budget={"trials": 3}))
    place = ThisProcess(Worker(database, lease_seconds=1.0, poll_seconds=0.02))
    place.start()
    eventually(lambda: study_of(database, "gone").trials["running"] > 0)
    studies.delete(database, "gone")
    eventually(lambda: study_of(database, "bowl").state == "completed")
    place.stop(5)
    assert place.failure is None


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_database_that_is_away_is_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    studies.create(database, definition("bowl", "bowl", search_space=fixed(0.1, 10), budget={"trials": 5}))
    away = threading.Event()
    away.set()
    write = database.write

    def interrupted(work):  # type: ignore[no-untyped-def]
        if away.is_set():
            raise DatabaseUnavailable("unplugged")
        return write(work)

    monkeypatch.setattr(database, "write", interrupted)
    place = ThisProcess(Worker(database, poll_seconds=0.02))
    place.start()
    time.sleep(0.3)
    assert place.alive
    away.clear()
    eventually(lambda: study_of(database, "bowl").state == "completed")
    place.stop(5)
    assert place.failure is None
