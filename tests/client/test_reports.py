"""Points on their way to the service: what is sent, when, and what a trainer hears back."""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.client.faulty import LOST_REQUEST, Fault, Faulty
from tests.worker.running import eventually
from tuner.client import Client, Trial
from tuner.client.outbox import MOST
from tuner.errors import InvalidInput, LeaseLost, StudyExists

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

JSON = (("Content-Type", "application/json"),)
PROBLEM = (("Content-Type", "application/problem+json"),)


def answer(**changes: Any) -> Fault:
    """The service's answer to a report."""
    document = {
        "should_stop": False,
        "reason": None,
        "verdict": None,
        "advice": None,
        "lease_expires_at": "2030-01-01T00:00:00Z",
    }
    return Fault(200, JSON, json.dumps({**document, **changes}).encode())


def refusal(status: int, code: str, detail: str) -> Fault:
    document = {"type": "", "title": "", "status": status, "code": code, "detail": detail, "errors": []}
    return Fault(status, PROBLEM, json.dumps(document).encode())


class Answers:
    """What reports are answered: changed as a test goes on."""

    def __init__(self) -> None:
        self.now = answer()

    def __call__(self, method: str, path: str) -> Fault | None:
        return self.now if path.endswith(":report") else None


@pytest.fixture
def answers(faulty: Faulty) -> Answers:
    faulty.plan = answers = Answers()
    return answers


@pytest.fixture
def trial(faulty: Faulty, answers: Answers) -> Iterator[Trial]:
    with Client(faulty.url, patience=20, report_every=0.05) as client:
        [trial] = client.study("s", learning_rate=0.1, steps=(1000, 1000), sampler="random").ask()
        yield trial


def points(faulty: Faulty) -> list[tuple[int, dict[str, float | str | None]]]:
    """What has been taken: each step with its metrics, in the order of the requests."""
    found = []
    for seen in faulty.calls(":report"):
        if seen.fault is not None and seen.fault.status == 200:
            document = json.loads(seen.body)
            assert document["attempt"] == 1
            assert {len(column) for column in document["values"].values()} == {len(document["steps"])}
            for i, step in enumerate(document["steps"]):
                found.append((step, {name: column[i] for name, column in document["values"].items()}))
    return found


def test_many_points_are_few_requests_and_none_is_lost(trial: Trial, faulty: Faulty) -> None:
    for step in range(120_000):
        trial.report(step, loss=step / 7)
    trial.tell(loss=1.0)
    assert points(faulty) == [(step, {"loss": step / 7}) for step in range(120_000)]
    assert len(faulty.calls(":report")) < 40
    sizes = [len(json.loads(seen.body)["steps"]) for seen in faulty.calls(":report")]
    assert max(sizes) <= MOST


def test_columns_differ_and_keep_their_order(trial: Trial, faulty: Faulty) -> None:
    trial.report(3, loss=1.0)
    trial.report(3, loss=2.0, accuracy=0.5)
    trial.report(1, {"val-loss": np.float32(0.25)}, loss=np.array(4.0))
    trial.report(7, loss=math.nan, accuracy=math.inf)
    trial.report(8, loss=-math.inf)
    trial.flush()
    merged: dict[int, dict[str, float | str]] = {}
    for step, values in points(faulty):
        merged.setdefault(step, {}).update({name: value for name, value in values.items() if value is not None})
    assert merged == {
        3: {"loss": 2.0, "accuracy": 0.5},
        1: {"val-loss": 0.25, "loss": 4.0},
        7: {"loss": "NaN", "accuracy": "Infinity"},
        8: {"loss": "-Infinity"},
    }


def test_points_are_sent_without_being_asked_for(trial: Trial, faulty: Faulty) -> None:
    trial.report(1, loss=0.5)
    eventually(lambda: points(faulty) == [(1, {"loss": 0.5})])
    trial.report(2, loss=0.25)
    eventually(lambda: len(points(faulty)) == 2)


