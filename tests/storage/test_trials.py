"""Trial rows, on both databases."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from tests.storage.rows import MOMENT, add_study, add_trials, stored_study
from tuner.errors import TrialNotFound
from tuner.storage import studies, trials
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
    expected = {"waiting": 2, "running": 1, "complete": 4, "failed": 1, "pruned": 3}
    for state, count in expected.items():
        first = stored_study(database, study_id).next_number
        add_trials(database, study_id, count, first=first, state=state)
        database.write(partial(studies.increase, study_id=study_id, next_number=count))

    def counted(connection: Connection) -> dict[int, dict[str, int]]:
        return trials.counts(connection, studies.get_many(connection, [study_id, empty]))

    assert database.read(counted) == {study_id: expected, empty: dict.fromkeys(expected, 0)}


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


@pytest.mark.parametrize("state", ["Running", "done", ""])
def test_the_database_itself_refuses_a_state_that_there_is_not(database: Database, study_id: int, state: str) -> None:
    with pytest.raises(IntegrityError):
        add_trials(database, study_id, 1, state=state)


def test_the_database_itself_refuses_a_trial_of_no_study(database: Database) -> None:
    with pytest.raises(IntegrityError):
        add_trials(database, 12345, 1)
