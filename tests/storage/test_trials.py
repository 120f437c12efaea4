"""Trial rows, on both databases."""

import threading
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from tests.storage.rows import MOMENT, add_study, add_trials
from tuner.errors import TrialNotFound
from tuner.storage import tables, trials
from tuner.storage.database import Database
from tuner.trial import TrialState

LATER = MOMENT + timedelta(seconds=60)


@pytest.fixture
def study_id(database: Database) -> int:
    return add_study(database).id


def test_trials_are_created_in_order_and_read_back_whole(database: Database, study_id: int) -> None:
    columns: dict[str, Any] = {
        "state": "complete",
        "parameters": {"learning_rate": 0.1, "steps": 5, "rule": None},
        "values": {"loss": "NaN", "accuracy": 0.5},
        "system_attrs": {"k": [1]},
        "gradient_evaluations": 2**40,
        "started_at": MOMENT,
        "finished_at": LATER,
    }
    made = add_trials(database, study_id, 3, **columns)
    assert [trial.number for trial in made] == [0, 1, 2]
    assert sorted(trial.id for trial in made) == [trial.id for trial in made]

    found = database.read(lambda connection: trials.get(connection, study_id, 1))
    assert found == made[1]
    assert database.read(lambda connection: trials.get_by_id(connection, found.id)) == found
    view = found.view()
    assert (view.number, view.state, view.parameters) == (1, TrialState.COMPLETE, columns["parameters"])
    assert str(view.values) == "{'loss': nan, 'accuracy': 0.5}"
    assert (view.started_at, view.finished_at, view.gradient_evaluations) == (MOMENT, LATER, 2**40)


def test_an_absent_trial_is_not_found(database: Database, study_id: int) -> None:
    with pytest.raises(TrialNotFound, match="trial 7"):
        database.read(lambda connection: trials.get(connection, study_id, 7))
    with pytest.raises(TrialNotFound):
        database.write(lambda connection: trials.get_by_id(connection, 7, lock=True))


def test_a_number_is_given_once_a_study(database: Database, study_id: int) -> None:
    add_trials(database, study_id, 1)
    add_trials(database, add_study(database, "other").id, 1)
    with pytest.raises(IntegrityError):
        add_trials(database, study_id, 1)


def test_pages_go_by_number(database: Database, study_id: int) -> None:
    add_trials(database, study_id, 3)
    add_trials(database, study_id, 3, first=3, state="complete")

    def numbers(states: list[str] | None = None, after: int | None = None, size: int | None = None) -> list[int]:
        found = database.read(
            lambda connection: trials.page(connection, study_id, states=states, after=after, size=size)
        )
        return [trial.number for trial in found]

    assert numbers() == [0, 1, 2, 3, 4, 5]
    assert numbers(after=1, size=2) == [2, 3]
    assert numbers(states=["complete"], size=2) == [3, 4]
    assert numbers(states=[]) == []


def test_counts_name_every_state(database: Database, study_id: int) -> None:
    empty = add_study(database, "empty").id
    add_trials(database, study_id, 2)
    add_trials(database, study_id, 1, first=2, state="failed")
    nothing = dict.fromkeys(["waiting", "running", "complete", "failed", "pruned"], 0)
    assert database.read(lambda connection: trials.counts(connection, [study_id, empty])) == {
        study_id: nothing | {"waiting": 2, "failed": 1},
        empty: nothing,
    }


@pytest.mark.parametrize(("direction", "expected"), [("minimize", 1), ("maximize", 3)])
def test_the_best_is_complete_finite_not_excluded_and_the_earliest_of_equals(
    database: Database, study_id: int, direction: str, expected: int
) -> None:
    assert database.read(lambda connection: trials.best(connection, study_id, direction)) is None
    add_trials(database, study_id, 1, state="complete", objective_value=None, values={"loss": "-Infinity"})
    for number, value in [(1, -5.0), (2, -5.0), (3, 1e300), (4, 1e300)]:
        add_trials(database, study_id, 1, first=number, state="complete", objective_value=value)
    for state, value in [("pruned", -9.0), ("failed", -9.0)]:
        add_trials(database, study_id, 1, first=5 + (state == "failed"), state=state, objective_value=value)
    add_trials(database, study_id, 1, first=7, state="complete", objective_value=-9e9, excluded=True)
    add_trials(database, study_id, 1, first=8, state="complete", objective_value=9e307, excluded=True)

    best = database.read(lambda connection: trials.best(connection, study_id, direction))
    assert best is not None
    assert best.number == expected


