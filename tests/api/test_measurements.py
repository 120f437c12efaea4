"""Range tests and stability over HTTP: addresses, statuses, and every refusal with its field."""

from typing import Any

import httpx
import numpy as np
import pytest

from tests.api.requests import SPACE, external, fields, problem, registered, strict

RATES = np.geomspace(1e-5, 1, 40).tolist()
LOSSES = [(np.log10(rate) + 2) ** 2 for rate in RATES]

CURVE = {"rates": RATES, "losses": LOSSES}


def spent(client: httpx.Client, name: str) -> int:
    return int(strict(client.get(f"/v1/studies/{name}"))["spent"]["gradient_evaluations"])


def test_a_range_test_is_run_listed_and_charged(client: httpx.Client) -> None:
    client.post("/v1/studies", json=registered())
    response = client.post("/v1/studies/line-fit/range-tests")
    assert response.status_code == 201
    made = strict(response)
    assert made["source"] == "service"
    assert made["range"]["low"] < 0.7755 < made["range"]["high"]
    assert made["tenth_of_minimum"] == pytest.approx(made["minimum"] / 10)
    assert made["gradient_evaluations"] == len(made["losses"]) + 1 == spent(client, "line-fit")
    narrow = client.post("/v1/studies/line-fit/range-tests", json={"low": 1e-4, "high": 1e-3, "steps": 20})
    assert strict(narrow)["minimum"] is None
    assert "still falls" in strict(narrow)["statement"]
    listed = strict(client.get("/v1/studies/line-fit/range-tests?max_points=10&page_size=1"))
    assert [one["id"] for one in listed["range_tests"]] == [strict(narrow)["id"]]
    assert len(listed["range_tests"][0]["rates"]) <= 10
    more = strict(client.get(f"/v1/studies/line-fit/range-tests?page_token={listed['next_page_token']}"))
    assert more == {"range_tests": [made], "next_page_token": None}