@pytest.mark.parametrize(
    ("step", "values", "field"),
    [
        (-1, {"loss": 1.0}, "steps"),
        (10**12 + 1, {"loss": 1.0}, "steps"),
        (1.0, {"loss": 1.0}, "steps"),
        (1, {"loss": "1.0"}, "values.loss"),
        (1, {"loss": None}, "values.loss"),
        (1, {"loss": 1.0, "b": True}, "values.b"),
        (1, {"a b": 1.0}, "values.a b"),
    ],
)
def test_what_is_no_point_is_refused_at_once(trial: Trial, step: Any, values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        trial.report(step, values)
    assert [error.field for error in refused.value.fields] == [field]


@pytest.mark.parametrize(
    "fault", [LOST_REQUEST, Fault(503), Fault(500), Fault(404, body=b"<html>")], ids=lambda fault: str(fault.status)
)
def test_while_the_service_is_away_points_are_kept(
    trial: Trial, faulty: Faulty, answers: Answers, fault: Fault
) -> None:
    answers.now = fault
    for step in range(500):
        trial.report(step, loss=float(step))
    eventually(lambda: len(faulty.calls(":report")) >= 3)
    for step in range(500, 1000):
        trial.report(step, loss=float(step))
    assert not trial.should_stop
    answers.now = answer()
    trial.tell(loss=1.0)
    assert points(faulty) == [(step, {"loss": float(step)}) for step in range(1000)]
    # Each batch was sent as it was, under its own key.
    bodies: dict[str, set[bytes]] = {}
    for seen in faulty.calls(":report"):
        bodies.setdefault(seen.key, set()).add(seen.body)
    assert all(len(sent) == 1 for sent in bodies.values())
    assert len(bodies) < len(faulty.calls(":report"))


def test_the_result_comes_after_the_reports(trial: Trial, faulty: Faulty) -> None:
    trial.report(1, loss=0.5)
    trial.tell(loss=0.5)
    verbs = [seen.path.rpartition(":")[2] for seen in faulty.seen if seen.method == "POST"]
    assert verbs[-2:] == ["report", "tell"]
    trial.report(2, loss=0.25)
    time.sleep(0.2)
    assert len(faulty.calls(":report")) == 1


def test_a_pruned_loop_tells_pruned(trial: Trial, answers: Answers) -> None:
    answers.now = answer(should_stop=True, reason="worse than the median at step 1")
    for step in trial.range():
        trial.report(step, loss=1.0)
        trial.flush()
        if trial.should_stop:
            break
    assert step == 1
    assert trial.stop_reason == "worse than the median at step 1"
    told = trial.tell(loss=1.0)
    assert (told.state, told.reason) == ("pruned", "worse than the median at step 1")


def test_a_loop_that_ran_all_its_steps_is_complete(trial: Trial, answers: Answers) -> None:
    answers.now = answer(should_stop=True, reason="too late")
    for step in trial.range():
        if step == trial.steps:
            trial.report(step, loss=1.0)
    trial.flush()
    assert trial.should_stop
    assert trial.tell(loss=1.0).state == "complete"


def test_a_loop_that_never_looked_is_complete(trial: Trial, answers: Answers) -> None:
    answers.now = answer(should_stop=True, reason="worse")
    trial.report(1, loss=1.0)
    trial.flush()
    assert trial.tell(loss=1.0).state == "complete"


def test_the_state_may_be_said(trial: Trial) -> None:
    told = trial.tell(state="pruned", reason="my own", loss=1.0)
    assert (told.state, told.reason) == ("pruned", "my own")


@pytest.mark.parametrize(("value", "word"), [(math.nan, "NaN"), (math.inf, "Infinity")])
def test_a_diverged_loop_stops_at_once_and_is_complete(trial: Trial, value: float, word: str) -> None:
    trial.report(4, accuracy=math.nan)
    assert not trial.should_stop
    trial.report(5, loss=value)
    assert trial.should_stop
    assert trial.stop_reason == f"loss is {word} at step 5"
    told = trial.tell(loss=value)
    assert (told.state, told.reason) == ("complete", None)


def test_a_trial_that_the_service_finds_diverging_is_complete(trial: Trial, answers: Answers) -> None:
    answers.now = answer(should_stop=True, reason="Diverging since step 0: …", verdict="diverged", advice="Try half.")
    trial.report(1, loss=1e9)
    trial.flush()
    assert trial.should_stop
    assert (trial.stop_reason, trial.verdict, trial.advice) == ("Diverging since step 0: …", "diverged", "Try half.")
    told = trial.tell(loss=1e9)
    assert (told.state, told.reason) == ("complete", None)


def test_the_verdict_so_far_comes_with_each_report(faulty: Faulty) -> None:
    with Client(faulty.url, patience=20, report_every=0.05) as client:
        [trial] = client.study("s", learning_rate=0.1, steps=(1000, 1000), sampler="random").ask()
        assert trial.verdict is None
        for step in range(300):
            trial.report(step, loss=1.0 - step / 1000)
        trial.flush()
        assert trial.verdict == "too_slow"
        assert trial.advice is not None
        told = trial.tell(loss=0.7)
        assert (told.verdict, told.advice) == ("too_slow", trial.advice)


def test_diverging_trials_may_be_let_on(faulty: Faulty) -> None:
    with Client(faulty.url, patience=20) as client:
        study = client.study("s", learning_rate=0.1, sampler="random", stop_diverging=False)
        [trial] = study.ask()
        trial.report(1, loss=math.nan)
        trial.flush()
        assert (trial.should_stop, trial.verdict) == (False, "diverged")
        with pytest.raises(StudyExists, match="stop_diverging"):
            client.study("s", learning_rate=0.1, sampler="random", stop_diverging=True)


@pytest.mark.parametrize("code", ["lease_lost", "trial_state", "already_told", "trial_not_found", "study_not_found"])
def test_a_lost_lease_says_stop(trial: Trial, faulty: Faulty, answers: Answers, code: str) -> None:
    answers.now = refusal(404 if "found" in code else 409, code, "somebody else has it")
    trial.report(1, loss=1.0)
    eventually(lambda: trial.should_stop)
    assert trial.lease_lost
    assert trial.stop_reason == "lease lost: somebody else has it"
    sent = len(faulty.calls(":report"))
    trial.report(2, loss=1.0)
    time.sleep(0.2)
    assert len(faulty.calls(":report")) == sent


def test_a_lost_lease_is_told_at_tell(trial: Trial, faulty: Faulty, answers: Answers) -> None:
    answers.now = refusal(409, "lease_lost", "attempt 2 has begun")
    trial.report(1, loss=1.0)
    faulty.plan = lambda method, path: refusal(409, "lease_lost", "attempt 2 has begun")
    with pytest.raises(LeaseLost, match="attempt 2 has begun"):
        trial.tell(loss=1.0)


def test_a_refused_batch_is_said_at_the_next_report(
    trial: Trial, faulty: Faulty, answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    answers.now = refusal(422, "invalid_input", "no such metric")
    trial.report(1, loss=1.0)
    eventually(lambda: "no such metric" in caplog.text)
    answers.now = answer()
    with pytest.raises(InvalidInput, match="no such metric"):
        trial.report(2, loss=1.0)
    trial.report(3, loss=1.0)
    assert trial.tell(loss=1.0).state == "complete"
    assert points(faulty) == [(3, {"loss": 1.0})]


def test_points_of_many_threads_all_arrive(trial: Trial, faulty: Faulty) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def run(first: int) -> None:
        for step in range(first, first + 2000):
            trial.report(step, loss=float(step))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(0, 8000, 2000)))
    trial.tell(loss=1.0)
    assert sorted(points(faulty), key=lambda point: point[0]) == [(s, {"loss": float(s)}) for s in range(8000)]
