"""The operations of the HTTP contract as its OpenAPI document states them, and for each an example of what it takes.

An operation that joins the document is thereby tried with everything else that is tried here, whoever adds it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.api.openapi_snapshot import current

DOCUMENT = current()

Place = tuple[Any, ...]
"""Keys and indices that lead into a document."""

STREAM = "text/event-stream"

WORDS = ("loss", "learning_rate", "resnet", "a", "0", "2026-01-01T00:00:00Z")
"""Text to choose from where a pattern or a format asks for some."""


@dataclass(frozen=True)
class Operation:
    """One operation."""

    id: str
    method: str
    path: str
    parameters: tuple[dict[str, Any], ...]
    body: dict[str, Any] | None
    answers: dict[str, dict[str, Any]]

    @property
    def writes(self) -> bool:
        """Whether it may change anything."""
        return self.method != "GET"

    @property
    def never_ends(self) -> bool:
        """Whether it answers with a stream of events."""
        return any(STREAM in answer.get("content", {}) for answer in self.answers.values())

    def named(self, place: str) -> list[str]:
        """The parameters in the path, the query or the headers."""
        return [parameter["name"] for parameter in self.parameters if parameter["in"] == place]


def operations() -> list[Operation]:
    """All of them."""
    return [
        Operation(
            id=stated["operationId"],
            method=method.upper(),
            path=path,
            parameters=tuple(stated.get("parameters", ())),
            body=stated.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema"),
            answers=stated["responses"],
        )
        for path, by_method in DOCUMENT["paths"].items()
        for method, stated in by_method.items()
    ]


def example(schema: dict[str, Any]) -> Any:
    """A document of this schema in which every field that it may have is there."""
    if "$ref" in schema:
        return example(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return example(next(each for each in schema[several] if each.get("type") != "null"))
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object":
        return _object(schema)
    if kind == "array":
        return [example(schema.get("items", {}))] * max(1, schema.get("minItems", 1))
    return _simple(schema)


def _simple(schema: dict[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "string":
        return next(word for word in WORDS if _fits(word, schema))
    if kind in {"integer", "number"}:
        return max(schema.get("minimum", 0), schema.get("exclusiveMinimum", 0), min(1, schema.get("maximum", 1)))
    return {"boolean": True, "null": None}.get(kind or "", 1.0)


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    found = {name: example(of_property) for name, of_property in schema.get("properties", {}).items()}
    for pattern, of_property in schema.get("patternProperties", {}).items():
        name = next(word for word in WORDS if re.search(pattern, word))
        found[name] = example(of_property)
    if not found and schema.get("additionalProperties") is not False:
        free = schema.get("additionalProperties", True)
        found["loss"] = example(free if isinstance(free, dict) else {})
    return found


def _fits(word: str, schema: dict[str, Any]) -> bool:
    if schema.get("format") == "date-time":
        return word.startswith("2026")
    long_enough = schema.get("minLength", 0) <= len(word) <= schema.get("maxLength", 1000)
    return long_enough and re.search(schema.get("pattern", ""), word) is not None


def places(document: Any, path: Place = ()) -> Iterator[Place]:
    """Every place in a document, the whole of it among them."""
    yield path
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else []
    )
    for key, value in inner:
        yield from places(value, (*path, key))
