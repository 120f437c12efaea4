"""``tuner doctor``: what is wrong with this installation, and what to do about it."""

import sys

import click

from tuner.cli.checkup import examine
from tuner.cli.options import OF_THE_DATABASE, with_settings
from tuner.settings import Settings


@click.command()
@with_settings(*OF_THE_DATABASE, "host", "authentication")
def doctor(settings: Settings) -> None:
    """Look at everything that can be wrong here, and say what to do about it; exit with 1 if anything is."""
    findings = list(examine(settings))
    for finding in findings:
        sign = "ok " if finding.advice is None else "BAD"
        click.echo(f"{sign}  {finding.subject}: {finding.found}")
        if finding.advice is not None:
            click.echo(f"     → {finding.advice}")
    if any(finding.advice is not None for finding in findings):
        sys.exit(1)
