"""A study's trials as columns: what the rows say, on both databases, and what was written since the last look."""

import math
from typing import Any

import numpy as np
import pytest

from tests.storage.rows import MOMENT, add_study, add_trials
from tuner.definition import StudyDefinition
from tuner.storage import improvements, points, studies, trials
from tuner.storage.database import Connection, Database
from tuner.storage.points import Points
from tuner.storage.studies import StudyRecord


def read(database: Database, study: StudyRecord) -> Points:
    return database.read(lambda connection: points.read(connection, studies.get_by_id(connection, study.id)))


def fill(database: Database, study: StudyRecord, count: int = 60) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        state = ("complete", "pruned", "failed", "running", "waiting")[number % 5]
        value = float(rng.normal()) if state == "complete" and number % 3 else None
        rule = "adam" if number else "half a character \ud800"
        add_trials(
            database,
            study.id,
            1,
            first=number,
            state=state,
            parameters={"learning_rate": 10.0**-number, "rule": rule, "odd": [None, 3, "x", True, 0.5][number % 5]}
            | ({"steps": number} if number % 2 else {}),
            values={"loss": "NaN" if value is None else value},
            objective_value=value,
            verdict=[None, "converged", "diverged"][number % 3],
            excluded=number % 7 == 0,
            steps_run=number if number % 4 else None,
            gradient_evaluations=number + 1,
            finished_at=MOMENT if state in trials.FINISHED else None,
            sequence=number + 1,
        )
    database.write(lambda connection: studies.change(connection, study.id, sequence=count))


def same(one: float | None, other: float) -> bool:
    return math.isnan(other) if one is None else one == other


def test_columns_say_what_the_rows_say(database: Database) -> None:
    study = add_study(database)
    fill(database, study)
    found = read(database, study)
    rows = database.read(lambda connection: trials.page(connection, study.id))
    assert found.number.tolist() == [row.number for row in rows]
    assert list(found.parameters) == ["learning_rate", "odd", "steps"]
    for place, row in enumerate(rows):
        assert found.state[place] == row.state
        assert found.verdict[place] == (row.verdict or "")
        assert found.excluded[place] == row.excluded
        assert same(row.objective_value, found.value[place])
        assert same(row.best_value, found.best_value[place])
        assert same(row.steps_run, found.steps_run[place])
        assert found.gradient_evaluations[place] == row.gradient_evaluations
        assert same(None if row.finished_at is None else row.finished_at.timestamp(), found.finished_at[place])
        assert found.sequence[place] == row.sequence
        for name, column in found.parameters.items():
            value = row.parameters.get(name)
            assert same(None if isinstance(value, bool | str) else value, column[place])
    assert np.isnan(found.of("rule")).all()


def test_where_trials_are_not_ranked_their_value_is_that_of_the_metric(database: Database) -> None:
    goal = {"minimize": ["loss", "steps"]}
    space = {"steps": {"type": "int", "low": 1, "high": 9}}
    definition = StudyDefinition.model_validate({"name": "s", "search_space": space, "goal": goal})
    directions: dict[str, Any] = {"directions": ["minimize", "minimize"], "metrics": ["loss", "steps"]}
    study = add_study(database, definition=definition, **directions)
    for number, loss in enumerate([0.25, "NaN", "-Infinity"]):
        add_trials(database, study.id, 1, first=number, state="complete", values={"loss": loss, "other": 3})
    add_trials(database, study.id, 1, first=3)
    assert [None if math.isnan(one) else one for one in read(database, study).value.tolist()] == [
        0.25,
        None,
        None,
        None,
    ]


