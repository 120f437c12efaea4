"""The column types of our own: documents and times come back as they were, on both databases."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import StatementError

from tests.storage.rows import add_study
from tuner.storage import studies, workers
from tuner.storage.database import Database

WORKER = {"host": "h", "pid": 1, "version": "0"}


def test_a_time_of_any_zone_comes_back_as_the_same_moment_in_utc(database: Database) -> None:
    moment = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))

    def work(connection: Connection) -> datetime:
        workers.create(connection, id="w", started_at=moment, seen_at=moment, **WORKER)
        return workers.seen_since(connection, moment)[0].started_at

    found = database.write(work)
    assert found == moment
    assert found.tzinfo is UTC


def test_a_naive_time_is_refused(database: Database) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(StatementError, match="aware"):
        database.write(lambda connection: workers.create(connection, id="w", started_at=naive, seen_at=naive, **WORKER))


def test_a_document_keeps_what_other_json_columns_lose(database: Database) -> None:
    document = {"nul": "a\x00b", "lone": "\ud800", "inf": math.inf, "null": None, "big": 2**80, "ключ": ["ü"]}

    study_id = add_study(database).id
    database.write(lambda connection: studies.change(connection, study_id, user_attrs=document))
    found = database.read(lambda connection: studies.get_by_id(connection, study_id))
    assert found.user_attrs == document
    assert found.definition is None
