"""A page of another site changes nothing, and reads nothing, unless the operator has named the site."""

import httpx
import pytest
from pydantic import ValidationError

from api.app import create_app
from tests.api.openapi_snapshot import current
from tests.api.requests import external, problem
from tests.api.server import serving
from tuner.settings import Settings

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


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_site_that_the_operator_names_may_use_the_api(database_url: str) -> None:
    lab = "https://lab.example"
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    with serving(create_app(Settings(database_url=database_url, cors_origins=[lab]))) as client:
        asked = client.options("/v1/studies", headers={"Origin": lab, **wish})
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, lab)
        made = client.post("/v1/studies", json=external(), headers={"Origin": lab})
        assert (made.status_code, made.headers["access-control-allow-origin"]) == (201, lab)
        assert "access-control-allow-credentials" not in made.headers
        elsewhere = "https://lab.example.elsewhere.example"
        assert client.options("/v1/studies", headers={"Origin": elsewhere, **wish}).status_code == 400
        refused = client.post("/v1/studies", json=external(), headers={"Origin": elsewhere})
        assert (refused.status_code, problem(refused)["code"]) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in client.get("/v1/studies", headers={"Origin": elsewhere}).headers


@pytest.mark.parametrize("origin", ["*", "lab.example", "https://lab.example/", "https://*.example"])
def test_a_site_is_named_by_its_origin(origin: str) -> None:
    with pytest.raises(ValidationError, match="cors_origins"):
        Settings(cors_origins=[origin])


def test_no_site_is_named_by_default(client: httpx.Client) -> None:
    assert (
        "access-control-allow-origin" not in client.get("/v1/studies", headers={"Origin": "https://a.example"}).headers
    )
