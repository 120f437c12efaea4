"""A choice of sampler, resolved or refused with the field named."""

from typing import Any

import pytest

from tests.search.loop import RATE_AND_STEPS
from tuner.definition import SamplerChoice, StudyDefinition
from tuner.errors import InvalidInput, MissingExtra
from tuner.search import SAMPLERS, resolve_sampler
from tuner.search.learners import GaussianProcess
from tuner.search.registry import SamplerType

CHOICES = {"type": "categorical", "choices": ["adam", "heavy_ball"]}


def resolve(choice: dict[str, Any], space: dict[str, Any] = RATE_AND_STEPS) -> SamplerChoice:
    definition = StudyDefinition.model_validate({"name": "study", "search_space": space, "sampler": choice})
    return resolve_sampler(definition.sampler, definition.search_space, definition.goal)


def refused(choice: dict[str, Any], space: dict[str, Any] = RATE_AND_STEPS) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        resolve(choice, space)
    return {error.field: error.message for error in caught.value.fields}


def test_every_default_is_filled_in() -> None:
    assert resolve({}).model_dump() == {
        "name": "tpe",
        "seed": 0,
        "settings": {"n_startup_trials": 10, "n_ei_candidates": 24, "multivariate": True},
        "batch_size": resolve({"name": "tpe"}).batch_size,
    }


@pytest.mark.parametrize("name", [name for name, kind in SAMPLERS.items() if kind.missing is None])
def test_a_resolved_choice_resolves_to_itself(name: str) -> None:
    resolved = resolve({"name": name})
    assert (resolved.batch_size is None) == SAMPLERS[name].plans
    assert resolve(resolved.model_dump()) == resolved


def test_a_batch_size_that_was_given_stays() -> None:
    assert resolve({"name": "tpe", "batch_size": 3}).batch_size == 3


@pytest.mark.parametrize(
    ("name", "settings", "space", "batch_size"),
    [
        ("cmaes", {"popsize": 9}, RATE_AND_STEPS, 9),
        ("cmaes", {}, RATE_AND_STEPS, 6),
        ("cmaes", {}, {**RATE_AND_STEPS, "steps": {"type": "int", "low": 5, "high": 5}}, 4),
        ("nsga2", {"population_size": 20}, RATE_AND_STEPS, 20),
    ],
)
def test_samplers_with_generations_choose_one_at_a_time(
    name: str, settings: dict[str, Any], space: dict[str, Any], batch_size: int
) -> None:
    assert resolve({"name": name, "settings": settings}, space).batch_size == batch_size


def test_an_unknown_sampler_is_refused_with_those_that_there_are() -> None:
    [(field, message)] = refused({"name": "tpee"}).items()
    assert field == "sampler.name"
    assert "did you mean tpe?" in message
    assert all(name in message for name in SAMPLERS)


@pytest.mark.parametrize(
    ("name", "settings", "field"),
    [
        ("tpe", {"startup": 3}, "sampler.settings.startup"),
        ("tpe", {"n_startup_trials": 0}, "sampler.settings.n_startup_trials"),
        ("tpe", {"n_startup_trials": True}, "sampler.settings.n_startup_trials"),
        ("tpe", {"multivariate": "yes"}, "sampler.settings.multivariate"),
        ("cmaes", {"popsize": 2.5}, "sampler.settings.popsize"),
        ("random", {"seed": 1}, "sampler.settings.seed"),
        ("qmc", {"sequence": "faure"}, "sampler.settings.sequence"),
        ("nsga2", {"crossover_prob": 1.5}, "sampler.settings.crossover_prob"),
        ("nsga2", {"mutation_prob": float("nan")}, "sampler.settings.mutation_prob"),
        ("grid", {"points": 0}, "sampler.settings.points"),
        ("grid", {"points": {"learning_rate": 0}}, "sampler.settings.points.learning_rate"),
        ("grid", {"points": {"momentum": 3}}, "sampler.settings.points.momentum"),
        ("grid", {"points": 1000}, "sampler.settings.points"),
    ],
)
def test_bad_settings_are_refused_at_the_field(name: str, settings: dict[str, Any], field: str) -> None:
    assert field in refused({"name": name, "settings": settings})


def test_cmaes_refuses_choices_but_not_a_single_one() -> None:
    problems = refused({"name": "cmaes"}, {**RATE_AND_STEPS, "update_rule": CHOICES})
    assert "update_rule" in problems["sampler.name"]
    resolve({"name": "cmaes"}, {**RATE_AND_STEPS, "update_rule": {**CHOICES, "choices": ["adam"]}})


def test_gp_refuses_more_whole_numbers_than_fit_in_memory() -> None:
    definition = StudyDefinition.model_validate(
        {"name": "study", "search_space": {"n": {"type": "int", "low": 0, "high": 2**53 - 1}}}
    )
    with pytest.raises(InvalidInput, match="n has more"):
        GaussianProcess().check(definition.search_space)


@pytest.mark.parametrize(
    "narrow",
    [
        {"type": "float", "low": 1.0, "high": 1.0000000000000002},
        {"type": "float", "low": 1.0, "high": 1.0000000000000002, "scale": "log"},
        {"type": "float", "low": 0.0, "high": 5e-324},
    ],
)
def test_a_range_of_neighbouring_floats_is_refused(narrow: dict[str, Any]) -> None:
    assert list(refused({"name": "tpe"}, {"x": narrow})) == ["search_space.x.high"]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.search.registry.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'tuner\[gp\]'") as caught:
        resolve({"name": "gp"})
    assert [error.field for error in caught.value.fields] == ["sampler.name"]


@pytest.mark.parametrize("kind", SAMPLERS.values(), ids=str)
def test_every_sampler_tells_people_what_it_is(kind: SamplerType) -> None:
    assert len(kind.summary) > 20
    schema = kind.settings.model_json_schema()
    assert schema["additionalProperties"] is False
