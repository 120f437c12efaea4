"""Whatever is thrown at the HTTP door, it answers with strict JSON and never with a 5xx."""

import copy
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.requests import external, post_raw, problem, registered, strict

pytestmark = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)

# The fixture's database is shared by the examples of one test, on purpose.
thorough = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)

NUMBERS = [0, -1, 1, 2**31, 2**53, 2**63, 10**30, 10**299, 10**400, 0.5, -0.0, 5e-324, 1.8e308, 1e18]
WORDS = ["", "\0", "a\0b", "NaN", "Infinity", "true", "~1", "../..", "'; --", "\ud800", "é" * 300, "loss", "float"]

junk = st.recursive(
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner),
    max_leaves=6,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, the whole of it among them."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value in one place."""
    if not path:
        return value
    document = copy.deepcopy(document)
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return document


def spoilt(document: Any) -> st.SearchStrategy[Any]:
    """The document with junk in one of its places, or beside them."""
    somewhere = st.builds(replaced, st.just(document), st.sampled_from(places(document)), junk)
    return somewhere | st.builds(lambda key, value: {**document, key: value}, st.sampled_from(WORDS), junk)


DEFINITION = registered(
    goal={"minimize": "loss"},
    budget={"trials": 3, "gradient_evaluations": 1000, "seconds": 5.0, "parallel_trials": 2, "failed_trials": 2},
    notes="n",
    tags=["a"],
)
DEFINITION["sampler"] = {"name": "tpe", "seed": 0, "settings": {"n_startup_trials": 3}, "batch_size": 2}
DEFINITION["search_space"] = {
    **DEFINITION["search_space"],
    "update_rule": {"type": "categorical", "choices": ["adam", "gradient_descent"]},
}
CLIENTS = external(search_space={**external()["search_space"], "x": {"type": "categorical", "choices": [1, "a", True]}})
TESTED = registered(search_space={**registered()["search_space"], "learning_rate": "range-test"})
ASK = {"count": 1, "worker": "w", "lease_seconds": 60}
TELL = {"attempt": 1, "state": "complete", "values": {"loss": 0.5}, "reason": "r"}
MANY = {"results": [{"number": 0, **TELL}]}
POINT = {"parameters": {"learning_rate": 0.1, "steps": 3}}
CHANGES = {"notes": "n", "tags": ["a"], "budget": {"trials": 5, "seconds": 3.0}}

PREVIEW = {
    "settings": {"dimension": 3},
    "initial_seed": 1,
    "learning_rates": [0.1, 1.0],
    "steps": 5,
    "resolution": 3,
    "update_rule": "heavy_ball",
    "momentum": 0.5,
}
UNTIL = {"minimize": "steps", "until": {"accuracy": {"at_least": 0.9}}}
TRADE_OFF = {"minimize": ["loss", "steps"]}


def send(client: httpx.Client, path: str, document: Any, method: str = "POST") -> int:
    """Send a document, NaN and all; the status. Anything but a success is a problem document."""
    response = client.request(method, path, content=json.dumps(document), headers={"Content-Type": "application/json"})
    assert response.status_code < 500, (document, response.text)
    strict(response)
    if response.status_code >= 400:
        problem(response)
    return response.status_code


@thorough
@given(document=spoilt(DEFINITION) | spoilt(CLIENTS) | spoilt(TESTED) | junk)
def test_definitions(client: httpx.Client, document: Any) -> None:
    status = send(client, "/v1/studies", document)
    studies = strict(client.get("/v1/studies"))["studies"]
    assert len(studies) == (status in {200, 201}), "what is refused leaves nothing behind"
    for study in studies:
        send(client, f"/v1/studies/{study['address']}/trials:ask", {"count": 2})
        assert client.get(f"/studies/{study['address']}").status_code == 200
        assert client.delete(f"/v1/studies/{study['address']}").status_code == 204


@thorough
@given(document=spoilt(ASK) | junk)
def test_asks(client: httpx.Client, document: Any) -> None:
    client.post("/v1/studies", json=external(budget={"trials": None}))
    send(client, "/v1/studies/resnet/trials:ask", document)


