"""Trials over HTTP: asked, told, held, given back, read; and the budget, which nobody passes."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from tests.api.requests import external, fields, post_raw, problem, registered, strict
from tuner.service import ask as asking
from tuner.service import tell as telling
from tuner.service.report import NewPoints
from tuner.service.tell import Ending
from tuner.storage.database import Database

STUDY = "/v1/studies/resnet"


def ask(client: httpx.Client, count: int = 1, **changes: Any) -> list[dict[str, Any]]:
    response = client.post(f"{STUDY}/trials:ask", json={"count": count, **changes})
    assert response.status_code == 200, response.text
    trials: list[dict[str, Any]] = strict(response)["trials"]
    return trials


def tell(client: httpx.Client, number: int, **changes: Any) -> httpx.Response:
    body = {"attempt": 1, "state": "complete", "values": {"loss": 0.5}, **changes}
    return client.post(f"{STUDY}/trials/{number}:tell", json=body)


def test_a_client_asks_and_tells(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external(budget={"trials": 3}))
    leases = ask(client, 5, worker="gpu-1", lease_seconds=30)
    assert [(lease["number"], lease["attempt"]) for lease in leases] == [(0, 1), (1, 1), (2, 1)]
    assert all(1e-4 <= lease["parameters"]["learning_rate"] <= 1 for lease in leases)
    assert all(1 <= lease["parameters"]["steps"] <= 200 for lease in leases)
    for number, loss in enumerate([0.5, "NaN", 0.25]):
        told = strict(tell(client, number, values={"loss": loss, "accuracy": "-Infinity"}))
        assert (told["state"], told["values"]) == ("complete", {"loss": loss, "accuracy": "-Infinity"})
    study = strict(client.get(STUDY))
    assert (study["state"], study["trials"]["complete"]) == ("completed", 3)
    assert study["best"] == strict(client.get(f"{STUDY}/best")) == strict(client.get(f"{STUDY}/trials/2"))
    assert study["best"]["worker"] == "gpu-1"


@pytest.mark.parametrize("loss", ["NaN", "Infinity", "-Infinity"])
def test_losses_that_are_not_finite_are_data_and_never_the_best(client: httpx.Client, loss: str) -> None:
    client.post("/v1/studies", json=external())
    ask(client, 2)
    assert strict(tell(client, 0, values={"loss": loss}))["values"] == {"loss": loss}
    response = client.get(f"{STUDY}/best")
    assert (response.status_code, problem(response)["code"]) == (404, "no_result")
    tell(client, 1)
    assert strict(client.get(f"{STUDY}/best"))["number"] == 1
    assert [trial["values"] for trial in strict(client.get(f"{STUDY}/trials"))["trials"]] == [
        {"loss": loss},
        {"loss": 0.5},
    ]


@pytest.mark.parametrize("value", ["nan", "1", True, None, [0.1], {"a": 1}, 10**400, "inf", ""])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_is_no_loss_is_refused_and_changes_nothing(client: httpx.Client, value: Any) -> None:
    client.post("/v1/studies", json=external())
    ask(client)
    response = tell(client, 0, values={"loss": value})
    assert (response.status_code, fields(response)) == (422, ["values.loss"])
    assert strict(client.get(f"{STUDY}/trials/0"))["state"] == "running"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_bare_nan_is_no_json(client: httpx.Client, text: str) -> None:
    body = f'{{"attempt": 1, "state": "complete", "values": {{"loss": {text}}}}}'
    response = post_raw(client, f"{STUDY}/trials/0:tell", body)
    assert (response.status_code, fields(response)) == (422, ["values.loss"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"attempt": 0}, "attempt"),
        ({"attempt": 2**31}, "attempt"),
        ({"attempt": True}, "attempt"),
        ({"state": "running"}, "state"),
        ({"values": {"bad name": 1}}, "values.bad name"),
        ({"values": {f"m{index}": 1 for index in range(101)}}, "values"),
        ({"values": {"accuracy": 1}}, "values.loss"),
        ({"reason": "a\0b"}, "reason"),
        ({"reason": "a" * 10_001}, "reason"),
        ({"verdict": "good"}, "verdict"),
    ],
)
def test_a_bad_result_names_the_field(client: httpx.Client, changes: dict[str, Any], field: str) -> None:
    client.post("/v1/studies", json=external())
    ask(client)
    response = tell(client, 0, **changes)
    assert (response.status_code, fields(response)) == (422, [field])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"count": 0}, "count"),
        ({"count": 1001}, "count"),
        ({"count": 1.0}, "count"),
        ({"lease_seconds": 0.5}, "lease_seconds"),
        ({"lease_seconds": 86_401}, "lease_seconds"),
        ({"worker": "a" * 201}, "worker"),
        ({"worker": "a\0"}, "worker"),
        ({"counts": 1}, "counts"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_bad_ask_names_the_field(client: httpx.Client, body: dict[str, Any], field: str) -> None:
    client.post("/v1/studies", json=external())
    response = client.post(f"{STUDY}/trials:ask", json=body)
    assert (response.status_code, fields(response)) == (422, [field])
    assert strict(client.get(f"{STUDY}/trials"))["trials"] == []


def test_the_same_result_again_is_the_first_answer_and_another_is_409(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    ask(client)
    first = tell(client, 0, values={"loss": "NaN"})
    again = tell(client, 0, values={"loss": "NaN"})
    assert (again.status_code, strict(again)) == (200, strict(first))
    for changes in ({"values": {"loss": 0.1}}, {"values": {"loss": "NaN"}, "state": "failed"}):
        other = tell(client, 0, **changes)
        assert (other.status_code, problem(other)["code"]) == (409, "already_told")
    assert strict(client.get(f"{STUDY}/trials/0")) == strict(first)


def test_an_attempt_that_does_not_hold_the_trial_changes_nothing(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    ask(client)
    before = client.get(f"{STUDY}/trials/0").content
    for response in (
        tell(client, 0, attempt=2),
        client.post(f"{STUDY}/trials/0:heartbeat", json={"attempt": 2}),
        client.post(f"{STUDY}/trials/0:release", json={"attempt": 2}),
    ):
        assert (response.status_code, problem(response)["code"]) == (409, "lease_lost")
    assert client.get(f"{STUDY}/trials/0").content == before


def test_results_told_at_once_are_judged_one_by_one(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    ask(client, 4)
    tell(client, 3)

    def result(number: int, **changes: Any) -> dict[str, Any]:
        return {"number": number, "attempt": 1, "state": "complete", "values": {"loss": 1}, **changes}

    told = client.post(
        f"{STUDY}/trials:tell",
        json={
            "results": [
                result(0),
                result(1, attempt=7),
                result(2, values={}),
                result(3),
                result(99),
                result(0, values={"loss": 2}),
            ]
        },
    )
    assert told.status_code == 200
    assert [(each["number"], each["status"], each["code"]) for each in strict(told)["results"]] == [
        (0, 200, None),
        (1, 409, "lease_lost"),
        (2, 422, "invalid_input"),
        (3, 409, "already_told"),
        (99, 404, "trial_not_found"),
        (0, 409, "already_told"),
    ]
    assert strict(client.get(STUDY))["trials"] == {"waiting": 0, "running": 2, "complete": 2, "failed": 0, "pruned": 0}


@pytest.mark.parametrize("results", [[], [{"number": -1, "attempt": 1, "state": "failed"}], "x", None, [1]])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_results_that_are_none_are_refused_whole(client: httpx.Client, results: Any) -> None:
    client.post("/v1/studies", json=external())
    response = client.post(f"{STUDY}/trials:tell", json={"results": results})
    assert response.status_code == 422
    assert fields(response)[0].startswith("results")


def test_a_released_trial_is_given_out_again_under_its_number(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    [lease] = ask(client)
    renewed = client.post(f"{STUDY}/trials/0:heartbeat", json={"attempt": 1})
    assert strict(renewed)["lease_expires_at"] > lease["lease_expires_at"]
    released = strict(client.post(f"{STUDY}/trials/0:release", json={"attempt": 1}))
    assert (released["state"], released["worker"]) == ("waiting", None)
    [again] = ask(client)
    assert (again["number"], again["attempt"], again["parameters"]) == (0, 2, lease["parameters"])


def test_a_chosen_point_is_run_before_the_sampler_goes_on(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    chosen = {"learning_rate": 0.125, "steps": 7}
    response = client.post(f"{STUDY}/trials", json={"parameters": chosen})
    assert (response.status_code, response.headers["location"]) == (201, f"{STUDY}/trials/0")
    assert strict(response)["state"] == "waiting"
    assert strict(client.get(response.headers["location"])) == strict(response)
    assert [lease["parameters"] == chosen for lease in ask(client, 2)] == [True, False]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"learning_rate": 2.0, "steps": 7}, "parameters.learning_rate"),
        ({"learning_rate": 0.1, "steps": 7.5}, "parameters.steps"),
        ({"learning_rate": 0.1, "steps": True}, "parameters.steps"),
        ({"learning_rate": "NaN", "steps": 7}, "parameters.learning_rate"),
        ({"learning_rate": {"a": []}, "steps": 7}, "parameters.learning_rate"),
        ({"learning_rate": 0.1}, "parameters.steps"),
        ({"learning_rate": 0.1, "steps": 7, "a\0": 1}, "parameters.a\0"),
        (None, "parameters"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_point_outside_the_search_space_names_the_parameter(
    client: httpx.Client, parameters: Any, field: str
) -> None:
    client.post("/v1/studies", json=external())
    response = client.post(f"{STUDY}/trials", json={"parameters": parameters})
    assert (response.status_code, fields(response)) == (422, [field])
    assert strict(client.get(f"{STUDY}/trials"))["trials"] == []


def test_pages_walk_every_trial_once_by_number(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    ask(client, 10)
    for number in (1, 4, 8):
        tell(client, number)

    def walk(**query: Any) -> list[int]:
        seen: list[int] = []
        token = None
        while True:
            params = {"page_size": 2, **query, **({"page_token": token} if token else {})}
            page = strict(client.get(f"{STUDY}/trials", params=params))
            seen += [trial["number"] for trial in page["trials"]]
            token = page["next_page_token"]
            if token is None:
                return seen

    assert walk() == list(range(10))
    assert walk(state="complete") == [1, 4, 8]
    assert walk(state=["complete", "running"]) == list(range(10))
    assert walk(state="pruned") == []


@pytest.mark.parametrize("query", ["page_token=2147483648", "page_token=99999999999999999999", "page_token=-1"])
def test_a_token_that_no_list_gave_out_is_refused(client: httpx.Client, query: str) -> None:
    client.post("/v1/studies", json=external())
    response = client.get(f"{STUDY}/trials?{query}")
    assert (response.status_code, fields(response)) == (422, ["page_token"])


@pytest.mark.parametrize("number", ["x", "-1", "1.0", "2147483648", "9" * 30, "%00", "0x1", "%D9%A3"])
def test_what_numbers_no_trial_is_404(client: httpx.Client, number: str) -> None:
    client.post("/v1/studies", json=external())
    for method, verb in [
        ("GET", ""),
        ("GET", "/curve"),
        ("POST", ":tell"),
        ("POST", ":heartbeat"),
        ("POST", ":release"),
    ]:
        body: dict[str, Any] = {} if method == "GET" else {"json": {"attempt": 1}}
        if verb == ":tell":
            body["json"]["state"] = "failed"
        response = client.request(method, f"{STUDY}/trials/{number}{verb}", **body)
        assert (response.status_code, problem(response)["code"]) == (404, "trial_not_found"), (method, verb)


def test_a_curve_is_shown_by_few_points_and_keeps_its_ends_and_extremes(
    client: httpx.Client, database: Database
) -> None:
    client.post("/v1/studies", json=registered())
    [lease] = asking.ask(database, "line-fit").trials
    losses = np.cos(np.arange(5001) / 50) + 2
    losses[2500], losses[-1] = 9, math.nan
    curve = NewPoints("loss", np.arange(5001), losses)
    telling.tell(
        database, "line-fit", [Ending(lease.number, lease.attempt, "complete", {"loss": math.nan}, curves=[curve])]
    )
    address = f"/v1/studies/line-fit/trials/{lease.number}/curve"
    shown = strict(client.get(address, params={"max_points": 50}))["curves"]["loss"]
    assert len(shown["steps"]) == len(shown["values"]) <= 50
    assert (shown["points"], shown["steps"][0], shown["steps"][-1], shown["values"][-1]) == (5001, 0, 5000, "NaN")
    assert 9 in shown["values"]
    whole = strict(client.get(address, params={"max_points": 5001}))["curves"]["loss"]
    assert whole["values"][:-1] == losses[:-1].tolist()
    for points in (9, 100_001, "x"):
        assert fields(client.get(address, params={"max_points": points})) == ["max_points"]


def test_eight_clients_at_once_never_pass_the_budget(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external(budget={"trials": 30}))

    def run(_: int) -> list[int]:
        numbers: list[int] = []
        while leases := ask(client, 2):
            for lease in leases:
                assert tell(client, lease["number"]).status_code == 200
                numbers.append(lease["number"])
        return numbers

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(run, range(8)))
    assert sorted(number for numbers in runs for number in numbers) == list(range(30))
    study = strict(client.get(STUDY))
    assert (study["state"], study["spent"]["trials"], study["trials"]["complete"]) == ("completed", 30, 30)
