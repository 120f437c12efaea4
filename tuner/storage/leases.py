"""Leases of trials: which wait for a worker, who has which and until when. All of it is columns of the trials' rows.

A trial that is leased is running, and one that is given back waits again. The hold of a whole study is on the study's
row; the trials that are followed in it are running without a lease of their own.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, update

from tuner.storage.driver import Prepared, among
from tuner.storage.tables import trial as table
from tuner.storage.trials import TrialRecord

MAX_LOST_LEASES = 3
"""A trial that lost its lease so often is quarantined: it probably kills its worker."""

_OF_STUDY = select(table).where(table.c.study_id == bindparam("of_study"))

_RUNNING_OF_TOKENS = Prepared(
    lambda dialect: (
        select(table.c.token_id, func.count())
        .where(table.c.state == "running", among(table.c.token_id, "token_ids", dialect))
        .group_by(table.c.token_id)
    )
)


@cache
def _select_waiting(*, after: bool) -> Select[Any]:
    order = (table.c.attempt == 0, table.c.lost_leases.desc(), table.c.number)
    statement = _OF_STUDY.where(table.c.state == "waiting").order_by(*order)
    if after:
        statement = statement.where(table.c.attempt == 0, table.c.number > bindparam("after"))
    return statement.limit(bindparam("size")).with_for_update()


def waiting(connection: Connection, study_id: int, *, size: int, after: int | None = None) -> list[TrialRecord]:
    """Up to ``size`` waiting trials: those begun before, the most often lost first, then those that never were.

    With ``after``, only those of the latter whose number is greater.
    """
    values = {"of_study": study_id, "size": size} | ({} if after is None else {"after": after})
    statement = _select_waiting(after=after is not None)
    return [TrialRecord._make(row) for row in connection.execute(statement, values)]


def give(
    connection: Connection,
    trial_ids: Sequence[int],
    *,
    worker: str | None,
    seconds: float,
    moment: datetime,
    sequence: int,
    token_id: int | None = None,
) -> list[TrialRecord]:
    """Give waiting trials to a worker: running, the attempt counted up, nothing reported yet. By number."""
    statement = (
        update(table)
        .where(table.c.id.in_(list(trial_ids)), table.c.state == "waiting")
        .values(
            state="running",
            attempt=table.c.attempt + 1,
            worker=worker,
            token_id=token_id,
            lease_seconds=seconds,
            lease_expires_at=moment + timedelta(seconds=seconds),
            started_at=moment,
            updated_at=moment,
            sequence=sequence,
            last_step=None,
            best_value=None,
            best_step=None,
            stop_reason=None,
            verdict=None,
            evidence=None,
            advice=None,
        )
        .returning(table)
    )
    leased = [TrialRecord._make(row) for row in connection.execute(statement)]
    return sorted(leased, key=lambda record: record.number)


def count_running(connection: Connection, study_id: int) -> int:
    """How many of a study's trials are running."""
    statement = select(func.count()).where(table.c.study_id == study_id, table.c.state == "running")
    return connection.execute(statement).scalar_one()


def count_of_tokens(connection: Connection, token_ids: Sequence[int]) -> dict[int, int]:
    """How many running trials each of these tokens has asked for, in whatever studies; those that have any."""
    rows = _RUNNING_OF_TOKENS.rows(connection, {"token_ids": list(token_ids)})
    return {row[0]: row[1] for row in rows}


def any_open(connection: Connection, study_id: int) -> bool:
    """Whether a trial that was started is not finished: running, or waiting for its next attempt."""
    begun = select(table.c.id).where(table.c.study_id == study_id)
    running = begun.where(table.c.state == "running").limit(1)
    requeued = begun.where(table.c.state == "waiting", table.c.attempt > 0).limit(1)
    return connection.execute(running).first() is not None or connection.execute(requeued).first() is not None


def held(connection: Connection, study_id: int, worker: str) -> list[TrialRecord]:
    """A study's running trials whose lease is the hold that this worker has, or had, of the study; by number."""
    running = _OF_STUDY.where(table.c.state == "running", table.c.worker == worker, table.c.lease_expires_at.is_(None))
    return [
        TrialRecord._make(row)
        for row in connection.execute(running.order_by(table.c.number).with_for_update(), {"of_study": study_id})
    ]


def studies_of_worker(connection: Connection, worker: str) -> list[int]:
    """The studies of which a worker holds trials, ascending."""
    statement = select(table.c.study_id).where(table.c.state == "running", table.c.worker == worker).distinct()
    return sorted(connection.scalars(statement))


def end_all(connection: Connection, worker: str, moment: datetime) -> None:
    """Let the leases of a worker be over from this moment on. The caller holds its studies."""
    leased = (table.c.state == "running", table.c.worker == worker, table.c.lease_expires_at.is_not(None))
    connection.execute(update(table).where(*leased).values(lease_expires_at=moment))


def studies_with_expired(connection: Connection, moment: datetime) -> list[int]:
    """The studies that have a running trial whose lease is over."""
    statement = select(table.c.study_id).where(table.c.state == "running", table.c.lease_expires_at < moment).distinct()
    return list(connection.scalars(statement))


def expired(connection: Connection, study_id: int, moment: datetime) -> list[TrialRecord]:
    """A study's running trials whose lease is over, locked. Trials without a lease (an Optuna program's) never are."""
    statement = (
        select(table)
        .where(table.c.study_id == study_id, table.c.state == "running", table.c.lease_expires_at < moment)
        .order_by(table.c.number)
        .with_for_update()
    )
    return [TrialRecord._make(row) for row in connection.execute(statement)]
