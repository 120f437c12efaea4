"""Answers to requests that carried an idempotency key: who asks again is told the same."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.exc import IntegrityError

from tuner.storage import bulk
from tuner.storage.tables import answer as table


@dataclass(frozen=True)
class AnswerRecord:
    """An answer as JSON text, and the digest of the request that it answers."""

    key: str
    request: str
    answer: str
    created_at: datetime


_SELECT = select(table).where(table.c.key.in_(bindparam("keys", expanding=True)))


def find(connection: Connection, keys: Collection[str]) -> dict[str, AnswerRecord]:
    """The answers that are kept under these keys."""
    if not keys:
        return {}
    return {row.key: AnswerRecord(*row) for row in connection.execute(_SELECT, {"keys": list(keys)})}


def keep(connection: Connection, records: Sequence[AnswerRecord]) -> bool:
    """Keep answers for those who ask again. False: one of the keys is taken, and the transaction has to be undone."""
    try:
        bulk.insert(connection, table, [vars(record) for record in records])
    except IntegrityError:
        return False
    return True


def any_before(connection: Connection, moment: datetime) -> bool:
    """Whether an answer is older."""
    return connection.execute(select(table.c.key).where(table.c.created_at < moment).limit(1)).first() is not None


def forget(connection: Connection, before: datetime) -> None:
    """Delete the answers that are older."""
    connection.execute(delete(table).where(table.c.created_at < before))
