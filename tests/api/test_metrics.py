"""Numbers and log lines: what was asked is counted under its route, and every line says which request it belongs to."""

import json
import logging
import re
import signal
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.requests import external
from tests.cli.commands import service
from tuner import logs

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def numbers(client: httpx.Client) -> Numbers:
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def of(found: Numbers, name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


def test_what_is_asked_is_counted_and_what_is_stored_is_summed(client: httpx.Client) -> None:
    ask = {"method": "POST", "route": "/v1/studies/{study}/trials:ask"}
    before = numbers(client)
    client.post("/v1/studies", json=external())
    trials = client.post("/v1/studies/resnet/trials:ask", json={"count": 3}).json()["trials"]
    client.post("/v1/studies/nothing/trials:ask", json={})
    tell = {"attempt": 1, "state": "complete", "values": {"loss": 1.0}}
    client.post(f"/v1/studies/resnet/trials/{trials[0]['number']}:tell", json=tell)
    after = numbers(client)

    def grown(name: str, **labels: str) -> float:
        return of(after, name, **labels) - of(before, name, **labels)

    assert grown("tuner_http_requests_total", **ask, status="200") == 1
    assert grown("tuner_http_requests_total", **ask, status="404") == 1
    assert grown("tuner_http_request_seconds_count", **ask) == 2
    assert 0 < grown("tuner_http_request_seconds_sum", **ask) < 60
    assert of(after, "tuner_trials", state="running") == 2
    assert of(after, "tuner_trials", state="complete") == 1
    assert of(after, "tuner_trials", state="waiting") == 0
    assert of(after, "tuner_studies", state="active") == 1
    assert of(after, "tuner_workers", state="busy") == 0
    assert of(after, "tuner_database_up") == 1
    assert ("tuner_lease_expiries_total", ()) in after
    assert ("tuner_gradient_evaluations_total", ()) in after
    assert of(after, "tuner_database_connections", state="in_use") >= 0
    # What nobody answers to is one route, or anybody could make numbers without end.
    client.get("/no/such/thing")
    assert not [labels for name, labels in numbers(client) if "/no/such" in str(labels)]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_request_keeps_its_id(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    made = {client.get("/healthz").headers["x-request-id"] for _ in range(5)}
    assert len(made) == 5
    for forged in ("a b", 'x"}{', "x" * 65, ""):
        given = client.get("/healthz", headers={"X-Request-Id": forged}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{16}", given)


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_line_says_what_it_is_about(form: str) -> None:
    formatter = logs.JsonLines() if form == "json" else logs.TextLines()
    record = logging.LogRecord("tuner.x", logging.WARNING, __file__, 1, "odd \n %s", ("thing",), None)
    token = logs.context.set({"request": "r1", "study": "resnet"})
    try:
        line = formatter.format(record)
    finally:
        logs.context.reset(token)
    if form == "json":
        found = json.loads(line)
        assert "\n" not in line
        assert (found["level"], found["message"], found["study"]) == ("warning", "odd \n thing", "resnet")
    else:
        assert line.endswith("[request=r1 study=resnet]")


def test_refusals_are_logged_with_what_they_are_about_and_all_processes_are_counted_together(tmp_path: Path) -> None:
    flags = ["--processes", "2", "--workers", "0", "--log-level", "info", "--log-format", "json"]
    with service(tmp_path, *flags) as (url, process), httpx.Client(base_url=url, timeout=60) as client:
        for _ in range(40):
            # A connection each, so that both processes get some.
            httpx.get(f"{url}/v1/studies/a/trials/7", timeout=60)
        route = {"method": "GET", "route": "/v1/studies/{study}/trials/{number}", "status": "404"}
        counted = {of(numbers(client), "tuner_http_requests_total", **route) for _ in range(4)}
        assert counted == {40.0}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
