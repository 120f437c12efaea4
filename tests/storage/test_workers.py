"""Worker rows, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from tests.storage.rows import MOMENT
from tuner.storage import workers
from tuner.storage.database import Database


def add_worker(connection: Connection, name: str, seconds: int) -> None:
    moment = MOMENT + timedelta(seconds=seconds)
    workers.create(connection, id=name, host="h", pid=1, version="0", started_at=moment, seen_at=moment)


def test_workers_are_listed_while_they_are_seen_and_forgotten_after(database: Database) -> None:
    def names(connection: Connection, seconds: int) -> list[str]:
        return [worker.id for worker in workers.seen_since(connection, MOMENT + timedelta(seconds=seconds))]

    def work(connection: Connection) -> list[list[str]]:
        for name, seconds in [("old", 0), ("new", 20), ("middle", 10)]:
            add_worker(connection, name, seconds)
        seen = [names(connection, 0), names(connection, 10)]
        workers.change(connection, "old", seen_at=MOMENT + timedelta(seconds=30), study="s", trials=3)
        workers.forget(connection, MOMENT + timedelta(seconds=20))
        return [*seen, names(connection, 0)]

    assert database.write(work) == [["new", "middle", "old"], ["new", "middle"], ["new", "old"]]
    [old] = [worker for worker in database.read(lambda c: workers.seen_since(c, MOMENT)) if worker.id == "old"]
    assert (old.study, old.trials, old.stopped_at) == ("s", 3, None)


def test_an_id_is_never_used_again_while_it_is_remembered(database: Database) -> None:
    database.write(lambda connection: add_worker(connection, "w", 0))
    with pytest.raises(IntegrityError):
        database.write(lambda connection: add_worker(connection, "w", 1))
