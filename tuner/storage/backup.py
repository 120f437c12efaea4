"""Copies of an SQLite database, whole and consistent, while it is being written.

SQLite copies itself page by page and begins anew where a writer came between, so a copy is the database of one moment.
A file that is merely copied is not: what is in the write-ahead log is missing from it, or half of it.
"""

import os
from pathlib import Path

from tuner.errors import InvalidInput
from tuner.storage import migration
from tuner.storage.database import Database, sqlite_module, sqlite_path

PAGES_AT_ONCE = 5000
"""Pages copied between two chances for writers."""


def backup(database: Database, target: Path) -> None:
    """Copy the database into a new file, and check the copy.

    Raises:
        InvalidInput: the database is none of SQLite's, or there is a file of that name.
        DatabaseUnavailable: the database cannot be read.
    """
    source = _file_of(database)
    if not source.exists():
        raise InvalidInput.at("database_url", f"there is no file {source}")
    if target.exists():
        raise InvalidInput.at("file", f"{target} exists already: choose another name")
    # Under a name that nobody takes for a backup until it is one.
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _copy(source, unfinished)
        _check(unfinished)
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def restore(backed_up: Path, database: Database) -> None:
    """Make a database of a backup. No process may have the database open.

    Raises:
        InvalidInput: the database is none of SQLite's or exists already, or the file is no sound backup.
        SchemaMismatch: a newer version of Tuner has made it.
    """
    target = _file_of(database)
    if target.exists():
        raise InvalidInput.at(
            "database_url", f"{target} exists already: move it away first, its -wal and -shm files too"
        )
    if not backed_up.is_file():
        raise InvalidInput.at("file", f"there is no file {backed_up}")
    _check(backed_up)
    try:
        _copy(backed_up, target)
        migration.require_known(database)
    except BaseException:
        database.close()
        for ending in ("", "-wal", "-shm"):
            target.with_name(target.name + ending).unlink(missing_ok=True)
        raise


def _file_of(database: Database) -> Path:
    path = sqlite_path(database.url)
    if path is None:
        raise InvalidInput.at("database_url", "is none of SQLite's: PostgreSQL is backed up with pg_dump")
    return path


def _copy(source: Path, target: Path) -> None:
    sqlite = sqlite_module()
    reading = sqlite.connect(f"file:{source}?mode=ro", uri=True)
    try:
        writing = sqlite.connect(target)
        try:
            reading.backup(writing, pages=PAGES_AT_ONCE)
            # One file, that can be carried away: whoever opens it as a database makes its log anew.
            writing.execute("PRAGMA journal_mode=DELETE")
        finally:
            writing.close()
    finally:
        reading.close()


def _check(path: Path) -> None:
    sqlite = sqlite_module()
    connection = sqlite.connect(f"file:{path}?mode=ro", uri=True)
    try:
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (migration.VERSION_TABLE,))
        ours = tables.fetchone()[0]
    except sqlite.DatabaseError as error:
        raise InvalidInput.at("file", f"{path} is no sound database: {error}") from None
    finally:
        connection.close()
    if found != "ok":
        raise InvalidInput.at("file", f"{path} is damaged: {found}")
    if not ours:
        raise InvalidInput.at("file", f"{path} is no database of Tuner's")
