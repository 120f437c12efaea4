"""Measurements on a study that are no trials: what was measured, and what it took in gradient evaluations."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from tuner.storage.tables import measurement as table

PROBE = "probe"
"""The kind of what a search measured at the start: the curvature, the largest of all as ``largest``."""


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
) -> Measurement:
    """Store a measurement; ids grow from each to the next. Charging the study is the caller's."""
    row = insert(table).values(
        study_id=study_id, kind=kind, result=result, gradient_evaluations=gradient_evaluations, created_at=moment
    )
    key = connection.execute(row).inserted_primary_key
    assert key is not None  # noqa: S101 (the table has one)
    return Measurement(int(key[0]), kind, result, gradient_evaluations, moment)


def read(connection: Connection, study_id: int, kind: str) -> list[Measurement]:
    """The measurements of a kind, the oldest first."""
    return _measurements(connection, _of(study_id, kind).order_by(table.c.id))


def page(
    connection: Connection, study_id: int, kind: str, *, after: int | None = None, size: int = 1
) -> list[Measurement]:
    """Up to ``size`` measurements of a kind, the newest first, older than the measurement ``after`` (an id)."""
    wanted = _of(study_id, kind).order_by(table.c.id.desc()).limit(size)
    return _measurements(connection, wanted if after is None else wanted.where(table.c.id < after))


def _of(study_id: int, kind: str) -> Select[Any]:
    columns = (table.c.id, table.c.kind, table.c.result, table.c.gradient_evaluations, table.c.created_at)
    return select(*columns).where(table.c.study_id == study_id, table.c.kind == kind)


def _measurements(connection: Connection, wanted: Select[Any]) -> list[Measurement]:
    return [Measurement(*row) for row in connection.execute(wanted)]
