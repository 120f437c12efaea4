"""Study rows: reading and writing them, and nothing about what they mean."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from tuner.definition import StudyDefinition
from tuner.errors import StudyExists, StudyNotFound
from tuner.goal import Direction
from tuner.storage.database import now
from tuner.storage.driver import Prepared
from tuner.storage.tables import deleted_study as deleted_table
from tuner.storage.tables import study as table
from tuner.storage.tables import trial as trial_table
from tuner.storage.transactions import TransactionNumber

DELETED_KEPT = timedelta(days=30)
"""How long the name of a deleted study is kept: who resumes the events later is not told of it."""

StudyState = Literal["active", "paused", "stopped", "completed"]


class StudyRecord(NamedTuple):
    """A study's row, whole. ``definition`` is None where an Optuna program made the study."""

    id: int
    name: str
    definition: StudyDefinition | None
    directions: list[str]
    metrics: list[str]
    state: StudyState
    state_reason: str | None
    objective: str | None
    token_id: int | None
    version: int
    sequence: int
    transaction_number: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    idle_seconds: float
    asked_at: datetime | None
    next_number: int
    started_trials: int
    failed_trials: int
    spent_evaluations: int
    reserved_evaluations: int
    holder: str | None
    held_until: datetime | None
    lost_holds: int
    user_attrs: dict[str, Any]
    system_attrs: dict[str, Any]

    @property
    def curve_metric(self) -> str:
        """The metric that trials are followed by: what Optuna calls their intermediate values."""
        return self.metrics[0] if self.definition is None else self.definition.goal.metric

    @property
    def curve_direction(self) -> Direction:
        """Which way that metric is better."""
        if self.definition is not None:
            return self.definition.goal.direction
        return "maximize" if self.directions[0] == "maximize" else "minimize"


def create(
    connection: Connection,
    *,
    name: str,
    definition: StudyDefinition | None,
    directions: Sequence[str],
    metrics: Sequence[str],
    objective: str | None,
    moment: datetime,
    token_id: int | None = None,
) -> StudyRecord:
    """Insert an active study.

    Raises:
        StudyExists: the name is taken.
    """
    statement = (
        insert(table)
        .values(
            name=name,
            definition=definition,
            directions=list(directions),
            metrics=list(metrics),
            state="active",
            objective=objective,
            token_id=token_id,
            transaction_number=TransactionNumber(),
            created_at=moment,
            user_attrs={},
            system_attrs={},
        )
        .returning(table)
    )
    try:
        with connection.begin_nested():
            row = connection.execute(statement).one()
    except IntegrityError:
        raise StudyExists(f"a study named {name!r} exists") from None
    return StudyRecord._make(row)


def get(connection: Connection, name: str, *, lock: bool = False) -> StudyRecord:
    """The study of that name; ``~{id}`` also names one. ``lock`` holds its row until the transaction ends.

    Raises:
        StudyNotFound: there is none.
    """
    column, key = _address(name)
    return _one(connection, column, key, name, lock=lock)


class HeldStudy(NamedTuple):
    """A study whose row is held, the database's time, and whether any of its trials waits."""

    record: StudyRecord
    moment: datetime
    has_waiting: bool


def hold(connection: Connection, name: str) -> HeldStudy:
    """The study of that name or ``~{id}``, its row held until the transaction ends.

    Who had to wait for the row is told of the waiting trials as they were before: one that came just then may be
    missed.

    Raises:
        StudyNotFound: there is none.
    """
    column, key = _address(name)
    rows = _HOLD[column].rows(connection, {"key": key})
    if not rows:
        raise StudyNotFound(f"there is no study {name!r}")
    [(*columns, has_waiting, moment)] = rows
    return HeldStudy(
        StudyRecord._make(columns), now(connection) if moment is None else moment.astimezone(UTC), has_waiting
    )


def _address(name: str) -> tuple[str, int | str]:
    """The column and the key that an address means."""
    by_id = re.fullmatch(r"~([0-9]{1,18})", name)
    return ("id", int(by_id[1])) if by_id else ("name", name)


def get_by_name(connection: Connection, name: str) -> StudyRecord:
    """The study of exactly that name: an Optuna program's may look like an address.

    Raises:
        StudyNotFound: there is none.
    """
    return _one(connection, "name", name, name, lock=False)


def get_by_id(connection: Connection, study_id: int, *, lock: bool = False) -> StudyRecord:
    """The study of that id.

    Raises:
        StudyNotFound: there is none.
    """
    return _one(connection, "id", study_id, f"~{study_id}", lock=lock)


def _one(connection: Connection, column: str, key: int | str, name: str, *, lock: bool) -> StudyRecord:
    row = connection.execute(_select_one(column, lock=lock), {"key": key}).one_or_none()
    if row is None:
        raise StudyNotFound(f"there is no study {name!r}")
    return StudyRecord._make(row)


# Making a statement takes longer than running one like these: what every ask and tell runs is made once.
@cache
def _select_one(column: str, *, lock: bool) -> Select[Any]:
    statement = select(table).where(table.c[column] == bindparam("key"))
    return statement.with_for_update() if lock else statement