def test_a_curve_is_submitted_or_only_read(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    curve = {"rates": RATES, "losses": [*LOSSES[:-2], "NaN", "Infinity"]}
    made = client.post("/v1/studies/resnet/range-tests", json=curve, headers={"Idempotency-Key": "once"})
    assert made.status_code == 201
    assert strict(made)["minimum"] == pytest.approx(0.01, rel=0.3)
    assert strict(made)["losses"][-2:] == ["NaN", "Infinity"]
    again = client.post("/v1/studies/resnet/range-tests", json=curve, headers={"Idempotency-Key": "once"})
    assert strict(again) == strict(made)
    assert spent(client, "resnet") == 40
    read = client.post("/v1/range-tests:analyse", json=curve)
    assert read.status_code == 200
    assert strict(read) == {name: strict(made)[name] for name in strict(read)}
    assert spent(client, "resnet") == 40


def test_a_study_may_leave_its_range_to_a_test(client: httpx.Client) -> None:
    definition = registered(search_space={**SPACE, "learning_rate": "range-test"})
    created = client.post("/v1/studies", json=definition)
    assert created.status_code == 201
    found = strict(created)["definition"]["search_space"]["learning_rate"]
    [test] = strict(client.get("/v1/studies/line-fit/range-tests"))["range_tests"]
    assert found == {"type": "float", "scale": "log", **test["range"]}
    assert strict(created)["spent"]["gradient_evaluations"] == test["gradient_evaluations"]
    assert client.post("/v1/studies", json=definition).status_code == 200
    assert spent(client, "line-fit") == test["gradient_evaluations"]
    changed = client.patch("/v1/studies/line-fit", json={"notes": "n"})
    assert strict(changed)["definition"]["search_space"]["learning_rate"] == found


def test_stability_is_measured_and_read(client: httpx.Client) -> None:
    client.post("/v1/studies", json=registered())
    client.post("/v1/studies/line-fit/trials", json={"parameters": {"learning_rate": 0.9, "steps": 3}})
    before = strict(client.get("/v1/studies/line-fit/analysis/stability"))
    assert (before["measured"], before["trials"][0]["ratio"]) == (None, None)
    measured = client.post("/v1/studies/line-fit/analysis/stability:measure")
    assert measured.status_code == 200
    assert strict(measured)["at_start"]["largest"] == pytest.approx(2.579, abs=1e-3)
    after = strict(client.get("/v1/studies/line-fit/analysis/stability"))
    assert after["measured"] == strict(measured)
    assert after["limit"] == pytest.approx(0.7755, abs=1e-3)
    assert after["trials"][0]["ratio"] == pytest.approx(0.9 / 0.7755, rel=1e-3)
    assert spent(client, "line-fit") == strict(measured)["gradient_evaluations"]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_objective_is_tested_and_measured_without_a_study(client: httpx.Client) -> None:
    body = {"settings": {"seed": 5}, "parameters": {"update_rule": "heavy_ball", "momentum": 0.5}}
    tested = client.post("/v1/objectives/line_fit:range-test", json=body)
    assert tested.status_code == 200
    assert strict(tested)["parameters"] == body["parameters"]
    assert strict(tested)["minimum"] is not None
    measured = client.post("/v1/objectives/line_fit:stability", json=body)
    assert measured.status_code == 200
    assert strict(measured)["limit"] == pytest.approx(1.5 * 0.7755, abs=2e-3)
    assert client.post("/v1/objectives/line_fit:stability").status_code == 200


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "body", "status", "named"),
    [
        ("studies/line-fit/range-tests", {"low": 1.0, "high": 1.0}, 422, {"low"}),
        ("studies/line-fit/range-tests", {"low": 2.0, "high": 1.0}, 422, {"low"}),
        ("studies/line-fit/range-tests", {"low": 0}, 422, {"low"}),
        ("studies/line-fit/range-tests", {"high": "NaN"}, 422, {"high"}),
        ("studies/line-fit/range-tests", {"steps": 1}, 422, {"steps"}),
        ("studies/line-fit/range-tests", {"steps": 10_001}, 422, {"steps"}),
        ("studies/line-fit/range-tests", {"parameters": {"update_rule": "newton"}}, 422, {"parameters.update_rule"}),
        ("studies/line-fit/range-tests", {"rate": 1}, 422, {"rate"}),
        ("studies/line-fit/range-tests", [], 422, {"body"}),
        ("studies/line-fit/range-tests", {"rates": RATES}, 422, {"losses"}),
        ("studies/line-fit/range-tests", {"losses": LOSSES}, 422, {"rates"}),
        ("studies/line-fit/range-tests", {**CURVE, "low": 1.0}, 422, {"low"}),
        ("studies/resnet/range-tests", {}, 409, set()),
        ("studies/nobody/range-tests", {}, 404, set()),
        ("range-tests:analyse", {"rates": [0.1, 0.2], "losses": [1.0]}, 422, {"losses"}),
        ("range-tests:analyse", {"rates": [0.1, 0.1], "losses": [1.0, 1.0]}, 422, {"rates.1"}),
        ("range-tests:analyse", {"rates": [0.1, "x"], "losses": [1.0, 1.0]}, 422, {"rates.1"}),
        ("range-tests:analyse", {"rates": [0.1, -0.1], "losses": [1.0, 1.0]}, 422, {"rates.1"}),
        ("range-tests:analyse", {"rates": [1.0] * 10_001, "losses": [1.0] * 10_001}, 422, {"rates", "losses"}),
        ("objectives/line_fit:range-test", {"settings": {"seed": "x"}}, 422, {"settings.seed"}),
        ("objectives/line_fit:range-test", {"low": 1.0, "high": 0.5}, 422, {"low"}),
        ("objectives/nothing:range-test", {}, 404, set()),
        ("objectives/line_fit:stability", {"evaluations": 1}, 422, {"evaluations"}),
        ("objectives/line_fit:stability", {"parameters": {"beta1": 0.5}}, 422, {"parameters.beta1"}),
        ("studies/line-fit/analysis/stability:measure", {"points": 99}, 422, {"points"}),
        ("studies/resnet/analysis/stability:measure", {}, 409, set()),
    ],
)
def test_bad_input_is_refused_by_field(
    client: httpx.Client, path: str, body: Any, status: int, named: set[str]
) -> None:
    client.post("/v1/studies", json=registered())
    client.post("/v1/studies", json=external())
    response = client.post(f"/v1/{path}", json=body)
    assert response.status_code == status, response.text
    problem(response)
    assert set(fields(response)) == named
    assert spent(client, "line-fit") == 0


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("learning_rate", "field"),
    [
        ("range-tests", "search_space.learning_rate.type"),
        ({"type": "range-test", "low": 1.0, "high": 1.0}, "search_space.learning_rate.low"),
        ({"type": "range-test", "low": -1.0}, "search_space.learning_rate.low"),
        ({"type": "range-test", "steps": 1}, "search_space.learning_rate.steps"),
        ({"type": "range-test", "scale": "log"}, "search_space.learning_rate.scale"),
        ({"type": "range-test", "high": 1e-4}, "search_space.learning_rate"),
    ],
)
def test_a_range_that_cannot_be_tested_is_refused_by_field(
    client: httpx.Client, learning_rate: Any, field: str
) -> None:
    response = client.post("/v1/studies", json=registered(search_space={**SPACE, "learning_rate": learning_rate}))
    assert response.status_code == 422
    assert set(fields(response)) == {field}
    assert client.get("/v1/studies/line-fit").status_code == 404
