"""What is looked at to say whether an installation is sound, and what to do where it is not. Nothing is changed."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tuner.cli.database import database_of
from tuner.settings import Settings

if TYPE_CHECKING:
    from tuner.storage.database import Database

LEAST_FREE = 500_000_000
"""Bytes that should be free where an SQLite database lies."""

CLOCKS_APART = 5.0
"""Seconds between this machine's clock and the database's from which times shown here mislead."""

CORRUPTING = ((3, 7, 0), (3, 51, 2))
"""The first and the last release of SQLite whose write-ahead log can corrupt a database (fixed in 3.51.3)."""


class Finding(NamedTuple):
    """What was looked at and found; ``advice`` where something is to be done."""

    subject: str
    found: str
    advice: str | None = None


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything that is looked at; nothing is changed."""
    from tuner.storage.database import sqlite_path

    yield _access(settings)
    path = sqlite_path(settings.database_url)
    if path is not None:
        yield from _files(path)
        yield _sqlite()
        if not path.exists():
            yield Finding("database", f"there is no file {path} yet: the first command that needs it makes it")
            return
    with closing(database_of(settings)) as database:
        for look in (_connection, _schema, _clock, _workers):
            finding = look(database)
            yield finding
            if finding.advice is not None and look in {_connection, _schema}:
                return


def _access(settings: Settings) -> Finding:
    from tuner.cli.serve import is_loopback

    asked = "tokens are asked for" if settings.authentication else "no tokens are asked for"
    if settings.authentication or is_loopback(settings.host):
        return Finding("access", f"{settings.host}, {asked}")
    return Finding("access", f"{settings.host}, {asked}", "set TUNER_AUTHENTICATION=true, or listen on 127.0.0.1")


def _files(path: Path) -> Iterator[Finding]:
    directory = path.absolute().parent
    if not directory.is_dir():
        yield Finding("directory", f"{directory} is not there", "make it, or correct TUNER_DATABASE_URL")
        return
    free = shutil.disk_usage(directory).free
    advice = f"free some: {LEAST_FREE:,} bytes at least" if free < LEAST_FREE else None
    yield Finding("disk", f"{free:,} bytes free in {directory}", advice)
    writable = os.access(directory, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
    if not writable:
        yield Finding(
            "permissions", f"{path} or its directory cannot be written", f"give both to the user {os.geteuid()}"
        )
    elif path.exists() and path.stat().st_mode & stat.S_IWOTH:
        yield Finding("permissions", f"everybody on this machine can write {path}", f"chmod o-w {path}")
    else:
        yield Finding("permissions", f"{path} can be written by its owner")


def _sqlite() -> Finding:
    from tuner.storage.database import sqlite_module

    module = sqlite_module()
    version = tuple(module.sqlite_version_info)
    found = f"{module.sqlite_version}, from {module.__name__.partition('.')[0]}"
    first, last = CORRUPTING
    if first <= version <= last:
        return Finding("SQLite", found, "its write-ahead log can corrupt a database: pip install 'pysqlite3>=0.6'")
    return Finding("SQLite", found)


def _connection(database: "Database") -> Finding:
    from tuner.errors import DatabaseUnavailable

    try:
        database.read(lambda _: None)
    except DatabaseUnavailable as error:
        return Finding("database", str(error), "start it, or correct TUNER_DATABASE_URL and the password")
    return Finding("database", f"{database.name} answers")


def _schema(database: "Database") -> Finding:
    from tuner.errors import SchemaMismatch
    from tuner.storage import migration

    try:
        migration.require_current(database)
    except SchemaMismatch as error:
        # The message says itself what to do; to SQLite any process does it.
        return Finding("schema", str(error), "tuner migrate, or the version of Tuner that made it")
    return Finding("schema", f"revision {migration.head()}, this version's")


def _clock(database: "Database") -> Finding:
    from tuner.storage.database import now

    apart = abs((database.read(now) - datetime.now(UTC)).total_seconds())
    advice = "let both keep time with NTP: leases end by the database's clock" if apart > CLOCKS_APART else None
    return Finding("clock", f"{apart:.1f} s apart from the database's", advice)


def _workers(database: "Database") -> Finding:
    from tuner.service import workers

    alive = sum(worker.alive for worker in workers.listed(database))
    return Finding("workers", f"{alive} alive" if alive else "none alive: `tuner worker` starts one")
