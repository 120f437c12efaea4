"""Reports against the real service, on each database: the curves that are read are those that were reported."""

import math
from typing import Any

import httpx
import pytest

from tests.client.faulty import LOST_ANSWER, LOST_REQUEST, Fault, Faulty
from tests.worker.running import eventually
from tuner.client import Client
from tuner.errors import LeaseLost, StudyExists


def curves(url: str, number: int = 0) -> dict[str, dict[Any, Any]]:
    """Each metric's value by step, as the service shows it."""
    answer = httpx.get(f"{url}/v1/studies/s/trials/{number}/curve?max_points=100000", timeout=30).raise_for_status()
    found = answer.json()["curves"]
    return {name: dict(zip(curve["steps"], curve["values"], strict=True)) for name, curve in found.items()}


def test_what_was_reported_is_what_is_read(client: Client, url: str) -> None:
    [trial] = client.study("s", learning_rate=0.1, steps=(20_000, 20_000), sampler="random").ask()
    for step in trial.range():
        trial.report(step, loss=1 / step)
        if step % 100 == 0:
            trial.report(step, {"val-loss": 2 / step})
    trial.report(20_000, loss=-1.0)
    trial.report(0, loss=7.5)
    assert trial.tell(loss=-1.0).steps_run == 20_000
    expected = {0: 7.5, **{step: 1 / step for step in range(1, 20_000)}, 20_000: -1.0}
    assert curves(url) == {"loss": expected, "val-loss": {step: 2 / step for step in range(100, 20_001, 100)}}


def test_curves_hold_what_is_not_finite(client: Client, url: str) -> None:
    [trial] = client.study("s", learning_rate=0.1, steps=5, sampler="random").ask()
    for step, loss in enumerate((1.0, math.inf, math.nan, -math.inf)):
        trial.report(step, loss=loss)
    trial.flush()
    assert trial.should_stop
    assert trial.stop_reason == "loss is Infinity at step 1"
    trial.tell(loss=math.nan)
    assert curves(url) == {"loss": {0: 1.0, 1: "Infinity", 2: "NaN", 3: "-Infinity"}}


def test_the_services_pruner_stops_a_loop_and_the_trial_is_pruned(client: Client) -> None:
    study = client.study(
        "s",
        learning_rate=(1e-4, 1.0),
        steps=100,
        sampler="random",
        pruner={"name": "median", "settings": {"n_startup_trials": 3}},
        trials=5,
    )
    ran = []
    for trial in study:
        good = trial.number < 3
        for step in trial.range():
            trial.report(step, loss=1.0 if good else 2.0)
            # A training step takes longer than this does.
            trial.flush()
            if trial.should_stop:
                break
        ran.append(step)
        told = trial.tell(loss=1.0 if good else 2.0)
        assert told.state == ("complete" if good else "pruned")
        assert told.reason == trial.stop_reason
    assert ran[:3] == [100] * 3
    assert max(ran[3:]) < 100
    again = client.study("s", pruner="median", trials=5)
    assert again.state == "completed"
    with pytest.raises(StudyExists, match="pruner"):
        client.study("s", pruner="asha")


def test_a_second_attempt_has_a_curve_of_its_own(client: Client, url: str) -> None:
    study = client.study("s", learning_rate=0.1, steps=10, sampler="random")
    [trial] = study.ask()
    trial.report(1, loss=1.0)
    trial.report(2, loss=1.0)
    trial.release()
    [again] = study.ask()
    again.report(1, loss=2.0)
    trial.report(3, loss=1.0)
    again.tell(loss=2.0)
    with pytest.raises(LeaseLost):
        trial.tell(loss=1.0)
    assert curves(url) == {"loss": {1: 2.0}}


def test_a_late_report_of_a_lost_attempt_is_refused(client: Client, url: str) -> None:
    study = client.study("s", learning_rate=0.1, steps=10, sampler="random")
    [trial] = study.ask()
    # Behind this client's back, as if the lease had run out and another had taken the trial.
    httpx.post(f"{url}/v1/studies/s/trials/0:release", json={"attempt": 1}, timeout=30).raise_for_status()
    [again] = study.ask()
    trial.report(1, loss=1.0)
    eventually(lambda: trial.should_stop)
    assert trial.lease_lost
    again.report(1, loss=2.0)
    assert again.tell(loss=2.0).attempt == 2
    assert curves(url) == {"loss": {1: 2.0}}


@pytest.mark.parametrize("fault", [LOST_ANSWER, LOST_REQUEST, Fault(503)], ids=["answer", "request", "503"])
def test_faults_on_the_way_leave_no_trace(
    faulty: Faulty, url: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.client.transport.FIRST_PAUSE", 0.02)
    turn = iter(range(10**6))
    with Client(faulty.url, patience=30, report_every=0.02) as client:
        study = client.study("s", learning_rate=(1e-4, 1.0), steps=(50, 100), sampler="random", trials=6)
        faulty.plan = lambda method, path: fault if next(turn) % 3 else None
        for trial in study:
            for step in trial.range():
                trial.report(step, loss=trial.learning_rate / step)
            trial.tell(loss=trial.learning_rate / trial.steps)
    found = _trials(url)
    assert [(trial["number"], trial["state"], trial["attempt"]) for trial in found] == [
        (number, "complete", 1) for number in range(6)
    ]
    for one in found:
        rate, steps = one["parameters"]["learning_rate"], one["parameters"]["steps"]
        assert curves(url, one["number"]) == {"loss": {step: rate / step for step in range(1, steps + 1)}}


def _trials(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{url}/v1/studies/s/trials", timeout=30).json()["trials"]
    return found
