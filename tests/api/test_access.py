"""Who may send what, where the service asks for tokens: every route of the application is walked, none is forgotten."""

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import access
from api.app import create_app
from api.serving import Service
from tests.api.requests import external
from tests.api.server import serving
from tuner.service import tokens
from tuner.service.tokens import Scope
from tuner.settings import Settings
from tuner.storage.database import Database

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/assets/{digest}/{name}"),
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, httpx.Client]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('guarded')}/tuner.db"
    app = create_app(Settings(database_url=url, authentication=True))
    with serving(app) as client:
        yield app, client


@pytest.fixture
def client(guarded: tuple[FastAPI, httpx.Client], database: Database) -> Iterator[httpx.Client]:
    app, client = guarded
    app.state.service = service = Service(database, Settings(database_url=database.url, authentication=True))
    client.cookies.clear()
    yield client
    service.commits.close()


def bearing(database: Database, scope: str, name: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.create(database, name or scope, Scope(scope)).text}"}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def walk(of: list[object]) -> None:
        for route in of:
            if isinstance(route, APIRoute):
                found.extend((method, route.path) for method in route.methods or ())
            else:
                walk(getattr(getattr(route, "original_router", None), "routes", []))

    walk(list(app.routes))
    return found


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda part: {"number": "0"}.get(part[1], "x"), path)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_every_route_but_those_of_a_short_list_needs_a_token(
    guarded: tuple[FastAPI, httpx.Client], client: httpx.Client
) -> None:
    walked = {(method, path) for method, path in routes(guarded[0]) if method != "HEAD"}
    assert len(walked) > 50
    assert {("POST", "/v1/studies"), ("GET", "/"), ("GET", "/docs")} <= {(m, p or "/") for m, p in walked}
    unguarded = set()
    for method, path in walked:
        response = client.request(method, filled(path))
        if response.status_code != 401:
            unguarded.add((method, path))
        elif (method, path) != ("POST", "/sign-in"):
            assert response.headers["www-authenticate"] == "Bearer"
    # Who signs in without a token is told so.
    assert unguarded | {("POST", "/sign-in")} == OPEN
    assert client.get("/no/such/address").status_code == 401
    assert client.get("/openapi.json").status_code == 401


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_narrower_scope_is_refused_by_every_route_that_takes_more(
    guarded: tuple[FastAPI, httpx.Client], client: httpx.Client, database: Database
) -> None:
    order = list(Scope)
    bearers = {scope: bearing(database, scope) for scope in order}
    for method, path in routes(guarded[0]):
        takes = access.needed(method, filled(path))
        if takes is None:
            continue
        for scope in order[: order.index(takes)]:
            response = client.request(method, filled(path), headers=bearers[scope])
            assert response.status_code == 403, (method, path, scope)


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        ("GET", "/v1/studies", Scope.READ),
        ("GET", "/", Scope.READ),
        ("POST", "/v1/objectives/line_fit:preview", Scope.READ),
        ("POST", "/v1/studies/a/trials:ask", Scope.WORK),
        ("POST", "/v1/studies/a/trials:tell", Scope.WORK),
        ("POST", "/v1/studies/a/trials/0:report", Scope.WORK),
        ("POST", "/v1/studies/a/trials/0:exclude", Scope.WRITE),
        ("POST", "/v1/studies/a/trials", Scope.WRITE),
        ("DELETE", "/v1/studies/a", Scope.WRITE),
        ("DELETE", "/v1/studies/a:preview", Scope.WRITE),
        ("GET", "/v1/tokens", Scope.ADMIN),
        ("POST", "/something/new", Scope.WRITE),
    ],
)
def test_what_a_request_takes(method: str, path: str, takes: Scope) -> None:
    assert access.needed(method, path) is takes


def test_each_scope_does_what_it_is_for(client: httpx.Client, database: Database) -> None:
    assert client.post("/v1/studies", json=external(), headers=bearing(database, "write")).status_code == 201
    work = bearing(database, "work")
    asked = client.post("/v1/studies/resnet/trials:ask", json={}, headers=work)
    assert len(asked.json()["trials"]) == 1
    refused = client.post("/v1/studies/resnet:pause", headers=work)
    assert (refused.status_code, refused.json()["code"]) == (403, "out_of_scope")
    assert "'work'" in refused.json()["detail"]
    read = bearing(database, "read")
    assert client.get("/v1/studies/resnet", headers=read).status_code == 200
    assert client.post("/v1/studies/resnet/trials:ask", json={}, headers=read).status_code == 403


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer x",
        "Basic eDp5",
        "Bearer tuner_aaaaaaaa_" + "A" * 43,
        "Bearer \u00e9",
        "Bearer " + "x" * 5000,
    ],
)
def test_what_is_no_token_is_refused(client: httpx.Client, header: str) -> None:
    response = client.get("/v1/studies", headers={b"Authorization": header.encode()})
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


