"""Study rows, on both databases."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, func, select

from tests.storage.rows import MOMENT, add_study, add_trials
from tuner.definition import StudyDefinition
from tuner.errors import StudyExists, StudyNotFound
from tuner.storage import attempts, curves, studies, study_list, tables
from tuner.storage.curves import CurveBlock
from tuner.storage.database import Database
from tuner.storage.study_list import Place

DEFINITION = StudyDefinition.model_validate(
    {"name": "a", "search_space": {"x": {"type": "float", "low": 0.0, "high": 1.0}}, "tags": ["x"]}
)


def test_a_study_starts_active_with_nothing_spent(database: Database) -> None:
    study = add_study(database, "a", definition=DEFINITION, objective="line_fit")
    assert study.definition == DEFINITION
    assert (study.state, study.version, study.created_at) == ("active", 1, MOMENT)
    assert (study.next_number, study.started_trials, study.failed_trials) == (0, 0, 0)
    assert (study.spent_evaluations, study.reserved_evaluations, study.idle_seconds) == (0, 0, 0.0)
    assert database.read(lambda connection: studies.get(connection, "a")) == study
    assert database.read(lambda connection: studies.get(connection, f"~{study.id}")) == study
    assert database.read(lambda connection: studies.get_by_id(connection, study.id, lock=False)) == study


def test_a_name_is_taken_once_and_the_transaction_goes_on(database: Database) -> None:
    add_study(database, "a")

    def work(connection: Connection) -> str:
        with pytest.raises(StudyExists, match="'a'"):
            studies.create(
                connection,
                name="a",
                definition=None,
                directions=["minimize"],
                metrics=["loss"],
                objective=None,
                moment=MOMENT,
            )
        return studies.get(connection, "a").name

    assert database.write(work) == "a"


def test_an_absent_study_is_not_found(database: Database) -> None:
    for name in ("absent", "~123456", "~999999999999999999", "~x"):
        with pytest.raises(StudyNotFound, match=name):
            database.read(partial(studies.get, name=name))
    with pytest.raises(StudyNotFound):
        database.write(lambda connection: studies.get_by_id(connection, 5, lock=True))


def test_a_name_that_looks_like_an_address_is_found_as_a_name(database: Database) -> None:
    study = add_study(database, "~1000")
    assert database.read(lambda connection: studies.get_by_name(connection, "~1000")) == study
    with pytest.raises(StudyNotFound):
        database.read(lambda connection: studies.get(connection, "~1000"))


def test_pages_go_from_new_to_old_and_can_be_narrowed(database: Database) -> None:
    made = [add_study(database, name) for name in ("alpha", "beta", "100%", "ALPHABET", "a_b")]
    database.write(lambda connection: studies.change(connection, made[1].id, state="paused"))

    def names(
        size: int = 10, after: Place | None = None, state: str | None = None, text: str | None = None
    ) -> list[str]:
        found = database.read(
            lambda connection: study_list.page(
                connection, MOMENT, state=state, text=text, order="-created", after=after, size=size
            )
        )
        return [each.study.name for each in found]

    assert names(size=2) == ["a_b", "ALPHABET"]
    assert names(size=2, after=[made[3].id]) == ["100%", "beta"]
    assert names(state="paused") == ["beta"]
    assert names(text="alph") == ["ALPHABET", "alpha"]
    assert names(text="%") == ["100%"]
    assert names(text="_") == ["a_b"]
    assert [study.name for study in database.read(studies.everything)] == [study.name for study in made]


def test_workers_find_the_study_that_waited_longest_first(database: Database) -> None:
    made = {name: add_study(database, name, objective="line_fit") for name in ("recent", "early", "never")}
    add_study(database, "external")
    add_study(database, "other", objective="quadratic")

    def work(connection: Connection) -> list[str]:
        studies.change(connection, made["recent"].id, asked_at=MOMENT + timedelta(seconds=2))
        studies.change(connection, made["early"].id, asked_at=MOMENT)
        return studies.active_with_objective(connection, {"line_fit"})

    assert database.write(work) == ["never", "early", "recent"]


def test_only_our_own_started_studies_can_run_out_of_time(database: Database) -> None:
    for name, definition, started in [
        ("ours", DEFINITION, MOMENT),
        ("idle", DEFINITION, None),
        ("optuna", None, MOMENT),
    ]:
        study_id = add_study(database, name, definition=definition).id
        database.write(partial(studies.change, study_id=study_id, started_at=started))
    assert [study.name for study in database.read(studies.active_and_started)] == ["ours"]


def test_counting_columns_are_increased_in_place(database: Database) -> None:
    study_id = add_study(database).id

    def work(connection: Connection) -> studies.StudyRecord:
        studies.increase(connection, study_id, next_number=3, spent_evaluations=2**40, failed_trials=0)
        studies.increase(connection, study_id, next_number=1, spent_evaluations=-1)
        studies.increase(connection, study_id)
        return studies.get_by_id(connection, study_id)

    study = database.write(work)
    assert (study.next_number, study.spent_evaluations, study.failed_trials) == (4, 2**40 - 1, 0)


def test_a_study_goes_with_its_trials_attempts_and_curves_and_its_id_is_not_used_again(database: Database) -> None:
    study = add_study(database)
    [trial] = add_trials(database, study.id, 1, state="running", attempt=1)

    def work(connection: Connection) -> list[int]:
        curves.append(connection, [CurveBlock(trial.id, 1, "loss", [0], [1.0])])
        attempts.record_ends(connection, [trial], "lost", MOMENT)
        studies.remove(connection, study.id)
        return [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (tables.study, tables.trial, tables.attempt, tables.curve_block)
        ]

    assert database.write(work) == [0, 0, 0, 0]
    assert add_study(database).id > study.id
    assert add_trials(database, add_study(database, "t").id, 1)[0].id > trial.id