def _select_to_hold(column: str, dialect: str) -> Select[Any]:
    # In one statement: to a server, each is a round trip.
    waiting = exists().where(trial_table.c.study_id == table.c.id, trial_table.c.state == "waiting")
    clock = null() if dialect == "sqlite" else func.clock_timestamp()
    return select(table, waiting, clock).where(table.c[column] == bindparam("key")).with_for_update(of=table)


_HOLD = {column: Prepared(partial(_select_to_hold, column)) for column in ("id", "name")}


@cache
def _update(columns: tuple[str, ...], added: tuple[str, ...]) -> Prepared:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    values |= {name: table.c[name] + bindparam(f"plus_{name}") for name in added}
    values["transaction_number"] = TransactionNumber()
    statement = update(table).where(table.c.id == bindparam("of_study")).values(**values)
    return Prepared(lambda _: statement)


def count_of_token(connection: Connection, token_id: int) -> int:
    """How many studies there are that a token has made."""
    return connection.execute(select(func.count()).where(table.c.token_id == token_id)).scalar_one()


def names_that_begin(connection: Connection, text: str) -> set[str]:
    """The names of studies that begin so."""
    return set(connection.scalars(select(table.c.name).where(table.c.name.startswith(text, autoescape=True))))


def everything(connection: Connection) -> list[StudyRecord]:
    """Every study, oldest first."""
    return [StudyRecord._make(row) for row in connection.execute(select(table).order_by(table.c.id))]


def active_with_objective(connection: Connection, objectives: Collection[str]) -> list[str]:
    """The active studies of one of these registered objectives that no worker holds, the longest unserved first."""
    statement = (
        select(table.c.name)
        .where(table.c.state == "active", table.c.objective.in_(objectives), table.c.holder.is_(None))
        .order_by(table.c.asked_at.asc().nulls_first(), table.c.id)
    )
    return list(connection.scalars(statement))


def active_and_started(connection: Connection) -> list[StudyRecord]:
    """The active studies of ours that have started: those which time alone may complete."""
    statement = select(table).where(
        table.c.state == "active", table.c.started_at.is_not(None), table.c.definition.is_not(None)
    )
    return [StudyRecord._make(row) for row in connection.execute(statement)]


def with_lapsed_hold(connection: Connection, moment: datetime) -> list[int]:
    """The studies that a worker held, and no longer does."""
    return list(connection.scalars(select(table.c.id).where(table.c.held_until < moment)))


def held_by(connection: Connection, worker: str) -> list[int]:
    """The studies that a worker holds."""
    return list(connection.scalars(select(table.c.id).where(table.c.holder == worker)))


def extend_hold(connection: Connection, study_id: int, worker: str, until: datetime) -> bool:
    """Let a worker hold a study for longer; whether it does hold it. No event follows: nothing is to be seen of it."""
    statement = update(table).where(table.c.id == study_id, table.c.holder == worker).values(held_until=until)
    return connection.execute(statement).rowcount == 1


def change(connection: Connection, study_id: int, *, plus: Mapping[str, int] | None = None, **columns: Any) -> None:
    """Set columns of one study, and add to counting ones."""
    added = {name: amount for name, amount in (plus or {}).items() if amount}
    if added or columns:
        values = {f"new_{name}": value for name, value in columns.items()}
        values |= {f"plus_{name}": amount for name, amount in added.items()}
        _update(tuple(columns), tuple(added)).execute(connection, {"of_study": study_id, **values})


def increase(connection: Connection, study_id: int, **amounts: int) -> None:
    """Add to counting columns of one study."""
    change(connection, study_id, plus=amounts)


def get_many(connection: Connection, study_ids: Sequence[int]) -> list[StudyRecord]:
    """The studies of those ids that exist, oldest first."""
    found = connection.execute(select(table).where(table.c.id.in_(list(study_ids))).order_by(table.c.id))
    return [StudyRecord._make(row) for row in found]


def of_addresses(connection: Connection, addresses: Sequence[str]) -> list[StudyRecord]:
    """The studies that these names or ``~{id}`` mean, those that exist, oldest first."""
    keys: dict[str, list[Any]] = {"id": [], "name": []}
    for column, key in map(_address, addresses):
        keys[column].append(key)
    wanted = or_(*(table.c[column].in_(found) for column, found in keys.items()))
    return [StudyRecord._make(row) for row in connection.execute(select(table).where(wanted).order_by(table.c.id))]


def remove(connection: Connection, study_id: int) -> None:
    """Delete a study with its trials and curves; its name is kept a while for those who follow the events."""
    moment = now(connection)
    name = connection.execute(select(table.c.name).where(table.c.id == study_id)).scalar_one()
    # First, since the next number is counted from those that are there.
    connection.execute(
        insert(deleted_table).values(id=study_id, name=name, deleted_at=moment, transaction_number=TransactionNumber())
    )
    connection.execute(delete(table).where(table.c.id == study_id))
    connection.execute(delete(deleted_table).where(deleted_table.c.deleted_at < moment - DELETED_KEPT))
