"""The service around its routes: starting, stopping, health, objectives, workers, and studies of Optuna programs."""

from pathlib import Path

import httpx
import optuna
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.serving import Service
from tests.api.requests import external, problem, strict
from tests.api.server import serving
from tuner.service import workers
from tuner.settings import Settings
from tuner.storage import TunerStorage, migration
from tuner.storage.database import Database


def test_it_is_alive_and_ready(client: httpx.Client) -> None:
    assert strict(client.get("/healthz")) == {"status": "alive"}
    assert strict(client.get("/readyz")) == {"status": "ready", "reasons": []}


def test_about_to_stop_it_is_not_ready_and_gives_nothing_out(
    served: tuple[FastAPI, httpx.Client], client: httpx.Client
) -> None:
    client.post("/v1/studies", json=external())
    client.post("/v1/studies/resnet/trials:ask")
    served[0].state.service.draining.set()
    ready = client.get("/readyz")
    assert (ready.status_code, strict(ready)["reasons"]) == (503, ["the service is about to stop"])
    asked = client.post("/v1/studies/resnet/trials:ask")
    assert (asked.status_code, problem(asked)["code"]) == (503, "draining")
    told = client.post("/v1/studies/resnet/trials/0:tell", json={"attempt": 1, "state": "failed"})
    assert told.status_code == 200, "what runs may still be told"


def test_a_database_of_another_schema_is_not_ready(served: tuple[FastAPI, httpx.Client], database: Database) -> None:
    app, client = served
    app.state.service = Service(database, Settings(database_url=database.url))
    migration.downgrade(database, "base")
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "tuner migrate" in strict(ready)["reasons"][0]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_starting_migrates_loads_objectives_and_requeues(empty_database_url: str, tmp_path: Path) -> None:
    module = tmp_path / "valleys.py"
    module.write_text(
        "import numpy\n"
        "from tuner.objectives import register\n"
        "@register('valley_of_a_user')\n"
        "class Valley:\n"
        "    '''A valley.'''\n"
        "    dimension = 1\n"
        "    def __init__(self, depth: float): self.depth = depth\n"
        "    def initial_parameters(self, seed): return numpy.ones(1)\n"
        "    def value_and_gradient(self, x): return self.depth * x[:, 0] ** 2, 2 * self.depth * x\n"
    )
    settings = Settings(database_url=empty_database_url, objectives=[str(module)])
    with serving(create_app(settings)) as client:
        valley = strict(client.get("/v1/objectives/valley_of_a_user"))
        assert valley["summary"] == "A valley."
        assert valley["settings"]["required"] == ["depth"]
        assert (valley["defaults"], "depth" in valley["unavailable"]) == (None, True)
        assert client.get("/objectives/valley_of_a_user").status_code == 200
        client.post("/v1/studies", json=external())
        client.post("/v1/studies/resnet/trials:ask", json={"lease_seconds": 1})
        while (trial := strict(client.get("/v1/studies/resnet/trials/0")))["state"] == "running":
            pass
        assert (trial["state"], trial["attempt"]) == ("waiting", 1), "the sweeper found the lease that was over"


def test_it_starts_while_its_database_is_away() -> None:
    settings = Settings(database_url="postgresql://nobody@127.0.0.1:9/tuner?connect_timeout=2")
    with serving(create_app(settings)) as client:
        assert strict(client.get("/healthz")) == {"status": "alive"}
        ready = client.get("/readyz")
        assert (ready.status_code, strict(ready)["reasons"]) == (503, ["the database does not answer"])


def test_objectives_say_what_is_known_of_them(client: httpx.Client) -> None:
    found = {each["name"]: each for each in strict(client.get("/v1/objectives"))["objectives"]}
    assert list(found) == sorted(found)
    assert found["quadratic"] == strict(client.get("/v1/objectives/quadratic"))
    assert found["quadratic"]["defaults"]["minimum"] == 0
    assert found["beale"]["defaults"]["dimension"] == 2
    low, high = found["line_fit"]["defaults"]["curvature"]
    assert 0 < low < high
    assert found["line_fit"]["settings"]["properties"]["seed"]["type"] == "integer"
    assert found["network"]["defaults"]["metrics"] == ["loss", "validation_loss"]
    missing = client.get("/v1/objectives/line_fitt")
    assert (missing.status_code, problem(missing)["code"]) == (404, "objective_not_found")
    assert "line_fit" in problem(missing)["detail"]


def test_workers_are_listed_while_they_live(client: httpx.Client, database: Database) -> None:
    assert strict(client.get("/v1/workers")) == {"workers": []}
    first, second = workers.enlist(database), workers.enlist(database)
    workers.seen(database, first, study="resnet", trials=3)
    workers.dismiss(database, second)
    listed = {worker["id"]: worker for worker in strict(client.get("/v1/workers"))["workers"]}
    assert (listed[first]["alive"], listed[first]["study"], listed[first]["trials"]) == (True, "resnet", 3)
    assert (listed[second]["alive"], listed[second]["study"]) == (False, None)
    assert first in client.get("/workers").text


def test_an_optuna_programs_study_is_shown_and_never_changed(client: httpx.Client, database_url: str) -> None:
    storage = TunerStorage(database_url)
    theirs = optuna.create_study(storage=storage, study_name="Their study / <script>", direction="minimize")
    choices = [float("inf"), None, True, "NaN"]
    theirs.enqueue_trial({"x": 0.5, "c": float("inf")})
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1) * bool(trial.suggest_categorical("c", choices)), 2)
    [study] = strict(client.get("/v1/studies"))["studies"]
    assert (study["name"], study["definition"]) == ("Their study / <script>", None)
    assert study["address"].startswith("~")
    address = f"/v1/studies/{study['address']}"
    assert {**strict(client.get(address)), "spent": None} == {**study, "spent": None}
    assert strict(client.get(f"{address}/best")) == study["best"]
    assert strict(client.get(f"{address}/trials"))["trials"][0]["parameters"] == {"x": 0.5, "c": "Infinity"}
    for method, path, body in [
        ("PATCH", "", {"notes": "x"}),
        ("DELETE", "", None),
        ("POST", ":pause", None),
        ("POST", "/trials", {"parameters": {"x": 0.5}}),
        ("POST", "/trials:ask", {}),
        ("POST", "/trials/0:tell", {"attempt": 1, "state": "failed"}),
        ("POST", "/trials/0:heartbeat", {"attempt": 1}),
        ("POST", "/trials/0:release", {"attempt": 1}),
        ("POST", "/trials/0:exclude", {}),
    ]:
        response = client.request(method, f"{address}{path}", json=body)
        assert (response.status_code, problem(response)["code"]) == (409, "read_only_study"), (method, path)
    for page in ("/", f"/studies/{study['address']}", f"/studies/{study['address']}/trials/0"):
        shown = client.get(page)
        assert shown.status_code == 200
        assert "Their study / &lt;script&gt;" in shown.text
        assert "<script>" not in shown.text
