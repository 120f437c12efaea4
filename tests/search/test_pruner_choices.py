"""What a pruner may be told, what is filled in, and what is refused at which field."""

import math
from typing import Any

import pytest

from tests.search.field_of_trials import SPACE, choose
from tuner.errors import InvalidInput
from tuner.search.pruners import PRUNERS
from tuner.search.pruners.registry import PrunerType

NEEDED: dict[str, dict[str, Any]] = {"patient": {"patience": 10}, "threshold": {"upper": 10.0}}


@pytest.mark.parametrize("name", PRUNERS)
def test_a_resolved_choice_resolves_to_itself(name: str) -> None:
    resolved = choose(name, **NEEDED.get(name, {}))
    assert choose(name, **resolved.settings) == resolved
    assert None not in {resolved.settings.get("min_resource", 1), resolved.settings.get("max_resource", 1)}


def test_the_pruner_within_patience_is_resolved_too() -> None:
    resolved = choose("patient", patience=3, pruner={"name": "median"})
    assert resolved.settings == {
        "patience": 3,
        "min_delta": 0.0,
        "pruner": {
            "name": "median",
            "settings": {"n_startup_trials": 5, "n_warmup_steps": 10, "interval_steps": None},
        },
    }


@pytest.mark.parametrize(
    ("name", "settings", "field"),
    [
        ("mediann", {}, "pruner.name"),
        ("median", {"n_startup_trial": 5}, "pruner.settings.n_startup_trial"),
        ("median", {"n_startup_trials": True}, "pruner.settings.n_startup_trials"),
        ("median", {"n_startup_trials": 501}, "pruner.settings.n_startup_trials"),
        ("median", {"interval_steps": 0}, "pruner.settings.interval_steps"),
        ("percentile", {"percentile": 101}, "pruner.settings.percentile"),
        ("percentile", {"percentile": math.nan}, "pruner.settings.percentile"),
        ("asha", {"reduction_factor": 1}, "pruner.settings.reduction_factor"),
        ("asha", {"min_resource": 0}, "pruner.settings.min_resource"),
        ("hyperband", {"min_resource": 101}, "pruner.settings.min_resource"),
        ("hyperband", {"max_resource": "auto"}, "pruner.settings.max_resource"),
        ("patient", {}, "pruner.settings.patience"),
        ("patient", {"patience": 3, "min_delta": -1.0}, "pruner.settings.min_delta"),
        ("patient", {"patience": 3, "pruner": {"name": "mediann"}}, "pruner.settings.pruner.name"),
        ("patient", {"patience": 3, "pruner": {"settings": {}}}, "pruner.settings.pruner.name"),
        ("patient", {"patience": 3, "pruner": {"name": "patient"}}, "pruner.settings.pruner.name"),
        (
            "patient",
            {"patience": 3, "pruner": {"name": "asha", "settings": {"reduction_factor": 0}}},
            "pruner.settings.pruner.settings.reduction_factor",
        ),
        ("threshold", {}, "pruner.settings.upper"),
        ("threshold", {"lower": 2.0, "upper": 1.0}, "pruner.settings.lower"),
        ("threshold", {"upper": math.inf}, "pruner.settings.upper"),
    ],
)
def test_bad_settings_are_refused_at_the_field(name: str, settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        choose(name, **settings)
    assert [error.field for error in caught.value.fields] == [field]


def test_hyperband_needs_to_know_the_most_steps() -> None:
    with pytest.raises(InvalidInput, match="has no steps") as caught:
        choose("hyperband", {"x": SPACE["learning_rate"]})
    assert [error.field for error in caught.value.fields] == ["pruner.settings.max_resource"]


@pytest.mark.parametrize("kind", PRUNERS.values(), ids=str)
def test_every_pruner_tells_people_what_it_is(kind: PrunerType) -> None:
    assert len(kind.summary) > 20
    assert kind.settings.model_json_schema()["additionalProperties"] is False
