"""Attempt rows: the leases that ended without a result."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from tuner.storage.tables import attempt as table


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
