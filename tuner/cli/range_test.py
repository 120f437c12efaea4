"""``tuner range-test`` and ``tuner stability``: how large a learning rate of an objective may be, without a study."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tuner.cli.options import by_option, load_objectives, read_assignments, with_settings
from tuner.cli.study import number
from tuner.errors import InvalidInput
from tuner.settings import Settings

if TYPE_CHECKING:
    from tuner.service.range_tests import RangeTest

_OPTIONS = {
    "settings": "--set",
    "initial_seed": "--initial-seed",
    "parameters.update_rule": "--update-rule",
    "parameters": "--parameter",
    "low": "--low",
    "high": "--high",
    "steps": "--steps",
    "evaluations": "--evaluations",
}

_of_objective = (
    click.argument("objective"),
    click.option(
        "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting of the objective; repeatable."
    ),
    click.option("--initial-seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the start."),
    click.option("--update-rule", metavar="NAME", help="How the descent moves; gradient_descent where none is given."),
    click.option(
        "--parameter",
        "moves",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting of the update rule, or batch_size; repeatable.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."),
)


def _with_objective(command: Any) -> Any:
    for option in reversed(_of_objective):
        command = option(command)
    return command


@click.command(name="range-test")
@_with_objective
@click.option("--low", type=float, metavar="RATE", help="The first learning rate; 1e-6 where none is given.")
@click.option("--high", type=float, metavar="RATE", help="The last learning rate; 100 where none is given.")
@click.option("--steps", type=int, metavar="N", help="How many rates, one a step; 100 where none is given.")
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw a picture: .png, .svg or .pdf (extra: plot)."
)
@with_settings("objectives")
def range_test(settings: Settings, plot: Path | None, as_json: bool, **options: Any) -> None:
    """Raise the learning rate of OBJECTIVE a little on every step, and say what its losses suggest.

    One descent: it takes a gradient evaluation for each step and one more, and ends where the loss explodes.
    """
    from tuner.cli import picture
    from tuner.service import range_tests

    if plot is not None:
        picture.check(plot)
    load_objectives(settings)
    given = {name: options[name] for name in ("low", "high", "steps") if options[name] is not None}
    try:
        plan = _validated(range_tests.RangeTestPlan, {**given, "parameters": _moves(options)})
        test = range_tests.of_objective(
            options["objective"], read_assignments(options["assignments"]), options["initial_seed"], plan
        )
    except InvalidInput as error:
        raise by_option(error, _OPTIONS) from None
    if plot is not None:
        picture.draw_range_test(test, plot, title=f"{options['objective']}: range test")
    if as_json:
        click.echo(json.dumps(test.model_dump(mode="json"), allow_nan=False, indent=2))
        return
    _show(test)
    if plot is not None:
        click.echo(f"picture             {plot}")


def _show(test: "RangeTest") -> None:
    from rich.console import Console
    from rich.table import Table

    from tuner.cli.plot import text_plot

    named = {"s": test.steepest, "t": test.tenth_of_minimum, "m": test.minimum}
    marks = {letter: rate for letter, rate in named.items() if rate is not None}
    if len(test.smoothed) > 1:
        encoding = sys.stdout.encoding or "ascii"
        unicode = "•│└─┴".encode(encoding, "ignore").decode(encoding) == "•│└─┴"
        click.echo(text_plot(test.rates[: len(test.smoothed)], test.smoothed, marks, unicode=unicode))
        click.echo()
    click.echo(test.statement)
    table = Table(show_header=False, box=None, pad_edge=False)
    if test.minimum is not None:
        table.add_row("s  steepest fall", number(test.steepest))
        table.add_row("t  a tenth of the lowest", number(test.tenth_of_minimum))
        table.add_row("m  lowest loss", number(test.minimum))
    if test.range is not None:
        table.add_row("   range to search", f"{test.range.low:.3g}:{test.range.high:.3g}")
    table.add_row("   gradient evaluations", f"{test.gradient_evaluations:,}")
    Console(highlight=False).print(table)


@click.command()
@_with_objective
@click.option("--evaluations", type=int, metavar="N", help="Gradient evaluations at most; 100 where none is given.")
@with_settings("objectives")
def stability(settings: Settings, as_json: bool, **options: Any) -> None:
    """Measure the largest curvature of OBJECTIVE at its start, and the rate that it limits the update rule to."""
    from rich.console import Console
    from rich.table import Table

    from tuner.service import stability

    load_objectives(settings)
    given = {} if options["evaluations"] is None else {"evaluations": options["evaluations"]}
    try:
        document = {
            "settings": read_assignments(options["assignments"]),
            "initial_seed": options["initial_seed"],
            "parameters": _moves(options),
            **given,
        }
        found = stability.of_objective(options["objective"], _validated(stability.StabilityProbe, document))
    except InvalidInput as error:
        raise by_option(error, _OPTIONS) from None
    if as_json:
        click.echo(json.dumps(found.model_dump(mode="json"), allow_nan=False, indent=2))
        return
    click.echo(found.statement)
    table = Table(show_header=False, box=None, pad_edge=False)
    curvature = found.curvature
    if curvature.largest is not None:
        table.add_row("largest curvature", f"{curvature.largest:.5g} ± {100 * (curvature.relative_error or 0):.2g} %")
        table.add_row("smallest curvature seen", number(curvature.smallest))
    if found.limit is not None:
        table.add_row("limit of the learning rate", number(found.limit))
    table.add_row("gradient evaluations", f"{curvature.gradient_evaluations:,}")
    Console(highlight=False).print(table)


def _moves(options: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that say how a descent moves."""
    rule = {} if options["update_rule"] is None else {"update_rule": options["update_rule"]}
    return {**rule, **read_assignments(options["moves"], "--parameter")}


def _validated(model: Any, document: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidInput.from_validation(error.errors(), document) from None
