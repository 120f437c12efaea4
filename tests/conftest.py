"""Databases for tests: real ones, made by running the migrations, a fresh one a test.

A test that takes `database` (or `database_url`) runs twice, on SQLite and on PostgreSQL. A test of one backend alone
says so with ``@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)``.

The migrations run once a backend; each test gets a copy of what they made. Each test process has a PostgreSQL server of
its own, started when the first test needs it and gone with the process.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests import postgresql
from tuner.storage import migration
from tuner.storage.database import Database


def pytest_configure() -> None:
    """Let the programs under test hear SIGINT: what a shell runs in the background does not, nor what comes of it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class PostgreSQLServer:
    """A running server, and the databases in it."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._numbers = count()
        self._connection = psycopg.connect(uri, autocommit=True)
        # A test's data need not survive a power failure.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self._connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        self._connection.execute("SELECT pg_reload_conf()")

    def create(self, template: str = "template0") -> str:
        """A new database, a copy of the one named ``template``; its name."""
        name = f"test_{next(self._numbers)}"
        # Copying files is the faster strategy where nothing is flushed to disk.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def url(self, name: str) -> str:
        """The URL of a database, as users of Tuner write it."""
        return self._uri.replace("/postgres?", f"/{name}?")

    def close(self) -> None:
        """Close the connection that creates and drops."""
        self._connection.close()


ROOM = 2**30
"""Bytes that must be free in memory for databases to be kept there."""


@pytest.fixture(scope="session")
def database_directory() -> Iterator[Path]:
    """Where databases live: in memory where the system offers that, since a copy or a commit takes far less time there.

    Not among pytest's own directories: those are closed to other users, and a server that root starts runs as one; and
    a socket's path must be short.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM
    with tempfile.TemporaryDirectory(prefix="tuner-tests-", dir=memory if roomy else None) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def postgresql_server(database_directory: Path) -> Iterator[PostgreSQLServer]:
    """PostgreSQL for this test process."""
    with postgresql.running(database_directory / "postgresql") as process:
        server = PostgreSQLServer(process.get_uri())
        yield server
        server.close()


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: PostgreSQLServer) -> str:
    """The name of a migrated database to copy. Nobody stays connected to it."""
    name = postgresql_server.create()
    _migrate(postgresql_server.url(name))
    return name


@pytest.fixture(scope="session")
def migrated_sqlite(database_directory: Path) -> Path:
    """A migrated file to copy. Closing the last connection has folded the write-ahead log into it."""
    path = database_directory / "migrated.db"
    _migrate(f"sqlite:///{path}")
    return path


def _migrate(url: str) -> None:
    database = Database(url)
    migration.upgrade(database)
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that a test runs on: each in turn."""
    name: str = request.param
    return name


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh migrated database, on each backend."""
    template = request.getfixturevalue(f"migrated_{backend}")
    yield from _sqlite(request, template) if backend == "sqlite" else _postgresql(request, template)


@pytest.fixture
def empty_database_url(backend: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database without any table, on each backend. On SQLite there is not even a file yet."""
    yield from _sqlite(request, None) if backend == "sqlite" else _postgresql(request, "template0")


def _sqlite(request: pytest.FixtureRequest, template: Path | None) -> Iterator[str]:
    parent: Path = request.getfixturevalue("database_directory")
    with tempfile.TemporaryDirectory(prefix="sqlite-", dir=parent) as directory:
        path = Path(directory) / "tuner.db"
        if template is not None:
            shutil.copyfile(template, path)
        yield f"sqlite:///{path}"


def _postgresql(request: pytest.FixtureRequest, template: str) -> Iterator[str]:
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    name = server.create(template)
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh migrated database, on each backend, closed after the test."""
    database = Database(database_url)
    yield database
    database.close()
