"""Bad definitions are refused whole, with the field named, and leave nothing behind."""

import json
from typing import Any

import httpx
import pytest

from tests.api.requests import SPACE, external, fields, post_raw, problem, registered, strict


def rate(**changes: Any) -> dict[str, Any]:
    return {"search_space": {**SPACE, "learning_rate": {**SPACE["learning_rate"], **changes}}}


def steps(**changes: Any) -> dict[str, Any]:
    return {"search_space": {**SPACE, "steps": {**SPACE["steps"], **changes}}}


BAD = {
    "low above high": (rate(low=2.0), "search_space.learning_rate.low"),
    "log range touching zero": (rate(low=0.0), "search_space.learning_rate.low"),
    "steps below one": (steps(low=0), "search_space.steps.low"),
    "fractional steps": (steps(low=1.5), "search_space.steps.low"),
    "steps as floats": (steps(type="float"), "search_space.steps.type"),
    "bound missing": (
        {"search_space": {**SPACE, "learning_rate": {"type": "float", "low": 0.1}}},
        "search_space.learning_rate.high",
    ),
    "kind missing": ({"search_space": {"learning_rate": {"low": 1, "high": 2}}}, "search_space.learning_rate.type"),
    "kind unknown": (rate(type="complex"), "search_space.learning_rate.type"),
    "parameter is a number": ({"search_space": {"learning_rate": 0.1}}, "search_space.learning_rate"),
    "parameter missing": ({"search_space": {"steps": SPACE["steps"]}}, "search_space.learning_rate"),
    "parameter unknown": ({"search_space": {**SPACE, "warmth": SPACE["steps"]}}, "search_space.warmth"),
    "no search space": ({"search_space": {}}, "search_space"),
    "unknown objective": ({"objective": {"name": "line_fitt"}}, "objective.name"),
    "unknown setting": ({"objective": {"name": "line_fit", "settings": {"sed": 5}}}, "objective.settings.sed"),
    "setting of a wrong type": (
        {"objective": {"name": "line_fit", "settings": {"seed": "5"}}},
        "objective.settings.seed",
    ),
    "unknown sampler": ({"sampler": {"name": "tpee"}}, "sampler.name"),
    "unknown sampler setting": ({"sampler": {"name": "tpe", "settings": {"warp": 1}}}, "sampler.settings.warp"),
    "unknown field": ({"budjet": {"trials": 1}}, "budjet"),
    "name in capitals": ({"name": "Line-Fit"}, "name"),
    "name with a newline at its end": ({"name": "line-fit\n"}, "name"),
    "name too long": ({"name": "a" * 101}, "name"),
    "name with a NUL": ({"name": "line\0fit"}, "name"),
    "true for a number": (rate(low=True), "search_space.learning_rate.low"),
    "text for a number": (rate(low="0.1"), "search_space.learning_rate.low"),
    "infinity as text": (rate(high="Infinity"), "search_space.learning_rate.high"),
    "a bound of 1e30": (rate(high=1e30), "search_space.learning_rate.high"),
    "steps of 10**30": (steps(high=10**30), "search_space.steps.high"),
    "a bound of 10**400": (rate(high=10**400), "search_space.learning_rate.high"),
    "a seed of 10**30": ({"sampler": {"name": "random", "seed": 10**30}}, "sampler.seed"),
    "notes with a NUL": ({"notes": "a\0b"}, "notes"),
    "tag with a NUL": ({"tags": ["a\0b"]}, "tags.0"),
    "tag too long": ({"tags": ["ok", "a" * 65]}, "tags.1"),
    "no choices": (
        {"search_space": {**SPACE, "update_rule": {"type": "categorical", "choices": []}}},
        "search_space.update_rule.choices",
    ),
    "unknown update rule": (
        {"search_space": {**SPACE, "update_rule": {"type": "categorical", "choices": ["adamm"]}}},
        "search_space.update_rule",
    ),
    "budget of no trials": ({"budget": {"trials": 0}}, "budget.trials"),
    "budget of no time": ({"budget": {"seconds": 0}}, "budget.seconds"),
    "budget below one run": ({"budget": {"gradient_evaluations": 1}}, "budget.gradient_evaluations"),
    "metric that is not measured": ({"goal": {"minimize": "accuracy"}}, "goal.minimize"),
    "two goals": ({"goal": {"minimize": "loss", "maximize": "loss"}}, "goal.minimize"),
    "pruner": ({"pruner": {"name": "median"}}, "pruner"),
}


