"""Pruners over HTTP: part of the definition, resolved or refused with the field named."""

from typing import Any

import httpx
import pytest

from tests.api.requests import external, fields, registered, strict


def test_the_answer_holds_the_resolved_pruner(client: httpx.Client) -> None:
    response = client.post("/v1/studies", json=external(pruner={"name": "median"}))
    assert response.status_code == 201
    study = strict(response)
    assert study["definition"]["pruner"] == {
        "name": "median",
        "settings": {"n_startup_trials": 5, "n_warmup_steps": 20, "interval_steps": None},
    }
    again = client.post("/v1/studies", json=external(pruner={"name": "median", "settings": {"n_warmup_steps": 20}}))
    assert again.status_code == 200
    changed = client.patch("/v1/studies/resnet", json={"notes": "longer", "budget": {"trials": 200}})
    assert strict(changed)["definition"]["pruner"] == study["definition"]["pruner"]


@pytest.mark.parametrize(
    ("pruner", "field"),
    [
        ("median", "pruner"),
        ({"name": "mediann"}, "pruner.name"),
        ({"settings": {}}, "pruner.name"),
        ({"name": "median", "seed": 1}, "pruner.seed"),
        ({"name": "median", "settings": {"n_warmup_steps": -1}}, "pruner.settings.n_warmup_steps"),
        ({"name": "asha", "settings": {"reduction_factor": 10**30}}, "pruner.settings.reduction_factor"),
        ({"name": "threshold", "settings": {"upper": "NaN"}}, "pruner.settings.upper"),
        ({"name": "patient", "settings": {"patience": 1, "pruner": {"name": "a\0"}}}, "pruner.settings.pruner.name"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_bad_one_is_refused_with_the_field_named(client: httpx.Client, pruner: Any, field: str) -> None:
    response = client.post("/v1/studies", json=external(pruner=pruner))
    assert response.status_code == 422
    assert set(fields(response)) == {field}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_registered_objective_takes_none(client: httpx.Client) -> None:
    response = client.post("/v1/studies", json=registered(pruner={"name": "asha"}))
    assert response.status_code == 422
    assert set(fields(response)) == {"pruner"}
