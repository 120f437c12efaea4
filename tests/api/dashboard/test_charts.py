"""The charts of a study over HTTP: each kind of study gets a picture or the reason why there is none."""

import math
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import optuna
import pytest

from api.dashboard import charts
from api.dashboard.charts import CHARTS
from tests.api.requests import external, registered, strict
from tests.worker.running import work_off
from tuner.service import ask as asking
from tuner.service import stability
from tuner.service import tell as telling
from tuner.service.report import NewPoints
from tuner.service.stability import StabilityEffort
from tuner.service.tell import Ending
from tuner.storage import TunerStorage
from tuner.storage.database import Database


def chart(client: httpx.Client, name: str, study: str = "resnet", **options: Any) -> dict[str, Any]:
    response = client.get(f"/studies/{study}/charts/{name}", params=options)
    assert response.status_code == 200, response.text
    return dict(strict(response))


def told(database: Database, losses: Sequence[float], name: str = "resnet", metric: str = "loss") -> list[int]:
    """Trials that end with these values, each with a curve of six points; their numbers."""
    leases = asking.ask(database, name, count=len(losses)).trials
    endings = [
        Ending(
            lease.number,
            lease.attempt,
            "complete",
            {metric: loss},
            curves=[NewPoints(metric, np.arange(6), np.array([2.0, 1.5, 1.0, 0.9, 0.8, loss]))],
            steps_run=5,
        )
        for lease, loss in zip(leases, losses, strict=True)
    ]
    telling.tell(database, name, endings)
    return [lease.number for lease in leases]


LOSSES = [0.5, math.nan, 0.001, 0.2, 1e30, 0.3, 0.04, 0.05, 0.6, 0.7, 0.8]

GOALS = [
    {"minimize": "loss"},
    {"maximize": "loss"},
    {"minimize": "steps", "until": {"loss": 0.01}},
    {"minimize": ["loss", "steps"]},
]


@pytest.mark.parametrize("goal", GOALS, ids=str)
def test_every_goal_has_every_chart(client: httpx.Client, database: Database, goal: dict[str, Any]) -> None:
    client.post("/v1/studies", json=external(goal=goal))
    told(database, LOSSES)
    curve = {"rates": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "losses": [3.0, 2.0, 1.0, 0.5, 2.0, "Infinity"]}
    assert client.post("/v1/studies/resnet/range-tests", json=curve).status_code == 201
    for name in CHARTS:
        answer = chart(client, name)
        assert answer["summary"], (name, answer)
        assert answer["table"]["rows"], name
        assert answer["figure"]["data"], name
        assert answer["deltas"] == CHARTS[name].deltas


@pytest.mark.parametrize("losses", [[], [0.5], [math.nan, math.inf]], ids=str)
def test_with_few_results_every_chart_shows_them_or_says_why(
    client: httpx.Client, database: Database, losses: list[float]
) -> None:
    client.post("/v1/studies", json=external())
    if losses:
        told(database, losses)
    for name in CHARTS:
        answer = chart(client, name)
        assert answer.get("summary") or answer["empty"].endswith("."), name
        assert ("figure" in answer) != ("empty" in answer)


def test_a_study_of_an_optuna_program_has_charts(client: httpx.Client, database: Database) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = TunerStorage(database)
    one = optuna.create_study(storage=storage, study_name="<b>Theirs</b>")
    one.optimize(lambda trial: trial.suggest_float("<x>", -1, 1) ** 2 + trial.suggest_int("n", 1, 3), n_trials=12)
    two = optuna.create_study(storage=storage, study_name="Two", directions=["minimize", "maximize"])
    two.optimize(lambda trial: (trial.suggest_float("lr", 0.1, 1), 1.0), n_trials=3)
    addresses = [study["address"] for study in client.get("/v1/studies").json()["studies"]]
    assert len(addresses) == 2
    for address in addresses:
        for name in CHARTS:
            answer = chart(client, name, address)
            assert answer.get("summary") or answer["empty"].endswith("."), name
    shown = chart(client, "rate-loss", addresses[1])
    assert shown["figure"]["layout"]["yaxis"]["title"]["text"] == "value", "of no steps is anything known"
    assert "best" in str(shown["figure"])
    assert "<x>" not in str(shown["figure"])


