"""A study whole: as a table and as a document, whatever is in it and however long it is."""

import csv
import io
import json
import tracemalloc
from typing import Any, NoReturn

import numpy as np
import optuna
import pytest
from sqlalchemy import Connection

from tests.service.definitions import SPACE, complete, external
from tests.storage.rows import add_trials
from tuner.errors import StudyNotFound
from tuner.service import export, studies, trials
from tuner.service.ask import ask
from tuner.service.exclusion import exclude
from tuner.service.leases import release
from tuner.service.report import NewPoints
from tuner.service.tell import Ending, tell
from tuner.storage import TunerStorage
from tuner.storage import studies as study_rows
from tuner.storage.database import Database


def table(database: Database, name: str = "resnet") -> list[dict[str, str]]:
    text = b"".join(export.as_table(database, name)).decode()
    assert text.count("\r\n") >= 1
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def document(database: Database, name: str = "resnet", **options: bool) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(b"".join(export.as_document(database, name, **options)), parse_constant=refuse)


def test_a_row_a_trial_with_every_parameter_and_value(database: Database) -> None:
    studies.create(database, external(search_space={**SPACE, "rule": {"type": "categorical", "choices": ["=1+1", 2]}}))
    leases = ask(database, "resnet", count=4, worker='@a "quoted", name').trials
    values: list[dict[str, float]] = [
        {"loss": 0.1},
        {"loss": float("nan"), "accuracy": float("-inf")},
        {"loss": -0.5},
    ]
    for lease, told in zip(leases, values, strict=False):
        tell(database, "resnet", [Ending(lease.number, 1, "complete", told)])
    tell(database, "resnet", [Ending(3, 1, "failed", {}, reason="=cmd()\r\nsecond line")])
    exclude(database, "resnet", 2)
    trials.enqueue(database, "resnet", {"learning_rate": 0.25, "steps": 3, "rule": "=1+1"})

    rows = table(database)
    assert list(rows[0]) == [
        *("number", "state", "attempt", "parameters.learning_rate", "parameters.steps", "parameters.rule"),
        *("values.loss", "values.accuracy", "objective_value", "steps_run", "gradient_evaluations", "outcome"),
        *("verdict", "advice", "reason"),
        *("excluded", "quarantined", "worker", "created_at", "started_at", "finished_at", "updated_at"),
    ]
    assert [row["number"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row["state"] for row in rows] == ["complete", "complete", "complete", "failed", "waiting"]
    assert [row["values.loss"] for row in rows] == ["0.1", "NaN", "-0.5", "", ""]
    assert [row["values.accuracy"] for row in rows] == ["", "-Infinity", "", "", ""]
    assert [row["excluded"] for row in rows] == ["false", "false", "true", "false", "false"]
    assert rows[3]["reason"] == "'=cmd()\r\nsecond line"
    assert rows[0]["worker"] == '\'@a "quoted", name'
    assert (rows[4]["parameters.learning_rate"], rows[4]["parameters.rule"]) == ("0.25", "'=1+1")
    assert float(rows[0]["parameters.learning_rate"]) == leases[0].parameters["learning_rate"], "every digit"


def test_the_document_holds_what_the_parts_addresses_answer(database: Database) -> None:
    studies.create(database, external())
    leases = ask(database, "resnet", count=3, worker="a").trials
    losses = np.array([3.0, np.inf, 0.1])
    curve = NewPoints("loss", [0, 1, 10**12], losses)
    tell(database, "resnet", [Ending(0, 1, "complete", {"loss": float("inf")}, curves=[curve])])
    release(database, "resnet", [(1, 1)])
    tell(database, "resnet", [complete(leases[2])])

    whole = document(database)
    assert whole["format"] == "tuner.study/1"
    study = studies.get(database, "resnet")[0].model_dump(mode="json")
    assert {**whole["study"], "spent": None} == {**study, "spent": None}
    assert [trial["number"] for trial in whole["trials"]] == [0, 1, 2]
    first = whole["trials"][0]
    assert first["curves"] == {"loss": {"steps": [0, 1, 10**12], "values": [3.0, "Infinity", 0.1]}}
    assert (first["values"], [each["end"] for each in first["attempts"]]) == ({"loss": "Infinity"}, ["complete"])
    assert [each["end"] for each in whole["trials"][1]["attempts"]] == ["released"]
    for trial, shown in zip(trials.page(database, "resnet").trials, whole["trials"], strict=True):
        assert trial.model_dump(mode="json").items() <= shown.items()
    assert all("curves" not in trial for trial in document(database, with_curves=False)["trials"])


def test_a_study_without_trials(database: Database) -> None:
    studies.create(database, external())
    assert table(database) == []
    assert document(database)["trials"] == []
    with pytest.raises(StudyNotFound):
        export.as_table(database, "none")
    with pytest.raises(StudyNotFound):
        export.as_document(database, "none")


def test_an_optuna_programs_study(database: Database) -> None:
    theirs = optuna.create_study(storage=TunerStorage(database), study_name="theirs")

    def objective(trial: optuna.Trial) -> float:
        if trial.number == 2:
            trial.suggest_categorical("only here", [float("inf"), "a"])
        trial.report(0.5, 1)
        return trial.suggest_float("x", 0, 1)

    theirs.optimize(objective, 3)
    rows = table(database, "theirs")
    assert [bool(row["parameters.only here"]) for row in rows] == [False, False, True]
    assert [float(row["values.value"]) for row in rows] == [trial.value for trial in theirs.trials]
    whole = document(database, "theirs")
    assert whole["study"]["definition"] is None
    assert [trial["curves"]["value"] for trial in whole["trials"]] == [{"steps": [1], "values": [0.5]}] * 3


def test_pages_go_on_where_the_last_one_ended_and_hold_no_more_than_a_page(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies.create(database, external())
    record = database.read(lambda connection: study_rows.get(connection, "resnet"))
    count = 6000
    add_trials(database, record.id, count, state="complete", parameters={"x": 0.5}, values={"loss": 1}, attempt=1)

    def number_on(connection: Connection) -> None:
        study_rows.change(connection, record.id, next_number=count)

    database.write(number_on)
    assert [int(row["number"]) for row in table(database)] == list(range(count))
    peaks = []
    for at_once in (200, 6000):
        monkeypatch.setattr(export, "AT_ONCE", at_once)
        tracemalloc.start()
        assert sum(piece.count(b"\n{") for piece in export.as_document(database, "resnet", with_curves=False)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < peaks[1] / 3, "what is held at once is a page, not the study"
