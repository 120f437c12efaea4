"""The OpenAPI document: complete, honest about errors, and changed only on purpose."""

import re
from typing import Any

import httpx
import pytest

from tests.api.openapi_snapshot import PATH, current, text
from tests.api.requests import strict

DOCUMENT = current()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def test_the_contract_is_the_one_in_the_snapshot() -> None:
    assert text(DOCUMENT) == PATH.read_text(), "the contract has changed: `make openapi` writes the snapshot anew"


def test_it_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text(DOCUMENT)))
    assert references == set(DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_says_what_it_is(operation: dict[str, Any]) -> None:
    assert re.fullmatch("[a-z_]+", operation["operationId"])
    assert operation["summary"]
    assert operation["description"]
    assert len(operation["tags"]) == 1
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    for parameter in operation.get("parameters", []):
        assert parameter.get("description") or parameter["schema"].get("description"), parameter["name"]


def test_operation_ids_are_distinct() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if " /v1" in name])
def test_every_operation_documents_its_errors_as_problems(name: str) -> None:
    method, path = name.split()
    answers = OPERATIONS[name]["responses"]
    expected = {500, 503}
    if "{" in path:
        expected |= {404}
    if "requestBody" in OPERATIONS[name]:
        expected |= {400, 413, 415, 422}
    if any(parameter["in"] == "query" for parameter in OPERATIONS[name].get("parameters", [])):
        expected |= {422}
    if method in {"PATCH", "DELETE"} or ("{study}" in path and method == "POST"):
        expected |= {409}
    documented = {int(status) for status in answers if int(status) >= 400}
    assert expected <= documented
    for status in documented:
        assert answers[str(status)]["content"] == {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
        assert re.search("`[a-z_]+`", answers[str(status)]["description"]), "the codes are named"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_service_serves_it(client: httpx.Client) -> None:
    assert strict(client.get("/openapi.json")) == DOCUMENT
