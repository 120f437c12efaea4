"""``tuner study``: look at the studies in a database."""

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tuner.cli.database import open_database
from tuner.cli.options import OF_THE_DATABASE, with_settings
from tuner.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

    from tuner.definition import Study


@click.group()
def study() -> None:
    """Look at studies."""


@study.command(name="list")
@with_settings(*OF_THE_DATABASE)
def list_studies(settings: Settings) -> None:
    """List the studies, the newest first."""
    from rich.console import Console
    from rich.table import Table

    from tuner.service import studies

    table = Table("study", "state", "trials", "best", "learning rate", "steps", "created", box=None, pad_edge=False)
    token: str | None = None
    with closing(open_database(settings)) as database:
        while True:
            page = studies.page(database, page_token=token)
            for found in page.studies:
                table.add_row(found.name, found.state, _trials(found), *_best(found), _time(found.created_at))
            token = page.next_page_token
            if token is None:
                break
    Console(highlight=False).print(table if table.rows else "There are no studies yet.")


@study.command()
@click.argument("name")
@with_settings(*OF_THE_DATABASE)
def show(settings: Settings, name: str) -> None:
    """Show one study with its best trial."""
    from rich.console import Console

    from tuner.service import studies

    with closing(open_database(settings)) as database:
        found, _ = studies.get(database, name)
    Console(highlight=False).print(result_table(found))


def result_table(found: "Study") -> "Table":
    """A study and what it has found, one fact a line."""
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("study", found.name)
    table.add_row("state", found.state + (f": {found.state_reason}" if found.state_reason else ""))
    goal = None if found.definition is None else found.definition.goal
    if goal is not None and goal.is_about_steps:
        table.add_row("goal", goal.words)
    if found.best is None:
        table.add_row("best", nothing_best(found))
    else:
        if goal is not None and goal.target is not None:
            table.add_row("best steps to target", number(found.best.objective_value))
        for name, value in {**found.best.parameters, **(found.best.values or {})}.items():
            table.add_row(f"best {name.replace('_', ' ')}", number(value))
        table.add_row("best trial", f"{found.best.number} ({found.best.gradient_evaluations:,} gradient evaluations)")
    table.add_row("trials", _trials(found))
    table.add_row("gradient evaluations", f"{found.spent.gradient_evaluations:,}")
    table.add_row("wall time", f"{found.spent.seconds:.2f} s")
    return table


def nothing_best(found: "Study") -> str:
    """Why a study has no best trial."""
    goal = None if found.definition is None else found.definition.goal
    if goal is not None and goal.is_trade_off:
        return "a trade-off has none: see its front"
    if not found.trials["complete"]:
        return "no trial is complete yet"
    return "no trial has a finite value" if goal is None or goal.target is None else "no trial has got there yet"


def number(value: Any) -> str:
    """A value to five significant digits."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _trials(found: "Study") -> str:
    states = [f"{count} {state}" for state, count in found.trials.items() if count and state != "complete"]
    return f"{sum(found.trials.values())}" + (f" ({', '.join(states)})" if states else "")


def _best(found: "Study") -> tuple[str, str, str]:
    if found.best is None:
        return "", "", ""
    value = found.best.objective_value
    parameters = found.best.parameters
    return number(value), number(parameters.get("learning_rate", "")), number(parameters.get("steps", ""))


def _time(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
