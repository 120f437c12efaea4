"""Every field of every operation, given what no field should be given: refused or taken, never a 5xx, and answered in
strict JSON. What the fields are is read from the OpenAPI document.
"""

import copy
import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.faults.attacker import Attacker
from tests.faults.contract import Operation, Place, operations, places
from tests.faults.scale import LONG
from tuner.service import studies
from tuner.storage.database import Database

LONG_TEXT = "x" * 2**20

# As they stand in a body: not all of them are JSON, and Python's writer would not write the others like this.
JUNK = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e999": "1e999",
    "-1e999": "-1e999",
    "true": "true",
    "10^30": "1" + 30 * "0",
    "-10^30": "-1" + 30 * "0",
    "10^400": "1" + 400 * "0",
    "-1": "-1",
    "0.5": "0.5",
    "null": "null",
    "empty text": '""',
    "NUL": '"\\u0000"',
    "NUL within": '"a\\u0000b"',
    "half a character": '"\\ud800"',
    "text of NaN": '"NaN"',
    "1 MB": json.dumps(LONG_TEXT),
    "empty list": "[]",
    "list": "[[1]]",
    "object": '{"a": 1}',
    "deep": 60 * "[" + 60 * "]",
}

TRYING_FOR_A_DATABASE = {
    "NaN",
    "1e999",
    "10^30",
    "-10^30",
    "10^400",
    "-1",
    "NUL",
    "NUL within",
    "half a character",
    "1 MB",
}
"""What a database may take otherwise than another: numbers beyond its range, text that it cannot hold."""

# As they stand in an address or a header, where everything is text.
TEXTS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "true",
    "1" + 30 * "0",
    "-1",
    "0.5",
    "",
    "\0",
    "a\0b",
    "é",
    "~1",
    "..",
    LONG_TEXT,
]

_HERE = "here"
"""Stands in a document where junk is put when it is text."""


def spoiled(body: Any, place: Place, junk: str) -> bytes:
    """The document with junk in one of its places."""
    if not place:
        return junk.encode()
    body = copy.deepcopy(body)
    inner = body
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = _HERE
    return json.dumps(body).replace(f'"{_HERE}"', junk, 1).encode()


OPERATIONS = operations()

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)

every_body = pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.body is not None], ids=lambda operation: operation.id
)

JSON = {"Content-Type": "application/json"}


@every_body
def test_junk_in_every_field(client: httpx.Client, database: Database, backend: str, operation: Operation) -> None:
    """On SQLite only what may be another matter there than on PostgreSQL; in the long version all on both."""
    attacker = Attacker(client, database, operation)
    names = JUNK if LONG or backend == "postgresql" else TRYING_FOR_A_DATABASE
    for variant, place in every_place(attacker):
        for name in names:
            junk = JUNK[name]
            body = spoiled(attacker.ground.bodies(operation)[variant], place, junk)
            attacker.send(attacker.ground.path(operation), f"{place}: {name}", content=body, headers=JSON)
    attacker.all_goes_on()


@every_body
def test_junk_for_names_of_fields(client: httpx.Client, database: Database, operation: Operation) -> None:
    attacker = Attacker(client, database, operation)
    for variant, place in every_place(attacker):
        for name in ("", "\0", "NaN", "__proto__", "a" * 101, LONG_TEXT):
            body = copy.deepcopy(attacker.ground.bodies(operation)[variant])
            inner = body
            for part in place:
                inner = inner[part]
            if isinstance(inner, dict):
                inner[name] = next(iter(inner.values()), 1.0)
                attacker.send(attacker.ground.path(operation), f"{place}: {name[:10]!r}", json=body)
    attacker.all_goes_on()


def every_place(attacker: Attacker) -> list[tuple[int, Place]]:
    """Every place in the bodies that the operation takes, each in the body that is best but for it; in the long version
    in each of the bodies."""
    found = [
        (variant, place)
        for variant, body in enumerate(attacker.ground.bodies(attacker.operation))
        for place in places(body)
    ]
    best = {place: variant for variant, place in found}
    return found if LONG else [(variant, place) for place, variant in best.items()]


@every_operation
def test_junk_in_the_address_and_the_headers(client: httpx.Client, database: Database, operation: Operation) -> None:
    attacker = Attacker(client, database, operation)
    for text in TEXTS:
        shown = repr(text[:10])
        for name in operation.named("path"):
            attacker.send_raw(attacker.ground.path(operation, **{name: text}), f"{name}: {shown}")
        for name in operation.named("query") or (["unknown"] if text == "NaN" else []):
            attacker.send_raw(f"{attacker.ground.path(operation)}?{urlencode({name: text})}", f"{name}: {shown}")
        for name in operation.named("header"):
            attacker.send_raw(attacker.ground.path(operation), f"{name}: {shown}", {name: text})
    attacker.all_goes_on()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_the_fields_are_spoilt_in_is_good(client: httpx.Client, database: Database) -> None:
    """Otherwise one field's fault would hide behind another's."""
    taken = {}
    for operation in OPERATIONS:
        attacker = Attacker(client, database, operation)
        if operation.id in attacker.ground.known():
            body = attacker.ground.bodies(operation)[-1]
            taken[operation.id] = client.request(operation.method, attacker.ground.path(operation), json=body).text
            studies.delete(database, attacker.ground.study)
    assert {name: answer for name, answer in taken.items() if '"code"' in answer and "problems" in answer} == {}
