"""A database as the rest of the house sees it: a place to read and to write, each in one transaction.

Two promises are kept here, so that nobody else has to think of them. A write is durable when `Database.write` returns.
And what a database does to concurrent writers (SQLite's "database is locked", PostgreSQL's deadlocks and serialization
failures) is retried here; callers see `DatabaseUnavailable` only when it does not end.
"""

import logging
import random
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.pool import QueuePool

from tuner.errors import DatabaseUnavailable, InvalidInput
from tuner.settings import Settings
from tuner.storage import driver

__all__ = ["Connection", "Database", "now", "sqlite_module", "sqlite_path"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

LOCK_SECONDS = 30.0
"""Seconds that a transaction waits for what another holds, where nothing else is said."""

ATTEMPTS = 5
"""Times that a transaction is tried before the caller is told."""

FIRST_PAUSE = 0.02
"""Seconds before the second try; doubled for each further one, with jitter."""

_RETRIED_SQLSTATES = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available


class Database:
    """One database, by URL: ``sqlite:///tuner.db`` or ``postgresql+psycopg://…``.

    Safe to share among threads, not across ``fork``. Constructing it opens no connection. A password file is read at
    each connection, so that a new password is taken up without a restart.

    Raises:
        InvalidInput: the URL can't be read or names a database that Tuner does not work with; or the password file
            can't be read, or there is one for a database that has no password.
    """

    def __init__(self, url: str, password_file: str | None = None, *, lock_seconds: float = LOCK_SECONDS) -> None:
        parsed = _parse(url)
        self.url = url
        self.name = parsed.render_as_string(hide_password=True)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._engine = (_sqlite_engine if self.is_sqlite else _postgresql_engine)(parsed, lock_seconds)
        if password_file is not None:
            _take_password_from(Path(password_file), self._engine)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The database that the settings name.

        Raises:
            InvalidInput: as the constructor.
        """
        return cls(settings.database_url, settings.database_password_file, lock_seconds=settings.lock_seconds)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction and commit it. ``work`` may run more than once: it has no other effects."""
        return self._transact(work, read_only=False)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on one snapshot of the database, without waiting for writers."""
        return self._transact(work, read_only=True)

    @property
    def connections(self) -> dict[str, int]:
        """How many connections this process has: those in use, and those that wait to be."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)  # noqa: S101 (what both engines are made with)
        return {"in_use": pool.checkedout(), "idle": pool.checkedin()}

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _transact(self, work: Callable[[Connection], T], *, read_only: bool) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._engine.connect() as connection:
                    if read_only:
                        connection.execution_options(tuner_read_only=True)
                    with connection.begin():
                        return work(connection)
            except NoConnection as error:
                raise DatabaseUnavailable(f"every connection to the database {self.name} is busy") from error
            except DatabaseError as error:
                # Of its kinds, this one is the database's own trouble; and the bare one: not a database, a damaged one.
                if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
                    raise
                if attempt == ATTEMPTS or not _is_passing(error):
                    raise DatabaseUnavailable(f"the database {self.name} does not serve: {error.orig}") from error
                logger.info("transaction retried: %s", error.orig)
                time.sleep(FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
        raise AssertionError("unreachable")


def product(connection: Connection) -> str:
    """What serves: ``PostgreSQL 18.1``, ``SQLite 3.51.3``."""
    name = "SQLite" if connection.dialect.name == "sqlite" else "PostgreSQL"
    return f"{name} {'.'.join(map(str, connection.dialect.server_version_info or ()))}"


def now(connection: Connection) -> datetime:
    """The database's clock, UTC: the one clock that every machine agrees on.

    An SQLite database is on this machine, so its clock is this machine's.
    """
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return moment.astimezone(UTC)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidInput.at("database_url", "is no database URL; say sqlite:///tuner.db or the like") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise InvalidInput.at("database_url", f"Tuner works with sqlite and postgresql, not with {backend}")
    if parsed.database in {None, "", ":memory:"}:
        raise InvalidInput.at("database_url", "an SQLite database is a file: say sqlite:///tuner.db")
    return parsed


def sqlite_module() -> ModuleType:
    """The packaged SQLite where there is one: WAL in 3.7.0 to 3.51.2, which systems still ship, can corrupt a file."""
    try:
        from pysqlite3 import dbapi2  # noqa: PLC0415 (optional by platform)
    except ImportError:
        return sqlite3
    module: ModuleType = dbapi2
    return module


def _sqlite_engine(url: URL, lock_seconds: float) -> Engine:
    engine = create_engine(url, module=sqlite_module(), connect_args={"timeout": lock_seconds})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling would begin late, and then fail to upgrade a read lock.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get("tuner_read_only", False)
        driver.run(connection, "BEGIN" if read_only else "BEGIN IMMEDIATE", ())

    return engine


def _postgresql_engine(url: URL, lock_seconds: float) -> Engine:
    # Connections are not tried before each use, which takes a round trip: one that is broken is replaced by the retry.
    engine = create_engine(url, connect_args={"connect_timeout": 10})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # A table may grow from nothing to a hundred thousand rows before its statistics are first collected, and a plan
        # that reads all of it, right for the first trials, would be kept meanwhile. Every statement here has an index.
        for plan in ("seqscan", "hashjoin", "mergejoin"):
            connection.execute(f"SET enable_{plan} = off")
        connection.execute("SET jit = off")
        connection.execute(f"SET lock_timeout = {max(1, round(1000 * lock_seconds))}")
        connection.commit()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("tuner_read_only", False):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    return engine


def _take_password_from(path: Path, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        raise InvalidInput.at("database_password_file", "an SQLite database has no password")
    try:
        path.read_text()
    except (OSError, ValueError) as error:
        raise InvalidInput.at("database_password_file", f"cannot be read: {error}") from None

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        # What ends the line of a file is no part of a password.
        parameters["password"] = path.read_text().rstrip("\r\n")


def _is_passing(error: DatabaseError) -> bool:
    """Whether the same transaction may succeed when tried again."""
    if error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _RETRIED_SQLSTATES:
        return True
    return "database is locked" in str(error.orig) or "database table is locked" in str(error.orig)


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL, or None for another database."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None