def test_the_next_look_reads_what_was_written_since(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    study = add_study(database)
    fill(database, study)
    read(database, study)
    looks: list[tuple[int, int]] = []
    since = points.since

    def counted(connection: Connection, record: StudyRecord, sequence: int) -> Points:
        found = since(connection, record, sequence)
        looks.append((sequence, len(found)))
        return found

    monkeypatch.setattr(points, "since", counted)
    read(database, study)
    assert looks == []

    def work(connection: Connection) -> None:
        [row] = [row for row in trials.page(connection, study.id) if row.number == 4]
        trials.change(connection, row.id, state="complete", objective_value=-7.0, sequence=61)
        studies.change(connection, study.id, sequence=61)

    database.write(work)
    add_trials(database, study.id, 2, first=60, parameters={"new": 1.5}, sequence=62)
    database.write(lambda connection: studies.change(connection, study.id, sequence=62))
    found = read(database, study)
    assert looks == [(60, 3)]
    whole = database.read(lambda connection: since(connection, studies.get_by_id(connection, study.id), -1))
    for name in ("number", "state", "verdict", "excluded", "value", "finished_at", "sequence"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert set(found.parameters) == set(whole.parameters)
    for name, column in whole.parameters.items():
        np.testing.assert_array_equal(found.of(name), column)


def test_of_many_studies_those_looked_at_last_are_remembered(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points, "REMEMBERED_CELLS", 150)
    one, other = add_study(database, "one"), add_study(database, "other")
    for study in (one, other):
        add_trials(database, study.id, 10)
    counts: list[str] = []
    since = points.since

    def counted(connection: Connection, record: StudyRecord, sequence: int) -> Points:
        counts.append(record.name)
        return since(connection, record, sequence)

    monkeypatch.setattr(points, "since", counted)
    for study in (one, one, other, other, one):
        assert len(read(database, study)) == 10
    assert counts == ["one", "other", "one"]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        {"steps": 7, "learning_rate": 0.5},
        {"learning_rate": 0.5},
        {"learning_rate": 0.5, "steps": 7, "a": 1},
        {"learning_rate": 0.5, "steps": True},
        {"learning_rate": 0.5, "steps": None},
        {"learning_rate": [0.5, 1], "steps": 7},
        {"learning_rate": '}, {"learning_rate": 1, "steps": 2', "steps": 7},
        {"learning_rate": {"learning_rate": 0.5}, "steps": 7},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("place", [0, 2])
def test_parameters_are_read_whether_or_not_they_are_alike(
    database: Database, odd: dict[str, Any] | None, place: int
) -> None:
    study = add_study(database)
    documents: list[dict[str, Any]] = [{"learning_rate": 10.0**-number, "steps": number} for number in range(4)]
    if odd is not None:
        documents[place] = odd
    for number, parameters in enumerate(documents):
        add_trials(database, study.id, 1, first=number, parameters=parameters)
    found = read(database, study)
    for name in ("learning_rate", "steps", "a"):
        for number, parameters in enumerate(documents):
            value = parameters.get(name)
            assert same(value if type(value) in {int, float} else None, found.of(name)[number])


def test_a_study_without_trials_has_empty_columns(database: Database) -> None:
    found = read(database, add_study(database))
    assert len(found) == 0
    assert found.of("learning_rate").shape == (0,)


def test_a_database_that_has_gone_back_is_read_anew(database: Database) -> None:
    study = add_study(database)
    add_trials(database, study.id, 1, objective_value=1.0, sequence=5)
    database.write(lambda connection: studies.change(connection, study.id, sequence=5))
    assert read(database, study).value.tolist() == [1.0]

    def restore(connection: Connection) -> None:
        [row] = trials.page(connection, study.id)
        trials.change(connection, row.id, objective_value=2.0, sequence=3)
        studies.change(connection, study.id, sequence=3)

    database.write(restore)
    assert read(database, study).value.tolist() == [2.0]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_improvements_are_exact_among_the_first_and_among_the_best(database: Database, direction: str) -> None:
    study = add_study(database, directions=[direction])
    sign = -1 if direction == "maximize" else 1
    # A slow fall, so that improvements are many, with many equal values.
    falling = np.round(np.linspace(9, 0, 900) + np.random.default_rng(1).normal(size=900), 1) * sign
    rows = [
        {
            "study_id": study.id,
            "number": number,
            "state": "complete",
            "parameters": {},
            "objective_value": value,
            "excluded": number % 11 == 0,
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "user_attrs": {},
            "system_attrs": {},
        }
        for number, value in enumerate(falling.tolist())
    ]
    database.write(lambda connection: trials.insert_many(connection, rows))
    add_trials(database, study.id, 1, first=900, state="failed", objective_value=-99.0 * sign)
    found = database.read(lambda connection: improvements.read(connection, study))
    exact: list[tuple[int, float]] = []
    for number, value in enumerate(falling.tolist()):
        if number % 11 and (not exact or sign * value < sign * exact[-1][1]):
            exact.append((number, value))
    ranked = [sign * value for number, value in enumerate(falling.tolist()) if number % 11]
    among_best = sorted(ranked)[improvements.LOOKED_AT - 1]
    assert set(found) >= {one for one in exact if one[0] < improvements.LOOKED_AT or sign * one[1] < among_best}
    assert found[-1] == exact[-1]
    assert [sign * value for _, value in found] == sorted({sign * value for _, value in found}, reverse=True)


def test_where_trials_are_not_ranked_there_are_no_improvements(database: Database) -> None:
    study = add_study(database, directions=["minimize", "maximize"], metrics=["a", "b"])
    add_trials(database, study.id, 3, state="complete")
    assert database.read(lambda connection: improvements.read(connection, study)) == []
