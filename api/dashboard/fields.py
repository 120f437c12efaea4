"""Settings as fields of a form, from their JSON Schema."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["integer", "number", "text", "choice", "switch", "json"]

_KINDS: Mapping[str, Kind] = {"integer": "integer", "number": "number", "string": "text", "boolean": "switch"}

_CONSTRAINTS = {
    "minimum": "min",
    "maximum": "max",
    "minLength": "minlength",
    "maxLength": "maxlength",
}
"""What a schema and a form both can say of a value. All else is for the server to judge."""


@dataclass(frozen=True)
class Field:
    """A setting as a form asks for it. ``json`` is what has no control of its own: it is written as JSON.

    ``default`` is JSON text, and empty where there is none; ``value`` is how the control shows it. ``attributes`` are
    the control's constraints.
    """

    name: str
    label: str
    kind: Kind
    description: str = ""
    default: str = ""
    value: str = ""
    required: bool = False
    choices: tuple[Any, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


def fields(schema: Mapping[str, Any]) -> Iterator[Field]:
    """The settings that a schema of an object has, in its order."""
    required = schema.get("required", ())
    for name, described in schema.get("properties", {}).items():
        plain = _plain(described, schema.get("$defs", {}))
        kind: Kind = "choice" if "enum" in plain else _KINDS.get(plain.get("type", ""), "json")
        default = described.get("default")
        yield Field(
            name=name,
            label=name.replace("_", " "),
            kind=kind,
            description=described.get("description", ""),
            default=json.dumps(default) if "default" in described else "",
            value="" if default is None else default if isinstance(default, str) else json.dumps(default),
            required=name in required,
            choices=tuple(plain.get("enum", ())),
            attributes={ours: plain[theirs] for theirs, ours in _CONSTRAINTS.items() if theirs in plain},
        )


def _plain(described: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a value is, where it may also be left out: references followed, and null not looked at."""
    if "$ref" in described:
        found: Mapping[str, Any] = definitions.get(described["$ref"].rpartition("/")[2], {})
        return found
    others = [one for one in described.get("anyOf", ()) if one.get("type") != "null"]
    return _plain(others[0], definitions) if len(others) == 1 else described
