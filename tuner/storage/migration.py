"""The database's schema: bring it to this version, or say clearly that it is not.

The steps are Alembic migrations in the ``migrations`` package, which the wheel carries. They keep their place in a
version table of their own, so that other programs' migrations may share the database.
"""

import logging
from pathlib import Path
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import migrations
from tuner.errors import SchemaMismatch
from tuner.storage.database import Database, product

VERSION_TABLE = "tuner_alembic_version"

# Any number will do, as long as every migrating process uses the same.
_ADVISORY_LOCK = 7_265_107_431


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the schema to ``revision``, in one transaction that concurrent upgrades wait for.

    Raises:
        SchemaMismatch: a newer version of Tuner has migrated this database.
    """

    def work(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            # However long another's migration takes.
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        _refuse_unknown(connection)
        command.upgrade(_config(connection), revision)

    database.write(work)


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to ``revision`` (``base``: to nothing, with everything in it)."""
    database.write(lambda connection: command.downgrade(_config(connection), revision))


def require_current(database: Database) -> None:
    """Check that the schema is this version's.

    Raises:
        SchemaMismatch: it is not; the message says what to run.
    """

    def work(connection: Connection) -> None:
        _refuse_unknown(connection)
        found = current(connection)
        if found != head():
            state = "has no tables yet" if found is None else f"is at revision {found}, not {head()}"
            raise SchemaMismatch(f"the database {database.name} {state}: run `tuner migrate`")

    database.read(work)


def require_known(database: Database) -> None:
    """Check that this version can work with the schema, or migrate it.

    Raises:
        SchemaMismatch: a newer version of Tuner has migrated this database.
    """
    database.read(_refuse_unknown)


class Installation(NamedTuple):
    """What a database is: its make and version, and the revision of its schema (None: there is none yet)."""

    product: str
    revision: str | None


def installation(database: Database) -> Installation:
    """What the database says that it is."""
    return database.read(lambda connection: Installation(product(connection), current(connection)))


def prepare(database: Database) -> None:
    """What a process does with its database when it starts: SQLite migrates itself, a server's is only checked.

    Raises:
        SchemaMismatch: the schema of a database server is not this version's.
    """
    if database.is_sqlite:
        upgrade(database)
    else:
        require_current(database)


def head() -> str:
    """The newest revision that this version knows."""
    revision = ScriptDirectory(str(_directory())).get_current_head()
    assert revision is not None  # noqa: S101 (there is at least one migration)
    return revision


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None before the first migration."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _refuse_unknown(connection: Connection) -> None:
    found = current(connection)
    known = {script.revision for script in ScriptDirectory(str(_directory())).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaMismatch(
            f"the database is at revision {found}, which this version of Tuner does not know: "
            "a newer version has migrated it; install that version or restore a backup"
        )


def _directory() -> Path:
    return Path(migrations.__file__).parent


def _config(connection: Connection) -> Config:
    # Alembic would otherwise print its progress through the root logger.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(_directory()))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    return config