@pytest.mark.parametrize(("changes", "field"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_it_is_refused_with_the_field_named(client: httpx.Client, changes: dict[str, Any], field: str) -> None:
    response = client.post("/v1/studies", json={**registered(), **changes})
    assert response.status_code == 422, response.text
    assert problem(response)["code"] == "invalid_input"
    assert field in fields(response)
    assert strict(client.get("/v1/studies"))["studies"] == []


def test_nothing_of_a_refused_definition_is_stored(client: httpx.Client) -> None:
    for changes, _ in BAD.values():
        assert client.post("/v1/studies", json={**registered(), **changes}).status_code == 422
    assert strict(client.get("/v1/studies"))["studies"] == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_each_wrong_field_is_named_once(client: httpx.Client) -> None:
    body = registered(name="A", tags=[1], search_space={"x": {"type": "categorical", "choices": [None, [], {}]}})
    named = fields(client.post("/v1/studies", json=body))
    assert sorted(named) == ["name", *(f"search_space.x.choices.{index}" for index in range(3)), "tags.0"]


DOCUMENT = json.dumps(registered())
NOT_JSON = {
    "nothing closed": DOCUMENT[:-1],
    "no document": "}",
    "two documents": DOCUMENT * 2,
    "not UTF-8": DOCUMENT.encode("utf-16"),
    "100,000 brackets": "[" * 100_000,
    "100,000 closed brackets": "[" * 100_000 + "]" * 100_000,
    "nested in a setting": DOCUMENT.replace('"seed": 5', '"seed": ' + '{"a":' * 200 + "1" + "}" * 200),
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_is_no_json_is_400_and_names_the_body(client: httpx.Client, body: bytes | str) -> None:
    response = post_raw(client, "/v1/studies", body)
    assert (response.status_code, problem(response)["code"]) == (400, "malformed_request")
    assert fields(response) == ["body"]


UNREADABLE = {
    "NaN": ('"low": NaN', "search_space.learning_rate.low"),
    "Infinity": ('"low": -Infinity', "search_space.learning_rate.low"),
    "1e999": ('"low": 1e999', "search_space.learning_rate.low"),
    "5,000 digits": (f'"low": {"9" * 5000}', "search_space.learning_rate.low"),
    "half a surrogate pair": ('"low": "\\ud800"', "search_space.learning_rate.low"),
    "half a surrogate pair as a key": ('"\\ud800": 1', "search_space.learning_rate"),
}


@pytest.mark.parametrize(("text", "field"), UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_json_or_text_cannot_hold_is_named_where_it_stands(client: httpx.Client, text: str, field: str) -> None:
    body = DOCUMENT.replace('"low": 0.0001', text)
    assert body != DOCUMENT
    response = post_raw(client, "/v1/studies", body)
    assert response.status_code == 422
    assert field in fields(response)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_nan_in_a_free_setting_is_named_too(client: httpx.Client) -> None:
    response = post_raw(client, "/v1/studies", DOCUMENT.replace('"seed": 5', '"seed": NaN'))
    assert response.status_code == 422
    assert fields(response) == ["objective.settings.seed"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_another_content_type_is_415(client: httpx.Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = client.post("/v1/studies", content=DOCUMENT, headers=headers)
    assert (response.status_code, problem(response)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_no_body_is_422_and_names_the_body(client: httpx.Client) -> None:
    response = client.post("/v1/studies")
    assert (response.status_code, fields(response)) == (422, ["body"])


@pytest.mark.parametrize("low", ["few", 0, -3, 10**13, 1.5, True])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_steps_of_an_external_study_count_something(client: httpx.Client, low: Any) -> None:
    body = external(
        search_space={"steps": {"type": "categorical", "choices": [low]}}, budget={"gradient_evaluations": 9}
    )
    response = client.post("/v1/studies", json=body)
    assert (response.status_code, fields(response)) == (422, ["search_space.steps.choices"])


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_word_that_is_no_range_is_answered_with_those_that_are(client: httpx.Client) -> None:
    body = registered(search_space={**registered()["search_space"], "learning_rate": "range-tets"})
    response = client.post("/v1/studies", json=body)
    assert (response.status_code, fields(response)) == (422, ["search_space.learning_rate.type"])
    assert "'range-test'" in response.text
