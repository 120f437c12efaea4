"""The front, the table of rates and steps, the landscape and previews over HTTP."""

from typing import Any

import httpx
import pytest

from tests.api.requests import external, fields, problem, registered, strict

STUDY = "/v1/studies/resnet"
ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def trained(client: httpx.Client, losses: list[Any], **changes: Any) -> None:
    """A study with one complete trial that has this curve."""
    client.post("/v1/studies", json=external(**changes))
    client.post(f"{STUDY}/trials", json={"parameters": {"learning_rate": 0.1, "steps": len(losses)}})
    client.post(f"{STUDY}/trials:ask")
    steps = list(range(1, len(losses) + 1))
    client.post(f"{STUDY}/trials/0:report", json={"attempt": 1, "steps": steps, "values": {"loss": losses}})
    told = {"attempt": 1, "state": "complete", "values": {"loss": losses[-1]}}
    assert client.post(f"{STUDY}/trials/0:tell", json=told).status_code == 200


def test_the_fewest_steps_to_a_target(client: httpx.Client) -> None:
    goal = {"minimize": "steps", "until": {"loss": 1}}
    trained(client, [4.0, 2.0, 1.0, 0.5], goal=goal)
    best = strict(client.get(f"{STUDY}/best"))
    assert best["objective_value"] == 3
    study = strict(client.get(STUDY))
    assert study["definition"]["goal"] == {"minimize": "steps", "until": {"loss": 1.0}}
    assert study["best"] == best
    assert client.get("/studies/resnet").text.count("steps to loss 1") == 1


def test_a_target_that_nobody_reaches(client: httpx.Client) -> None:
    trained(client, [4.0, "NaN"], goal={"minimize": "steps", "until": {"loss": 1}})
    assert strict(client.get(f"{STUDY}/trials/0"))["objective_value"] is None
    assert problem(client.get(f"{STUDY}/best"))["code"] == "no_result"
    assert "not reached" in client.get("/studies/resnet").text


def test_a_trade_off_has_a_front_and_no_best(client: httpx.Client) -> None:
    trained(client, [4.0, 5.0, 1.0, "Infinity"], goal={"minimize": ["steps", "loss"]})
    found = strict(client.get(f"{STUDY}/pareto"))
    parameters = {"learning_rate": 0.1, "steps": 4}
    assert found == {
        "metric": "loss",
        "direction": "minimize",
        "points": [
            {"number": 0, "steps": 1, "value": 4.0, "parameters": parameters},
            {"number": 0, "steps": 3, "value": 1.0, "parameters": parameters},
        ],
        "points_in_all": 2,
        "trials": 1,
        "finished": 1,
    }
    refused = client.get(f"{STUDY}/best")
    assert (refused.status_code, problem(refused)["code"]) == (404, "no_single_best")
    assert "pareto" in client.get("/studies/resnet").text
    assert client.get("/").status_code == 200
    assert client.get("/problems/no_single_best").status_code == 200


def test_the_table_of_rates_and_steps(client: httpx.Client) -> None:
    trained(client, [4.0, 5.0, 1.0, "Infinity"])
    found = strict(client.get(f"{STUDY}/analysis/surface"))
    assert (found["rates"], found["steps"]) == ([0.1], [1, 2, 3, 4])
    assert found["values"] == [[4.0], [5.0], [1.0], ["Infinity"]]
    within = strict(client.get(f"{STUDY}/analysis/surface?within=true&resolution=2"))
    assert (within["steps"], within["values"]) == ([1, 4], [[4.0], [1.0]])


def test_a_landscape(client: httpx.Client) -> None:
    client.post("/v1/studies", json=registered())
    for rate in (0.1, 0.5):
        client.post("/v1/studies/line-fit/trials", json={"parameters": {"learning_rate": rate, "steps": 10}})
    address = "/v1/studies/line-fit/analysis/landscape"
    found = strict(client.get(f"{address}?trials=1,0&resolution=4"))
    assert found["objective"] == "line_fit"
    assert [path["number"] for path in found["paths"]] == [1, 0]
    assert [(axis["label"], len(axis["values"])) for axis in found["axes"]] == [("w", 4), ("b", 4)]
    assert [len(row) for row in found["values"]] == [4] * 4
    assert found["gradient_evaluations"] == 2 * 11 + 16
    assert strict(client.get(f"{address}?trials=1&trials=0&resolution=4")) == found
    assert problem(client.get(address))["code"] == "no_result"


