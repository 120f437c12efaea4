"""``tuner health``: whether the service or the worker of this machine is well, for whoever restarts what is not.

It asks what is running; it loads none of it, since it is run every few seconds.
"""

import http.client
import sys
import urllib.error
import urllib.request
from contextlib import closing

import click

from tuner.cli.database import database_of
from tuner.cli.options import OF_THE_DATABASE, with_settings
from tuner.settings import Settings

PATIENCE = 3.0
"""Seconds that the service may take to answer."""


@click.command()
@click.option("--worker", is_flag=True, help="ask about this machine's worker instead of its service")
@with_settings("port", *OF_THE_DATABASE)
def health(settings: Settings, worker: bool) -> None:
    """Exit with 0 if the service on this machine is ready, or its worker alive; otherwise say why, and exit with 1."""
    trouble = _of_worker(settings) if worker else _of_service(settings)
    if trouble is not None:
        click.echo(trouble, err=True)
        sys.exit(1)


def _of_service(settings: Settings) -> str | None:
    url = f"http://127.0.0.1:{settings.port}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE):
            return None
    except urllib.error.HTTPError as error:
        return error.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {error}"


def _of_worker(settings: Settings) -> str | None:
    import socket

    from tuner.service import workers

    host = socket.gethostname()
    with closing(database_of(settings)) as database:
        alive = any(one.alive for one in workers.listed(database) if one.host == host)
    return None if alive else f"no worker of {host} has been seen lately"
