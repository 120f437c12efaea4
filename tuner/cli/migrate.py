"""``tuner migrate``: bring a database to the schema of this version."""

from contextlib import closing

import click

from tuner.cli.database import database_of
from tuner.cli.options import OF_THE_DATABASE, with_settings
from tuner.settings import Settings


@click.command()
@with_settings(*OF_THE_DATABASE)
def migrate(settings: Settings) -> None:
    """Create the tables, or bring them up to this version.

    A database server is migrated by this command alone; an SQLite file also by any process that opens it.
    """
    from tuner.storage import migration

    with closing(database_of(settings)) as database:
        migration.upgrade(database)
        click.echo(f"{database.name} is at revision {migration.head()}")
