"""Every refusal has one shape, whatever the route, the method, and who refused."""

import logging

import httpx
import pytest
from fastapi import FastAPI

from api.problems import STATUS, describe, kinds, status_of
from api.serving import Service
from tests.api.openapi_snapshot import current
from tests.api.requests import external, problem
from tuner import errors
from tuner.errors import TunerError
from tuner.settings import Settings
from tuner.storage.database import Database

PATHS = [
    *current()["paths"],
    "/v1",
    "/v1/",
    "/v1/studies/",
    "/v1/studies/resnet/",
    "/v1/studies/resnet:fly",
    "/v1/studies/resnet/trials:fly",
    "/v1/studies/resnet/trials/0:fly",
    "/v1/studies/a%2Fb",
    "/v1/studies/..%2f..%2fetc%2fpasswd",
    "/v1/%00",
    "/v1/objectives/%00",
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_every_method_on_every_route_answers_json_or_a_problem(client: httpx.Client, path: str) -> None:
    address = path.replace("{study}", "resnet").replace("{number}", "0").replace("{name}", "nothing")
    for method in METHODS:
        client.post("/v1/studies", json=external())
        with client.stream(method, address) as response:
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                continue  # it would not end
            response.read()
        assert response.status_code < 500, (method, response.text)
        if response.status_code >= 400 and method != "HEAD":
            document = problem(response)
            assert (document["status"] == 405) == (document["code"] == "method_not_allowed")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/studies", "GET, POST"),
        ("POST", "/v1/studies/resnet", "GET, PATCH, DELETE"),
        ("GET", "/v1/studies/resnet:pause", "POST"),
        ("GET", "/v1/studies/resnet/trials:ask", "POST"),
        ("DELETE", "/v1/studies/resnet/trials", "GET, POST"),
        ("GET", "/v1/studies/resnet/trials/0:tell", "POST"),
        ("DELETE", "/healthz", "GET"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_405_names_every_method_that_is_allowed(client: httpx.Client, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)


def all_errors() -> list[type[TunerError]]:
    found = [TunerError]
    for kind in found:
        found += kind.__subclasses__()
    return found


def test_every_error_of_the_tree_has_a_status_and_a_code_of_its_own() -> None:
    ours = [kind for kind in all_errors() if kind.__module__ == errors.__name__]
    assert set(STATUS) <= set(ours)
    assert len({kind.code for kind in ours}) == len(ours)
    for kind in ours:
        assert status_of(kind) in range(400, 600)
        assert kinds()[kind.code][0] == status_of(kind)


def test_what_the_database_said_is_not_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        document, headers = describe(errors.DatabaseUnavailable("postgresql://secret-host/tuner does not serve"))
    assert (document.status, document.code, headers) == (503, "database_unavailable", {"Retry-After": "1"})
    assert "secret" not in document.model_dump_json()
    assert "secret-host" in caplog.text, "the operator reads it in the log"


def test_a_database_that_is_away_is_503(served: tuple[FastAPI, httpx.Client]) -> None:
    app, client = served
    # A port that nothing listens on.
    database = Database("postgresql://nobody@127.0.0.1:9/tuner?connect_timeout=2")
    app.state.service = Service(database, Settings(database_url=database.url))
    response = client.get("/v1/studies")
    assert (response.status_code, problem(response)["code"]) == (503, "database_unavailable")
    assert response.headers["retry-after"] == "1"
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["reasons"]) == (503, ["the database does not answer"])
    page = client.get("/")
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")


class Broken(Database):
    """A database whose driver fails in a way that nobody foresaw."""

    def read(self, work: object) -> None:  # type: ignore[override]
        raise RuntimeError("secret internals")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_unexpected_error_is_500_and_keeps_its_secrets(
    served: tuple[FastAPI, httpx.Client], database_url: str
) -> None:
    app, client = served
    app.state.service = Service(Broken(database_url), Settings(database_url=database_url))
    # The server closes a connection on which it failed; that it does so at once is no part of this test.
    once = {"Connection": "close"}
    response = client.get("/v1/studies", headers=once)
    assert (response.status_code, problem(response)["code"]) == (500, "internal_error")
    assert "secret" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in client.get("/", headers=once).text


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_where_a_problem_points_there_is_a_page(client: httpx.Client) -> None:
    for code in kinds():
        assert code in client.get(f"/problems/{code}").text
    assert client.get("/problems/nonsense").status_code == 404
