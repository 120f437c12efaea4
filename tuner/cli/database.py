"""The database that the settings name, as the commands take it up."""

from typing import TYPE_CHECKING

from tuner.settings import Settings

if TYPE_CHECKING:
    from tuner.storage.database import Database


def database_of(settings: Settings) -> "Database":
    """The database, whatever its state: no connection is opened yet. The caller closes it.

    Raises:
        InvalidInput: the database URL cannot be read.
    """
    from tuner.storage.database import Database

    return Database.of(settings)


def open_database(settings: Settings) -> "Database":
    """The database, ready to be used. The caller closes it.

    Raises:
        InvalidInput: the database URL cannot be read.
        SchemaMismatch: a database server has not been migrated.
    """
    from tuner.storage import migration

    database = database_of(settings)
    migration.prepare(database)
    return database
