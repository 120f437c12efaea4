"""Worker rows: who is alive, busy with what, last seen. Ids are never used again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from tuner.storage.tables import worker as table


@dataclass(frozen=True)
class WorkerRecord:
    """A worker's row, whole."""

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    study: str | None
    trials: int


def create(connection: Connection, **columns: Any) -> None:
    """Insert a worker."""
    connection.execute(insert(table).values(**columns))


def change(connection: Connection, worker_id: str, **columns: Any) -> None:
    """Set columns of one worker."""
    connection.execute(update(table).where(table.c.id == worker_id).values(**columns))


def running_as(connection: Connection, host: str, pid: int) -> list[str]:
    """The ids of the workers of this host and pid that have not said that they stopped."""
    statement = select(table.c.id).where(table.c.host == host, table.c.pid == pid, table.c.stopped_at.is_(None))
    return list(connection.scalars(statement))


def seen_since(connection: Connection, moment: datetime) -> list[WorkerRecord]:
    """The workers seen since a moment, the newest first."""
    statement = select(table).where(table.c.seen_at >= moment).order_by(table.c.started_at.desc(), table.c.id)
    return [WorkerRecord(**row._mapping) for row in connection.execute(statement)]


def forget(connection: Connection, moment: datetime) -> None:
    """Delete the workers that were last seen before a moment."""
    connection.execute(delete(table).where(table.c.seen_at < moment))
