"""Reports and idempotency keys over HTTP."""

from typing import Any

import httpx
import pytest

from tests.api.requests import external, fields, post_raw, problem, strict

TRIAL = "/v1/studies/resnet/trials/0"


@pytest.fixture
def running(client: httpx.Client) -> httpx.Client:
    """A client of a service on which trial 0 of the study resnet runs."""
    assert client.post("/v1/studies", json=external()).status_code == 201
    assert client.post("/v1/studies/resnet/trials:ask").status_code == 200
    return client


def report(client: httpx.Client, steps: list[Any], values: dict[str, Any], attempt: int = 1) -> httpx.Response:
    return client.post(f"{TRIAL}:report", json={"attempt": attempt, "steps": steps, "values": values})


def curves(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = strict(client.get(f"{TRIAL}/curve"))["curves"]
    return {metric: dict(zip(curve["steps"], curve["values"], strict=True)) for metric, curve in found.items()}


def test_columns_become_curves_and_the_lease_is_renewed(running: httpx.Client) -> None:
    first = strict(report(running, [1, 2], {"loss": [0.9, 0.8]}))
    answer = strict(report(running, [5, 4], {"loss": [0.5, "NaN"], "accuracy": [None, 0.25]}))
    assert answer.keys() == {"should_stop", "reason", "verdict", "advice", "lease_expires_at"}
    assert (answer["should_stop"], answer["reason"], answer["verdict"]) == (False, None, "too_short_to_tell")
    assert answer["lease_expires_at"] > first["lease_expires_at"]
    assert curves(running) == {"loss": {1: 0.9, 2: 0.8, 4: "NaN", 5: 0.5}, "accuracy": {4: 0.25}}


def test_a_loss_that_is_not_finite_says_stop(running: httpx.Client) -> None:
    answer = strict(report(running, [7], {"loss": ["Infinity"]}))
    assert answer["should_stop"] is True
    assert "step 7" in answer["reason"]
    told = strict(running.post(f"{TRIAL}:tell", json={"attempt": 1, "state": "pruned"}))
    assert told["reason"] == answer["reason"]


@pytest.mark.parametrize(
    ("steps", "values", "field"),
    [
        ([1, 2], {"loss": [0.5]}, "values.loss"),
        ([1], {"loss": [0.5, 0.4], "accuracy": [1.0]}, "values.loss"),
        ([-1], {"loss": [0.5]}, "steps.0"),
        ([10**12 + 1], {"loss": [0.5]}, "steps.0"),
        ([1.5], {"loss": [0.5]}, "steps.0"),
        ([True], {"loss": [0.5]}, "steps.0"),
        ([1], {"loss": ["0.5"]}, "values.loss.0"),
        ([1], {"loss": [True]}, "values.loss.0"),
        ([1], {"": [0.5]}, "values."),
        ([0] * 50_001, {"a": [0.5] * 50_001, "b": [0.5] * 50_001}, "values"),
    ],
)
def test_a_bad_report_is_refused_whole(running: httpx.Client, steps: list[Any], values: Any, field: str) -> None:
    refused = report(running, steps, {"good": [0.5] * len(steps), **values} if field != "values" else values)
    assert refused.status_code == 422
    assert fields(refused)[0].startswith(field)
    assert curves(running) == {}


def test_a_hundred_thousand_points_are_one_report(running: httpx.Client) -> None:
    steps = list(range(1, 100_001))
    assert report(running, steps, {"loss": [1.0 / step for step in steps]}).status_code == 200
    [curve] = strict(running.get(f"{TRIAL}/curve", params={"max_points": 100}))["curves"].values()
    assert (curve["points"], curve["steps"][-1], curve["values"][-1]) == (100_000, 100_000, 1e-5)


def test_another_attempt_and_a_finished_trial_are_told_apart(running: httpx.Client) -> None:
    lost = report(running, [1], {"loss": [0.5]}, attempt=2)
    assert (lost.status_code, problem(lost)["code"]) == (409, "lease_lost")
    running.post(f"{TRIAL}:tell", json={"attempt": 1, "state": "complete", "values": {"loss": 1.0}})
    over = report(running, [1], {"loss": [0.5]})
    assert (over.status_code, problem(over)["code"]) == (409, "trial_state")
    assert curves(running) == {}


WRITES = [
    ("/v1/studies", external("other"), 201),
    ("/v1/studies/resnet/trials", {"parameters": {"learning_rate": 0.1, "steps": 3}}, 201),
    ("/v1/studies/resnet/trials:ask", {"count": 2}, 200),
    (f"{TRIAL}:report", {"attempt": 1, "steps": [1], "values": {"loss": ["NaN"]}}, 200),
    (f"{TRIAL}:tell", {"attempt": 1, "state": "complete", "values": {"loss": "-Infinity"}}, 200),
    (
        "/v1/studies/resnet/trials:tell",
        {"results": [{"number": 0, "attempt": 1, "state": "failed"}, {"number": 9, "attempt": 1, "state": "failed"}]},
        200,
    ),
]


@pytest.mark.parametrize(("path", "body", "status"), WRITES)
def test_the_same_request_under_the_same_key_is_carried_out_once(
    running: httpx.Client, path: str, body: dict[str, Any], status: int
) -> None:
    key = {"Idempotency-Key": "a-key"}
    first = running.post(path, json=body, headers=key)
    assert first.status_code == status
    before = strict(running.get("/v1/studies/resnet"))
    again = running.post(path, json=body, headers=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers.get("location") == first.headers.get("location")
    assert strict(running.get("/v1/studies/resnet"))["trials"] == before["trials"]

    other = running.post(path, json={**body, "x": 1}, headers=key)
    assert other.status_code == 422
    elsewhere = post_raw(running, "/v1/studies/resnet/trials:ask", '{"count": 3}')
    assert elsewhere.status_code == 200
    misused = running.post("/v1/studies/resnet/trials:ask", json={"count": 3}, headers=key)
    assert (misused.status_code, problem(misused)["code"]) == (422, "idempotency_key_reused")
    assert fields(misused) == ["Idempotency-Key"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_a_key_is_printable_and_short(running: httpx.Client, key: str) -> None:
    for path, body, _ in WRITES:
        refused = running.post(path, json=body, headers={b"Idempotency-Key": key.encode("latin-1")})
        assert refused.status_code == 422, path
        assert fields(refused) == ["Idempotency-Key"]
