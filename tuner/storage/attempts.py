"""Attempt rows: the leases that ended without a result."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select, tuple_

from tuner.storage import bulk
from tuner.storage.tables import attempt as table
from tuner.storage.trials import TrialRecord


@dataclass(frozen=True)
class AttemptRecord:
    """An attempt that ended without a result: ``end`` is ``lost`` or ``released``."""

    trial_id: int
    attempt: int
    worker: str | None
    started_at: datetime | None
    ended_at: datetime
    end: str


_SELECT = (
    select(table)
    .where(table.c.trial_id.in_(bindparam("trials", expanding=True)))
    .order_by(table.c.trial_id, table.c.attempt)
)


def ended(connection: Connection, trial_ids: Sequence[int]) -> dict[int, list[AttemptRecord]]:
    """The attempts at these trials that ended without a result, in order, by trial id."""
    found: dict[int, list[AttemptRecord]] = {}
    for row in connection.execute(_SELECT, {"trials": list(trial_ids)}):
        found.setdefault(row.trial_id, []).append(AttemptRecord(*row))
    return found


def record_ends(connection: Connection, records: Sequence[TrialRecord], end: str, moment: datetime) -> None:
    """Record that the present attempts of these trials ended without a result: ``lost`` or ``released``."""
    rows = [
        {
            "trial_id": record.id,
            "attempt": record.attempt,
            "worker": record.worker,
            "started_at": record.started_at,
            "ended_at": moment,
            "end": end,
        }
        for record in records
    ]
    bulk.insert(connection, table, rows)


def resume(connection: Connection, records: Sequence[TrialRecord]) -> None:
    """Take back that the present attempts of these trials have ended: they have not."""
    if records:
        pairs = [(record.id, record.attempt) for record in records]
        connection.execute(delete(table).where(tuple_(table.c.trial_id, table.c.attempt).in_(pairs)))