def test_an_external_study_has_no_landscape(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    refused = client.get(f"{STUDY}/analysis/landscape?trials=0")
    assert (refused.status_code, problem(refused)["code"]) == (409, "external_study")


@ONE_BACKEND
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("pareto?max_points=1", "max_points"),
        ("pareto?max_points=many", "max_points"),
        ("pareto?most=3", "most"),
        ("analysis/surface?resolution=1000", "resolution"),
        ("analysis/surface?parameter=momentum", "parameter"),
        ("analysis/surface?parameter=%00", "parameter"),
        ("analysis/surface?within=perhaps", "within"),
        ("analysis/landscape?trials=", "trials"),
        ("analysis/landscape?trials=one", "trials"),
        ("analysis/landscape?trials=-1", "trials"),
        ("analysis/landscape?trials=99999999999", "trials"),
        ("analysis/landscape?trials=0,1,2,3,4,5,6,7,8", "trials"),
        ("analysis/landscape?trials=5", "trials"),
        ("analysis/landscape?trials=0&resolution=1", "resolution"),
        ("analysis/landscape?trials=0&resolution=102", "resolution"),
    ],
)
def test_what_cannot_be_asked_is_named(client: httpx.Client, query: str, field: str) -> None:
    client.post("/v1/studies", json=registered())
    client.post("/v1/studies/line-fit/trials", json={"parameters": {"learning_rate": 0.1, "steps": 3}})
    client.post("/v1/studies/line-fit/trials:ask")
    told = {"attempt": 1, "state": "complete", "values": {"loss": 1}}
    client.post("/v1/studies/line-fit/trials/0:tell", json=told)
    refused = client.get(f"/v1/studies/line-fit/{query}")
    assert (refused.status_code, fields(refused)) == (422, [field])


@ONE_BACKEND
def test_which_parameters_decide(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    assert problem(client.get(f"{STUDY}/analysis/importance"))["code"] == "no_result"
    leases = strict(client.post(f"{STUDY}/trials:ask", json={"count": 30}))["trials"]
    results = [
        {"number": one["number"], "attempt": 1, "state": "complete", "values": {"loss": one["parameters"]["steps"]}}
        for one in leases
    ]
    client.post(f"{STUDY}/trials:tell", json={"results": results})
    found = strict(client.get(f"{STUDY}/analysis/importance"))
    assert found["parameters"][0]["name"] == "steps"
    assert (found["quantile"], found["trials"]) == (0.1, 30)


@pytest.mark.parametrize("path", ["pareto", "analysis/surface", "analysis/landscape", "analysis/importance"])
@ONE_BACKEND
def test_of_a_study_that_is_none_there_is_nothing(client: httpx.Client, path: str) -> None:
    assert problem(client.get(f"/v1/studies/nothing/{path}"))["code"] == "study_not_found"


@ONE_BACKEND
def test_rates_can_be_tried(client: httpx.Client) -> None:
    body = {"settings": {"seed": 5}, "learning_rates": [0.1, 0.9, 10], "steps": 200, "resolution": 5}
    found = strict(client.post("/v1/objectives/line_fit:preview", json=body))
    slow, jumping, leaving = found["paths"]
    assert slow["coordinates"][-1] == pytest.approx([0.133, 0.483], abs=5e-4)
    assert jumping["coordinates"][1] == pytest.approx([1.47, 1.80], abs=5e-3)
    assert leaving["outcome"] == "left_finite_numbers"
    assert len(found["values"]) == 5
    assert strict(client.get("/v1/studies"))["studies"] == []


@ONE_BACKEND
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"learning_rates": []}, "learning_rates"),
        ({"learning_rates": [0.1] * 9}, "learning_rates"),
        ({"learning_rates": [0.1, -1]}, "learning_rates.1"),
        ({"learning_rates": ["NaN"]}, "learning_rates.0"),
        ({"steps": 0}, "steps"),
        ({"steps": 10**6}, "steps"),
        ({"resolution": 500}, "resolution"),
        ({"update_rule": "adamw"}, "update_rule"),
        ({"momentum": 0.9}, "momentum"),
        ({"update_rule": "heavy_ball", "momentum": 1}, "momentum"),
        ({"settings": {"sead": 1}}, "settings.sead"),
        ({"initial_seed": -1}, "initial_seed"),
    ],
    ids=str,
)
def test_what_cannot_be_tried_is_named(client: httpx.Client, changes: dict[str, Any], field: str) -> None:
    refused = client.post("/v1/objectives/line_fit:preview", json={"learning_rates": [0.1], **changes})
    assert (refused.status_code, fields(refused)) == (422, [field])


@ONE_BACKEND
def test_an_objective_that_is_none_is_not_found(client: httpx.Client) -> None:
    refused = client.post("/v1/objectives/nothing:preview", json={"learning_rates": [0.1]})
    assert (refused.status_code, problem(refused)["code"]) == (404, "objective_not_found")


@ONE_BACKEND
def test_rates_can_be_left_to_the_service(client: httpx.Client) -> None:
    found = strict(client.post("/v1/objectives/line_fit:preview", json={"steps": 40, "resolution": None}))
    assert found["limit"] == pytest.approx(0.7755, abs=5e-5)
    assert [path["verdict"] for path in found["paths"]] == ["converged", "too_slow", "too_slow", "diverged"]
    assert found["values"] == []
    refused = client.post("/v1/objectives/line_fit:preview", json={"update_rule": "adam"})
    assert (refused.status_code, fields(refused)) == (422, ["learning_rates"])
