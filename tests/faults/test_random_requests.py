"""Requests that schemathesis makes up from the OpenAPI document: what nobody thought of listing. Bounded, and the same
each time."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_headers_conformance, response_schema_conformance

from tests.faults.attacker import Attacker
from tests.faults.contract import DOCUMENT, Operation, operations
from tests.faults.scale import times
from tuner.storage.database import Database

REQUESTS = times(10, 500)
"""Of each operation, half of them good and half of them bad by its schema."""

MADE_FROM = {
    f"{found.ok().method.upper()} {found.ok().path}": found.ok()
    for found in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
    if isinstance(found, Ok)
}

# The examples of one test share the fixtures' database, on purpose.
bounded = settings(
    max_examples=REQUESTS, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.parametrize(
    "operation",
    [operation for operation in operations() if not operation.never_ends],
    ids=lambda operation: operation.id,
)
def test_requests_made_from_the_contract(client: httpx.Client, database: Database, operation: Operation) -> None:
    """10 of each operation; in the long version 500."""
    attacker = Attacker(client, database, operation)
    made_from = MADE_FROM[f"{operation.method} {operation.path}"]
    cases = [made_from.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]

    @bounded
    @given(case=st.one_of(*cases))
    def send(case: Case[Any]) -> None:
        # What is there, so that the rest of the request counts.
        there = {"study": attacker.ground.study, "number": attacker.ground.number}
        case.path_parameters = {name: there.get(name, given) for name, given in (case.path_parameters or {}).items()}
        response = case.call(base_url=str(client.base_url))
        kind = response.headers.get("content-type", [""])[0].partition(";")[0]
        attacker.judge(repr(case), response.status_code, kind, response.content)
        case.validate_response(response, checks=[response_schema_conformance, response_headers_conformance])

    send()
    attacker.all_goes_on()