@thorough
@given(one=spoilt(TELL) | junk, many=spoilt(MANY) | junk)
def test_results(client: httpx.Client, one: Any, many: Any) -> None:
    client.post("/v1/studies", json=external(budget={"trials": None}))
    [lease] = strict(client.post("/v1/studies/resnet/trials:ask"))["trials"]
    send(client, f"/v1/studies/resnet/trials/{lease['number']}:tell", one)
    send(client, "/v1/studies/resnet/trials:tell", many)
    strict(client.get(f"/v1/studies/resnet/trials/{lease['number']}"))
    assert client.get(f"/studies/resnet/trials/{lease['number']}").status_code == 200


@thorough
@given(point=spoilt(POINT) | junk, changes=spoilt(CHANGES) | junk, held=spoilt({"attempt": 1}) | junk)
def test_points_changes_and_leases(client: httpx.Client, point: Any, changes: Any, held: Any) -> None:
    client.post("/v1/studies", json=external())
    send(client, "/v1/studies/resnet/trials", point)
    send(client, "/v1/studies/resnet", changes, method="PATCH")
    send(client, "/v1/studies/resnet/trials/0:heartbeat", held)
    send(client, "/v1/studies/resnet/trials/0:release", held)
    send(client, "/v1/studies/resnet/trials/0:exclude", held)
    strict(client.get("/v1/studies/resnet"))
    strict(client.get("/v1/studies/resnet/trials?page_size=1000"))


PLAN = {"low": 1e-5, "high": 1.0, "steps": 12, "parameters": {"update_rule": "heavy_ball", "momentum": 0.5}}
CURVE = {"rates": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "losses": [3.0, 2.0, 1.0, "NaN", "Infinity", -1e308]}
EFFORT = {"points": 2, "evaluations_per_point": 10}


@thorough
@given(test=spoilt(PLAN) | spoilt(CURVE) | junk, effort=spoilt(EFFORT) | junk)
def test_range_tests_and_curvatures(client: httpx.Client, test: Any, effort: Any) -> None:
    client.post("/v1/studies", json=registered())
    send(client, "/v1/studies/line-fit/range-tests", test)
    send(client, "/v1/objectives/line_fit:range-test", test)
    send(client, "/v1/range-tests:analyse", test)
    send(client, "/v1/studies/line-fit/analysis/stability:measure", effort)
    strict(client.get("/v1/studies/line-fit/range-tests"))
    strict(client.get("/v1/studies/line-fit/analysis/stability"))


@thorough
@given(document=spoilt(PREVIEW) | junk, goal=spoilt(UNTIL) | spoilt(TRADE_OFF) | junk)
def test_previews_and_goals(client: httpx.Client, document: Any, goal: Any) -> None:
    send(client, "/v1/objectives/quadratic:preview", document)
    if send(client, "/v1/studies", external(goal=goal)) == 201:
        strict(client.get("/v1/studies/resnet/pareto"))
        assert client.get("/studies/resnet").status_code == 200
        client.delete("/v1/studies/resnet")


@thorough
@given(
    body=st.binary(max_size=60) | st.text(alphabet='{}[]",:0123456789.eE+-truefalsn\\u ', max_size=40).map(str.encode)
)
def test_bytes(client: httpx.Client, body: bytes) -> None:
    for path in ("/v1/studies", "/v1/studies/resnet/trials:ask", "/v1/studies/resnet/trials/0:tell"):
        response = post_raw(client, path, body)
        assert response.status_code < 500
        problem(response)


@thorough
@given(
    name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    number=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    query=st.dictionaries(
        st.sampled_from(["page_size", "page_token", "state", "text", "max_points", "updated_after", "fields", "x"]),
        st.text(max_size=12),
    ),
)
def test_addresses(client: httpx.Client, name: str, number: str, query: dict[str, str]) -> None:
    quoted = f"/v1/studies/{quote(name, safe='')}"
    for path in ("/v1/studies", quoted, f"{quoted}/trials", f"{quoted}/trials/{quote(number, safe='')}/curve"):
        response = client.get(path, params=query)
        assert response.status_code < 500
        strict(response)
    assert client.get(f"/studies/{quote(name, safe='')}", params=query).status_code < 500