def test_the_right_prefix_with_another_secret_is_refused(client: httpx.Client, database: Database) -> None:
    text = tokens.create(database, "ci", Scope.READ).text
    other = text[:-1] + ("A" if text[-1] != "A" else "B")
    assert client.get("/v1/studies", headers={"Authorization": f"Bearer {other}"}).status_code == 401
    assert client.get("/v1/studies", headers={"Authorization": f"bearer {text}"}).status_code == 200


def test_tokens_are_made_and_revoked_by_who_has_one_of_admin(
    client: httpx.Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "REMEMBERED_FOR", 0.0)
    admin = bearing(database, "admin")
    made = client.post("/v1/tokens", json={"name": "ci", "scope": "read", "expires_in_seconds": 3600}, headers=admin)
    assert made.status_code == 201
    own = {"Authorization": f"Bearer {made.json()['token']}"}
    assert client.get("/v1/studies", headers=own).status_code == 200
    listed = client.get("/v1/tokens", headers=admin)
    assert [one["name"] for one in listed.json()["tokens"]] == ["ci", "admin"]
    assert made.json()["token"] not in listed.text
    assert listed.json()["tokens"][0]["last_used_at"] is not None
    again = client.post("/v1/tokens", json={"name": "ci"}, headers=admin)
    assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "name")
    assert client.delete("/v1/tokens/ci", headers=admin).status_code == 200
    assert client.get("/v1/studies", headers=own).status_code == 401
    assert client.delete("/v1/tokens/ci", headers=admin).status_code == 404
    assert client.post("/v1/tokens", json={"name": "ci"}, headers=admin).status_code == 201


def test_a_browser_signs_in_with_a_token_and_out(
    client: httpx.Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "REMEMBERED_FOR", 0.0)
    text = tokens.create(database, "me", Scope.WRITE).text
    asked = client.get("/studies/resnet?x=1")
    assert asked.status_code == 401
    assert 'value="/studies/resnet"' in asked.text
    wrong = client.post("/sign-in", data={"token": "tuner_x", "back": "/workers"})
    assert wrong.status_code == 401
    assert "not known" in wrong.text
    right = client.post("/sign-in", data={"token": f" {text}\n", "back": "/workers"})
    assert (right.status_code, right.headers["location"]) == (303, "/workers")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert text not in cookie
    assert client.get("/workers").status_code == 200
    # Changes come from our own pages only.
    assert client.post("/v1/studies", json=external()).status_code == 403
    own = {"Origin": str(client.base_url).rstrip("/")}
    assert client.post("/v1/studies", json=external(), headers=own).status_code == 201
    session = client.cookies[access.COOKIE]
    assert client.post("/sign-out", headers=own).status_code == 303
    assert access.COOKIE not in client.cookies
    client.cookies.set(access.COOKIE, session)
    refused = client.get("/workers")
    assert refused.status_code == 401
    assert 'role="alert"' in refused.text


@pytest.mark.parametrize("back", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", ""])
def test_signing_in_leads_nowhere_else(client: httpx.Client, database: Database, back: str) -> None:
    text = tokens.create(database, "me", Scope.READ).text
    assert client.post("/sign-in", data={"token": text, "back": back}).headers["location"] == "/"


def test_a_session_ends_with_its_token(
    client: httpx.Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "REMEMBERED_FOR", 0.0)
    text = tokens.create(database, "me", Scope.READ, timedelta(hours=1)).text
    client.post("/sign-in", data={"token": text})
    assert client.get("/workers").status_code == 200
    tokens.revoke(database, "me")
    assert client.get("/workers").status_code == 401


def test_the_document_says_that_tokens_may_be_asked_for(client: httpx.Client, database: Database) -> None:
    document = client.get("/openapi.json", headers=bearing(database, "read")).json()
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("401" in operation["responses"]) == (path not in {"/healthz", "/readyz"})
