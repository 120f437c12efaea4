"""``tuner backup`` and ``tuner restore``: an SQLite database as one file that can be carried away."""

from contextlib import closing
from pathlib import Path

import click

from tuner.cli.database import database_of
from tuner.cli.options import OF_THE_DATABASE, with_settings
from tuner.settings import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_settings(*OF_THE_DATABASE)
def backup(settings: Settings, file: Path) -> None:
    """Copy an SQLite database into FILE while it is in use. PostgreSQL has pg_dump."""
    from tuner.storage.backup import backup

    with closing(database_of(settings)) as database:
        backup(database, file)
    click.echo(f"{file}: {file.stat().st_size:,} bytes, checked")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_settings(*OF_THE_DATABASE)
def restore(settings: Settings, file: Path) -> None:
    """Make an SQLite database of a backup, while no process uses it."""
    from tuner.storage.backup import restore

    with closing(database_of(settings)) as database:
        restore(file, database)
        click.echo(f"{database.name} is restored from {file}")