def test_a_complete_trial_without_a_finite_value_is_found_by_its_values(database: Database, study_id: int) -> None:
    def first(values: dict[str, float | str] | None = None) -> int | None:
        found = database.read(lambda connection: trials.first_unranked(connection, study_id, values=values))
        return None if found is None else found.number

    add_trials(database, study_id, 1, state="complete", objective_value=1.0, values={"loss": 1.0})
    assert first() is None
    for number, value in [(1, "NaN"), (2, "Infinity"), (3, "Infinity")]:
        add_trials(database, study_id, 1, first=number, state="complete", values={"loss": value})
    assert (first(), first({"loss": "Infinity"}), first({"loss": "-Infinity"})) == (1, 2, None)


def test_a_lease_is_given_once(database: Database, study_id: int) -> None:
    ids = [trial.id for trial in add_trials(database, study_id, 3)]

    def lease(wanted: list[int]) -> list[trials.TrialRecord]:
        return database.write(
            lambda connection: trials.lease(connection, wanted, worker="w", seconds=60.0, moment=MOMENT, sequence=7)
        )

    first = lease([ids[2], ids[0]])
    assert [trial.number for trial in first] == [0, 2]
    assert {(trial.state, trial.attempt, trial.worker) for trial in first} == {("running", 1, "w")}
    assert {(trial.lease_expires_at, trial.started_at) for trial in first} == {(LATER, MOMENT)}
    assert [trial.number for trial in lease(ids)] == [1]
    assert lease(ids) == []


def test_of_many_that_lease_at_once_each_trial_goes_to_one(database: Database, study_id: int) -> None:
    ids = [trial.id for trial in add_trials(database, study_id, 20)]
    together = threading.Barrier(4, timeout=10)
    leased: list[int] = []

    def lease(worker: str) -> None:
        together.wait()
        for trial_id in ids:
            found = database.write(
                partial(trials.lease, trial_ids=[trial_id], worker=worker, seconds=60.0, moment=MOMENT, sequence=7)
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
        trials.lease(connection, [over.id], worker="w", seconds=59.0, moment=MOMENT, sequence=7)
        trials.lease(connection, [on_time.id], worker="v", seconds=60.0, moment=MOMENT, sequence=7)
        trials.change(connection, optuna.id, state="running", attempt=1)
        expired = [trial.id for trial in trials.expired(connection, study_id, LATER)]
        due = trials.studies_with_expired(connection, LATER)
        trials.end_leases(connection, "v", MOMENT)
        return expired, due, [trial.id for trial in trials.expired(connection, study_id, LATER)]

    assert database.write(work) == ([over.id], [study_id], [over.id, on_time.id])
    assert waiting.state == "waiting"


def test_many_trials_are_changed_in_one_statement(database: Database, study_id: int) -> None:
    made = add_trials(database, study_id, 3)

    def work(connection: Connection) -> list[trials.TrialRecord]:
        trials.change_many(connection, [])
        changes = [
            {"id": made[0].id, "state": "complete", "values": {"loss": 1.5}, "finished_at": LATER},
            {"id": made[2].id, "state": "failed", "values": None, "finished_at": MOMENT},
        ]
        trials.change_many(connection, changes)
        return trials.page(connection, study_id)

    found = database.write(work)
    assert [(trial.state, trial.values, trial.finished_at) for trial in found] == [
        ("complete", {"loss": 1.5}, LATER),
        ("waiting", None, None),
        ("failed", None, MOMENT),
    ]


def test_started_work_is_open_until_it_is_finished(database: Database, study_id: int) -> None:
    def is_open() -> bool:
        return database.read(lambda connection: trials.any_open(connection, study_id))

    [trial] = add_trials(database, study_id, 1)
    assert not is_open()
    for state, attempt, expected in [("running", 1, True), ("waiting", 1, True), ("complete", 1, False)]:
        database.write(partial(trials.change, trial_id=trial.id, state=state, attempt=attempt))
        assert is_open() is expected


def test_ended_attempts_are_recorded(database: Database, study_id: int) -> None:
    [trial] = add_trials(database, study_id, 1, state="running", attempt=2, worker="w", started_at=MOMENT)

    def work(connection: Connection) -> list[tuple[object, ...]]:
        trials.end_attempts(connection, [], "lost", LATER)
        trials.end_attempts(connection, [trial], "released", LATER)
        return [tuple(row) for row in connection.execute(select(tables.attempt))]

    assert database.write(work) == [(trial.id, 2, "w", MOMENT, LATER, "released")]


@pytest.mark.parametrize("state", ["Running", "done", ""])
def test_the_database_itself_refuses_a_state_that_there_is_not(database: Database, study_id: int, state: str) -> None:
    with pytest.raises(IntegrityError):
        add_trials(database, study_id, 1, state=state)


def test_the_database_itself_refuses_a_trial_of_no_study(database: Database) -> None:
    with pytest.raises(IntegrityError):
        add_trials(database, 12345, 1)