def test_the_stability_limit_is_told_however_it_is_known(client: httpx.Client, database: Database) -> None:
    space = {
        "learning_rate": {"type": "float", "low": 0.9, "high": 1.0},
        "steps": {"type": "int", "low": 50, "high": 60},
    }
    client.post("/v1/studies", json=registered(search_space=space, budget={"trials": 3}))
    assert "stability" not in str(chart(client, "rate-loss", "line-fit"))
    work_off(database, "line-fit")
    # Off the quadratic's own growth: 2/L = 0.7755.
    answer = chart(client, "rate-loss", "line-fit")
    [line] = answer["figure"]["layout"]["shapes"]
    assert line["x0"] == pytest.approx(0.7755, rel=0.01)
    assert "told by how trial" in answer["summary"]
    raised = client.patch("/v1/studies/line-fit", json={"budget": {"trials": 3, "gradient_evaluations": 10_000}})
    assert raised.status_code == 200, raised.text
    stability.measure(database, "line-fit", StabilityEffort(points=0))
    answer = chart(client, "rate-loss", "line-fit")
    [line] = answer["figure"]["layout"]["shapes"]
    assert line["x0"] == pytest.approx(0.7755, rel=1e-3)
    assert "measured at the start" in answer["summary"]
    # A search by the trajectory has measured it by itself.
    client.post("/v1/studies", json=registered("followed", sampler={"name": "trajectory"}, budget={"trials": 2}))
    work_off(database, "followed")
    answer = chart(client, "rate-loss", "followed")
    [line] = answer["figure"]["layout"]["shapes"]
    assert line["x0"] == pytest.approx(0.7755, rel=0.1)
    assert "measured at the start" in answer["summary"]


def test_a_page_that_asks_since_gets_what_has_changed(client: httpx.Client, database: Database) -> None:
    client.post("/v1/studies", json=external())
    told(database, LOSSES)
    for name in ("rate-loss", "history", "loss-curves"):
        before = chart(client, name)
        assert before["traces"] is None
        [new] = told(database, [0.0005])
        change = chart(client, name, since=before["sequence"])
        assert change["sequence"] > before["sequence"]
        points = {
            each[0]
            for trace in change["figure"]["data"]
            if trace["uid"] not in {"best", "left"}
            for each in trace["customdata"]
        }
        assert points == {new}
        whole = chart(client, name)
        assert set(change["traces"]) == {trace["uid"] for trace in whole["figure"]["data"]}
        assert change["summary"] == whole["summary"]
        # Nothing new is nothing more.
        again = chart(client, name, since=change["sequence"])
        assert not [trace for trace in again["figure"]["data"] if trace["uid"] not in {"best", "left"}]


def test_a_chart_is_drawn_again_when_its_study_has_changed(
    client: httpx.Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/v1/studies", json=external())
    told(database, [0.5])
    first = chart(client, "rate-loss")

    def none(*_: object) -> bytes:
        raise AssertionError("it is drawn already")

    with monkeypatch.context() as patch:
        patch.setattr(charts, "_document", none)
        assert chart(client, "rate-loss") == first
    told(database, [0.4])
    assert chart(client, "rate-loss")["summary"] != first["summary"]
    assert client.post("/v1/studies/resnet/trials/1:exclude").status_code == 200
    assert "1 excluded is left out" in chart(client, "rate-loss")["summary"]


def test_a_chart_that_has_no_deltas_stands_for_a_moment_while_its_study_goes_on(
    client: httpx.Client, database: Database
) -> None:
    client.post("/v1/studies", json=external(budget={"trials": 13}))
    told(database, LOSSES)
    first = chart(client, "importance")
    told(database, [0.5])
    assert chart(client, "importance") == first
    told(database, [0.5])
    over = chart(client, "importance")
    assert (over["active"], over["summary"] != first["summary"]) == (False, True)


def test_kept_charts_are_bounded(client: httpx.Client, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "KEPT_BYTES", 5000)
    client.post("/v1/studies", json=external())
    told(database, LOSSES)
    for name in CHARTS:
        chart(client, name)
    kept = charts._kept_of(database)
    assert kept._charts
    assert sum(len(content) for _, _, content in kept._charts.values()) <= 5000 or len(kept._charts) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/studies/resnet/charts/nothing", 404),
        ("/studies/absent/charts/rate-loss", 404),
        ("/studies/resnet/charts/rate-loss?color=loud", 422),
        ("/studies/resnet/charts/rate-loss?colour=steps", 422),
        ("/studies/resnet/charts/loss-curves?trials=1,two", 422),
        ("/studies/resnet/charts/history?since=-1", 422),
        ("/studies/resnet/charts/loss-curves?trials=0,99999999999,0", 200),
        ("/studies/resnet/charts/range-test?since=3", 200),
    ],
)
def test_what_is_asked_wrongly_is_refused(client: httpx.Client, database: Database, path: str, status: int) -> None:
    client.post("/v1/studies", json=external())
    told(database, [0.5])
    assert client.get(path).status_code == status
