"""``tuner objectives``: what there is to descend, and which settings it has."""

import json
from typing import Any

import click

from tuner.cli.options import load_objectives, with_settings
from tuner.settings import Settings


@click.command()
@click.argument("name", required=False)
@with_settings("objectives")
def objectives(settings: Settings, name: str | None) -> None:
    """List the registered objectives, or show one with its settings."""
    from tuner.objectives import find, registered

    load_objectives(settings)
    if name is None:
        _show_all({kind.name: kind.summary for kind in registered().values()})
        return
    kind = find(name)
    click.echo(kind.description)
    _show_settings(kind.settings_schema.get("properties", {}))


def _show_all(summaries: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("objective", "what it is", box=None, pad_edge=False)
    for name, summary in sorted(summaries.items()):
        table.add_row(name, summary)
    Console(highlight=False).print(table)


def _show_settings(properties: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "default", "values", "what it does", box=None, pad_edge=False)
    for name, schema in properties.items():
        default = json.dumps(schema["default"]) if "default" in schema else "required"
        table.add_row(name, default, _values(schema), schema.get("description", ""))
    if table.rows:
        click.echo()
        Console(highlight=False).print(table)


def _values(schema: dict[str, Any]) -> str:
    """What a setting can be, in few words."""
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    bounds = [("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<")]
    words = [f"{sign} {schema[key]:g}" for key, sign in bounds if key in schema and abs(schema[key]) < 2**53 - 1]
    return " ".join([str(schema.get("type", "")), ", ".join(words)]).strip()
