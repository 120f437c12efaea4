"""Leases of trials, and the attempts that end without a result, on both databases."""

import threading
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, select

from tests.storage.rows import MOMENT, add_study, add_trials
from tuner.storage import attempts, leases, tables, trials
from tuner.storage.database import Database
from tuner.storage.trials import TrialRecord

LATER = MOMENT + timedelta(seconds=60)


@pytest.fixture
def study_id(database: Database) -> int:
    return add_study(database).id


def test_a_lease_is_given_once(database: Database, study_id: int) -> None:
    ids = [trial.id for trial in add_trials(database, study_id, 3)]

    def lease(wanted: list[int]) -> list[TrialRecord]:
        return database.write(
            lambda connection: leases.give(connection, wanted, worker="w", seconds=60.0, moment=MOMENT, sequence=7)
        )

    first = lease([ids[2], ids[0]])
    assert [trial.number for trial in first] == [0, 2]
    assert {(trial.state, trial.attempt, trial.worker) for trial in first} == {("running", 1, "w")}
    assert {(trial.lease_expires_at, trial.started_at) for trial in first} == {(LATER, MOMENT)}
    assert [trial.number for trial in lease(ids)] == [1]
    assert lease(ids) == []


def test_of_many_that_lease_at_once_each_trial_goes_to_one(database: Database, study_id: int) -> None:
    ids = [trial.id for trial in add_trials(database, study_id, 20)]
    together = threading.Barrier(4, timeout=60)
    leased: list[int] = []

    def lease(worker: str) -> None:
        together.wait()
        for trial_id in ids:
            found = database.write(
                partial(leases.give, trial_ids=[trial_id], worker=worker, seconds=60.0, moment=MOMENT, sequence=7)
            )
            leased.extend(trial.number for trial in found)

    threads = [threading.Thread(target=lease, args=(f"w{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(leased) == list(range(20))


def test_leases_expire_by_the_moment_and_trials_without_one_never(database: Database, study_id: int) -> None:
    over, on_time, optuna, waiting = add_trials(database, study_id, 4)

    def work(connection: Connection) -> tuple[list[int], list[int], list[int]]:
        leases.give(connection, [over.id], worker="w", seconds=59.0, moment=MOMENT, sequence=7)
        leases.give(connection, [on_time.id], worker="v", seconds=60.0, moment=MOMENT, sequence=7)
        trials.change(connection, optuna.id, state="running", attempt=1)
        expired = [trial.id for trial in leases.expired(connection, study_id, LATER)]
        due = leases.studies_with_expired(connection, LATER)
        leases.end_all(connection, "v", MOMENT)
        return expired, due, [trial.id for trial in leases.expired(connection, study_id, LATER)]

    assert database.write(work) == ([over.id], [study_id], [over.id, on_time.id])
    assert waiting.state == "waiting"


def test_started_work_is_open_until_it_is_finished(database: Database, study_id: int) -> None:
    def is_open() -> bool:
        return database.read(lambda connection: leases.any_open(connection, study_id))

    [trial] = add_trials(database, study_id, 1)
    assert not is_open()
    for state, attempt, expected in [("running", 1, True), ("waiting", 1, True), ("complete", 1, False)]:
        database.write(partial(trials.change, trial_id=trial.id, state=state, attempt=attempt))
        assert is_open() is expected


def test_ended_attempts_are_recorded(database: Database, study_id: int) -> None:
    [trial] = add_trials(database, study_id, 1, state="running", attempt=2, worker="w", started_at=MOMENT)

    def work(connection: Connection) -> list[tuple[object, ...]]:
        attempts.record_ends(connection, [], "lost", LATER)
        attempts.record_ends(connection, [trial], "released", LATER)
        return [tuple(row) for row in connection.execute(select(tables.attempt))]

    assert database.write(work) == [(trial.id, 2, "w", MOMENT, LATER, "released")]
