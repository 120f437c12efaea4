"""The database's schema: bring it to this version, or say clearly that it is not.

The steps are Alembic migrations in the ``migrations`` package, which the wheel carries. They keep their place in a
version table of their own, so that other programs' migrations may share the database.

Most processes that start find a schema that is theirs. To see that takes one statement and no Alembic, which would take
longer to load.
"""

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, column, inspect, select, table, text

import migrations
from tuner.errors import SchemaMismatch
from tuner.storage.database import Database, product

if TYPE_CHECKING:
    from alembic.config import Config

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

    from alembic import command  # noqa: PLC0415 (most processes have nothing to upgrade)

    database.write(work)


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to ``revision`` (``base``: to nothing, with everything in it)."""
    from alembic import command  # noqa: PLC0415

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
    if not database.is_sqlite:
        require_current(database)
    elif database.read(current) != head():
        upgrade(database)


def head() -> str:
    """The newest revision that this version knows."""
    return _known()[-1]


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None before the first migration."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar_one_or_none()


def _refuse_unknown(connection: Connection) -> None:
    found = current(connection)
    if found is not None and found not in _known():
        raise SchemaMismatch(
            f"the database is at revision {found}, which this version of Tuner does not know: "
            "a newer version has migrated it; install that version or restore a backup"
        )


@cache
def _known() -> list[str]:
    """The revisions, the oldest first: the names of their files begin with them."""
    return sorted(path.name.partition("_")[0] for path in (_directory() / "versions").glob("[0-9]*_*.py"))


def _directory() -> Path:
    return Path(migrations.__file__).parent


def _config(connection: Connection) -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    # Alembic would otherwise print its progress through the root logger.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(_directory()))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    return config
