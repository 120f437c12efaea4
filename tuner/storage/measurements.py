"""Measurements on a study that are no trials: what was measured, and what it took in gradient evaluations."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from tuner.storage.tables import measurement as table


@dataclass(frozen=True)
class Measurement:
    """One measurement. ``kind`` says what ``result``, a JSON document, is about."""

    id: int
    kind: str
    result: Any
    gradient_evaluations: int
    created_at: datetime


def add(
    connection: Connection,
    study_id: int,
    kind: str,
    result: Any,
    *,
    gradient_evaluations: int,
    moment: datetime,
) -> int:
    """Store a measurement; its id, which grows from each to the next. Charging the study is the caller's."""
    row = insert(table).values(
        study_id=study_id, kind=kind, result=result, gradient_evaluations=gradient_evaluations, created_at=moment
    )
    key = connection.execute(row).inserted_primary_key
    assert key is not None  # noqa: S101 (the table has one)
    return int(key[0])


def read(connection: Connection, study_id: int, kind: str) -> list[Measurement]:
    """The measurements of a kind, the oldest first."""
    wanted = (
        select(table.c.id, table.c.kind, table.c.result, table.c.gradient_evaluations, table.c.created_at)
        .where(table.c.study_id == study_id, table.c.kind == kind)
        .order_by(table.c.id)
    )
    return [Measurement(*row) for row in connection.execute(wanted)]
