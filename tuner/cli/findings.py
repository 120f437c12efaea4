"""``tuner study pareto``, ``surface`` and ``landscape``: what a study's trials show, taken together."""

import json
from contextlib import closing
from typing import TYPE_CHECKING

import click

from tuner.cli.database import open_database
from tuner.cli.options import OF_THE_DATABASE, load_objectives, with_settings
from tuner.cli.shades import shaded, upright, with_path
from tuner.cli.study import number
from tuner.errors import InvalidInput
from tuner.settings import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.table import Table

    from tuner.service.pareto import Pareto

COLUMNS, ROWS = 60, 24
"""Characters of a picture."""

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


@click.command()
@click.argument("name")
@click.option("--points", default=20, show_default=True, metavar="N", type=click.IntRange(2, 10_000), help="At most.")
@_as_json
@with_settings(*OF_THE_DATABASE)
def pareto(settings: Settings, name: str, points: int, as_json: bool) -> None:
    """Show what each number of steps buys: the best of all trials within so many."""
    from rich.console import Console

    from tuner.service.pareto import pareto as front_of

    with closing(open_database(settings)) as database:
        found = front_of(database, name, max_points=points)
    if as_json:
        _print_json(found)
        return
    Console(highlight=False).print(front_table(found) if found.points else "No trial has a finite value yet.")


def front_table(found: "Pareto") -> "Table":
    """A front, one point a line."""
    from rich.table import Table

    table = Table("steps", found.metric.replace("_", " "), "learning rate", "trial", box=None, pad_edge=False)
    for point in found.points:
        rate = point.parameters.get("learning_rate", "")
        table.add_row(f"{point.steps:,}", number(point.value), number(rate), str(point.number))
    return table


@click.command()
@click.argument("name")
@click.option(
    "--parameter", default="learning_rate", show_default=True, metavar="NAME", help="What stands for the rate."
)
@click.option("--within", is_flag=True, help="The best value within so many steps, instead of that after them.")
@_as_json
@with_settings(*OF_THE_DATABASE)
def surface(settings: Settings, name: str, parameter: str, within: bool, as_json: bool) -> None:
    """Show what every rate was worth after every number of steps; the better, the darker."""
    from tuner.service.surface import rate_surface

    with closing(open_database(settings)) as database:
        found = rate_surface(database, name, parameter=parameter, resolution=COLUMNS, within=within)
    if as_json:
        _print_json(found)
        return
    if not found.values:
        click.echo("No trial is finished yet.")
        return
    rows = sorted({round(place * (len(found.steps) - 1) / (ROWS - 1)) for place in range(ROWS)})
    picture = shaded([found.values[row] for row in rows], rising=found.direction == "maximize")
    click.echo(f"{found.metric} after so many steps (upwards) by {parameter} (to the right); ! diverged, blank not run")
    ends = (number(found.rates[0]), number(found.rates[-1]))
    click.echo(upright(picture, [f"{found.steps[row]:,}" for row in rows], ends))


@click.command()
@click.argument("name")
@click.option("--trials", metavar="N,N", help="Whose descents are drawn; the best one's where none is named.")
@click.option("--resolution", type=click.IntRange(2, 101), metavar="N", help="Points along each axis, in the document.")
@_as_json
@with_settings("objectives", *OF_THE_DATABASE)
def landscape(settings: Settings, name: str, trials: str | None, resolution: int | None, as_json: bool) -> None:
    """Show the loss surface around descents, and their paths on it; the lower, the darker."""
    from tuner.service.landscape import of_study

    load_objectives(settings)
    fine = resolution or (41 if as_json else COLUMNS)
    with closing(open_database(settings)) as database:
        found = of_study(database, name, numbers=_numbers(trials), resolution=fine)
    if as_json:
        _print_json(found)
        return
    axes = [axis.values for axis in found.axes]
    picture = shaded(found.values)
    marks = list(zip("ABCDEFGH", found.paths, strict=False))
    for mark, path in marks:
        with_path(picture, axes, path.coordinates, mark)
    right, *up = found.axes
    click.echo(f"loss by {right.label} (to the right)" + "".join(f" and {axis.label} (upwards)" for axis in up))
    # A character is twice as high as it is wide: every second row.
    left = [number(value) for value in up[0].values[::2]] if up else [""]
    click.echo(upright(picture[::2], left, (number(right.values[0]), number(right.values[-1]))))
    for mark, path in marks:
        rate = number(path.parameters["learning_rate"])
        click.echo(f"{mark}: trial {path.number}, rate {rate}, {path.steps[-1]:,} steps")
    click.echo(f"{found.gradient_evaluations:,} gradient evaluations, not charged to the study")


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise InvalidInput.at("--trials", f"{text!r} is no list of trials' numbers: say 3,7")
    return [int(part) for part in parts]


def _print_json(found: "BaseModel") -> None:
    click.echo(json.dumps(found.model_dump(mode="json"), allow_nan=False, indent=2))
