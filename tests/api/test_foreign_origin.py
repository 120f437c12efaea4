"""A page of another site changes nothing: whatever it sends through its reader's browser is refused unread."""

import httpx
import pytest

from tests.api.openapi_snapshot import current
from tests.api.requests import external, problem

CHANGES = [
    (method.upper(), path)
    for path, operations in current()["paths"].items()
    for method in operations
    if method in {"post", "put", "patch", "delete"}
]


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_nothing_can_be_changed_from_elsewhere(client: httpx.Client, method: str, path: str) -> None:
    client.post("/v1/studies", json=external())
    before = client.get("/v1/studies/resnet").json()
    address = path.replace("{study}", "resnet").replace("{number}", "0").replace("{name}", "line_fit")
    response = client.request(method, address, json={}, headers={"Origin": "https://elsewhere.example"})
    assert response.status_code == 403
    assert problem(response)["code"] == "foreign_origin"
    assert client.get("/v1/studies/resnet").json() == before


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "", "https://", "http://[", "http://elsewhere.example", "http://127.0.0.1", "http://127.0.0.1:1"),
        *("{own}.elsewhere.example", "http://x@{host}", "{own}/", "{host}", "{own} {own}"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_only_the_service_itself_is_not_elsewhere(client: httpx.Client, origin: str) -> None:
    own = str(client.base_url).rstrip("/")
    given = origin.format(own=own, host=own.partition("://")[2])
    response = client.post("/v1/studies", json=external(), headers={"Origin": given})
    assert (response.status_code, problem(response)["code"]) == (403, "foreign_origin")
    assert client.post("/v1/studies", json=external(), headers={"Origin": own}).status_code == 201
