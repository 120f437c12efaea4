"""``tuner token``: make, list and revoke API tokens. Whoever can reach the database may: nobody has a token before."""

import re
from contextlib import closing
from datetime import datetime, timedelta

import click

from tuner.cli.database import open_database
from tuner.cli.options import OF_THE_DATABASE, by_option, with_settings
from tuner.errors import InvalidInput
from tuner.settings import Settings

SCOPES = ("read", "work", "write", "admin")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@click.group()
def token() -> None:
    """Say who may use the service, and how far."""


@token.command()
@click.option("--name", required=True, help="by which it is listed and revoked")
@click.option("--scope", type=click.Choice(SCOPES), default="work", show_default=True, help="how far it goes")
@click.option("--expires", metavar="TIME", help="after 12h, 90d, 8w …; never where it is left out")
@with_settings(*OF_THE_DATABASE)
def create(settings: Settings, name: str, scope: str, expires: str | None) -> None:
    """Make a token and print it, this once."""
    from tuner.service import tokens

    lasts = None if expires is None else _duration(expires)
    with closing(open_database(settings)) as database:
        try:
            created = tokens.create(database, name, tokens.Scope(scope), lasts)
        except InvalidInput as error:
            raise by_option(error, {"name": "--name", "expires": "--expires"}) from None
    until = created.token.expires_at
    click.echo(
        f"Token {name!r} of scope {scope}, {'valid until revoked' if until is None else f'until {_time(until)}'}. "
        "It is not shown again:",
        err=True,
    )
    click.echo(created.text)


@token.command(name="list")
@with_settings(*OF_THE_DATABASE)
def list_tokens(settings: Settings) -> None:
    """List the tokens, the newest first; what is secret of them is nowhere."""
    from rich.console import Console
    from rich.table import Table

    from tuner.service import tokens

    table = Table("name", "token", "scope", "created", "expires", "last used", "revoked", box=None, pad_edge=False)
    with closing(open_database(settings)) as database:
        for found in tokens.listed(database):
            times = (found.created_at, found.expires_at, found.last_used_at, found.revoked_at)
            table.add_row(found.name, f"tuner_{found.prefix}_…", found.scope, *map(_time, times))
    Console(highlight=False).print(table if table.rows else "There are no tokens yet.")


@token.command()
@click.argument("name")
@with_settings(*OF_THE_DATABASE)
def revoke(settings: Settings, name: str) -> None:
    """End a token, and the sessions of browsers that signed in with it."""
    from tuner.service import tokens

    with closing(open_database(settings)) as database:
        tokens.revoke(database, name)
    click.echo(f"The token {name!r} is revoked.")


def _duration(text: str) -> timedelta:
    found = re.fullmatch("([0-9]{1,6})([mhdw])", text)
    if found is None:
        raise InvalidInput.at("--expires", f"{text!r} is no time: say 30m, 12h, 90d or 8w")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
