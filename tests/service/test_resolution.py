"""Resolution: every name is known, every default filled in, every mistake named."""

from typing import Any

import pytest

from tests.service.definitions import SPACE, external, registered
from tuner.definition import StudyDefinition
from tuner.errors import InvalidInput
from tuner.service.resolution import resolve


def space(**parameters: dict[str, Any]) -> dict[str, Any]:
    """A change of the search space: the ordinary one with these parameters."""
    return {"search_space": {**SPACE, **parameters}}


HEAVY_BALL = {"type": "categorical", "choices": ["heavy_ball"]}
FIXED = {"type": "float", "low": 0.5, "high": 0.5}

LOSS_OF_DATA: dict[str, Any] = {"objective": {"name": "logistic_regression", "settings": {"data": "synthetic"}}}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"objective": {"name": "line_fitt"}}, "objective.name"),
        ({"objective": {"name": "line_fit", "settings": {"sead": 5}}}, "objective.settings.sead"),
        ({"objective": {"name": "line_fit", "settings": {"seed": True}}}, "objective.settings.seed"),
        (
            {"budget": {"gradient_evaluations": 2}} | space(steps={"type": "int", "low": 5, "high": 5}),
            "budget.gradient_evaluations",
        ),
        ({"sampler": {"name": "tpee"}}, "sampler.name"),
        ({"sampler": {"name": "tpe", "settings": {"startup": 5}}}, "sampler.settings.startup"),
        ({"goal": {"minimize": "accuracy"}}, "goal.minimize"),
        ({"goal": {"minimize": "validation_loss"}}, "goal.minimize"),
        ({"goal": {"maximize": "loss"}}, "goal.maximize"),
        ({"search_space": {"steps": SPACE["steps"]}}, "search_space.learning_rate"),
        ({"search_space": {"learning_rate": SPACE["learning_rate"]}}, "search_space.steps"),
        (space(learning_rate={"type": "float", "low": 0, "high": 1}), "search_space.learning_rate.low"),
        (space(steps={"type": "int", "low": 0, "high": 9}), "search_space.steps.low"),
        (space(steps={"type": "int", "low": 1, "high": 10**9}), "search_space.steps.high"),
        (space(steps={"type": "float", "low": 1, "high": 9}), "search_space.steps.type"),
        (space(steps={"type": "categorical", "choices": [1, "two"]}), "search_space.steps.choices"),
        (space(momentum={"type": "float", "low": 0, "high": 0.9}), "search_space.momentum"),
        (space(batch_size={"type": "int", "low": 1, "high": 8}), "search_space.batch_size"),
        (space(update_rule={"type": "categorical", "choices": ["adamw"]}), "search_space.update_rule"),
    ],
)
def test_what_no_registry_knows_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve(registered(**changes))
    assert [error.field for error in caught.value.fields] == [field]


def test_evaluations_are_a_budget_only_where_steps_are_searched() -> None:
    with pytest.raises(InvalidInput, match="the search space has none"):
        resolve(
            external(search_space={"width": {"type": "int", "low": 1, "high": 9}}, budget={"gradient_evaluations": 9})
        )


def test_every_mistake_is_named_at_once() -> None:
    space = {
        "learning_rate": {"type": "float", "low": 0.0, "high": 1e15},
        "steps": {"type": "int", "low": 0, "high": 5},
    }
    with pytest.raises(InvalidInput) as caught:
        resolve(registered(search_space=space, goal={"minimize": "accuracy"}))
    assert [error.field for error in caught.value.fields] == [
        "search_space.learning_rate.low",
        "search_space.learning_rate.high",
        "search_space.steps.low",
        "goal.minimize",
    ]


def test_settings_of_the_update_rules_that_may_run_can_be_searched() -> None:
    space = {
        **SPACE,
        "update_rule": {"type": "categorical", "choices": ["heavy_ball", "adam"]},
        "momentum": {"type": "float", "low": 0.5, "high": 0.99},
        "beta2": {"type": "float", "low": 0.9, "high": 0.9999},
        "batch_size": {"type": "categorical", "choices": [8, 16]},
    }
    resolved = resolve(registered(search_space=space, **LOSS_OF_DATA, goal={"minimize": "validation_loss"}))
    assert resolved.objective is not None
    assert resolved.objective.settings["data"] == "synthetic"


def test_resolving_again_changes_nothing() -> None:
    once = resolve(registered())
    assert resolve(once) == once
    assert StudyDefinition.model_validate(once.model_dump(mode="json")) == once


ONE_MORE = space(momentum={"type": "float", "low": 0.5, "high": 0.9}, update_rule=HEAVY_BALL)


@pytest.mark.parametrize(
    ("definition", "sampler"),
    [
        (registered(sampler={}), "trajectory"),
        (registered(sampler={"seed": 4}), "trajectory"),
        (registered(sampler={}, **space(steps={"type": "int", "low": 50, "high": 50})), "trajectory"),
        (registered(sampler={}, **space(momentum=FIXED, update_rule=HEAVY_BALL)), "trajectory"),
        (
            registered(sampler={}, **LOSS_OF_DATA, **space(batch_size={"type": "int", "low": 8, "high": 8})),
            "trajectory",
        ),
        (registered(sampler={}, goal={"minimize": ["loss", "steps"]}), "trajectory"),
        (registered(sampler={}, **ONE_MORE), "trajectory"),
        (registered(sampler={}, goal={"minimize": "steps", "until": {"loss": 0.1}}), "trajectory"),
        # What its assumptions do not hold for, or what only another sampler has.
        (
            registered(sampler={}, **LOSS_OF_DATA, **space(batch_size={"type": "int", "low": 8, "high": 16})),
            "tpe",
        ),
        (registered(sampler={}, goal={"minimize": ["loss", "steps"]}, **ONE_MORE), "tpe"),
        (registered(sampler={}, **space(steps={"type": "categorical", "choices": [10, 100]})), "tpe"),
        (registered(sampler={}, budget={"parallel_trials": 2}), "tpe"),
        (registered(sampler={"settings": {"n_startup_trials": 5}}), "tpe"),
        (registered(sampler={"batch_size": 4}), "tpe"),
        (
            registered(
                sampler={},
                goal={"minimize": "steps", "until": {"loss": 0.1}},
                **space(steps={"type": "int", "low": 50, "high": 50}),
            ),
            "tpe",
        ),
        (external(sampler={}), "tpe"),
    ],
)
def test_where_no_sampler_is_named_the_definition_decides(definition: StudyDefinition, sampler: str) -> None:
    resolved = resolve(definition)
    assert resolved.sampler.name == sampler
    assert resolve(resolved) == resolved


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"goal": {"minimize": ["loss", "steps"]}} | ONE_MORE, "sampler.name"),
        (space(learning_rate={"type": "categorical", "choices": [0.1, 0.2]}), "sampler.name"),
        (space(steps={"type": "categorical", "choices": [10, 100]}), "sampler.name"),
        ({"budget": {"parallel_trials": 2}}, "budget.parallel_trials"),
        ({"sampler": {"name": "trajectory", "batch_size": 4}}, "sampler.batch_size"),
        ({"sampler": {"name": "trajectory", "settings": {"rates": 4}}}, "sampler.settings.rates"),
        (
            {"goal": {"minimize": "steps", "until": {"loss": 0.1}}}
            | space(steps={"type": "int", "low": 9, "high": 50}),
            "sampler.name",
        ),
    ],
)
def test_what_a_trajectory_search_cannot_search_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve(registered(**{"sampler": {"name": "trajectory"}, **changes}))
    assert [error.field for error in caught.value.fields] == [field]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (space(momentum={"type": "float", "low": 0.0, "high": 0.9}), "search_space.momentum"),
        (space(rule={"type": "categorical", "choices": ["adam", "sgd"]}), "search_space.rule"),
        ({"search_space": {"lr": SPACE["learning_rate"], "steps": SPACE["steps"]}}, "search_space.learning_rate"),
        ({"search_space": {"learning_rate": SPACE["learning_rate"]}}, "search_space.steps"),
        (space(learning_rate={"type": "float", "low": 0.0, "high": 1.0}), "search_space.learning_rate.low"),
        (space(learning_rate={"type": "int", "low": 1, "high": 10}), "sampler.name"),
        (space(steps={"type": "int", "low": 0, "high": 10}), "search_space.steps.low"),
        (space(steps={"type": "float", "low": 1, "high": 10}), "search_space.steps.type"),
        (space(steps={"type": "categorical", "choices": [10, 100]}), "sampler.name"),
        ({"goal": {"minimize": ["loss", "steps"]}}, "goal"),
        (
            {"goal": {"minimize": "steps", "until": {"loss": 0.1}}}
            | space(steps={"type": "int", "low": 9, "high": 50}),
            "sampler.name",
        ),
        ({"sampler": {"name": "trajectory", "batch_size": 4}}, "sampler.batch_size"),
    ],
)
def test_what_rates_cannot_be_proposed_for_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve(external(**{"sampler": {"name": "trajectory"}, **changes}))
    assert field in [error.field for error in caught.value.fields]
    assert all(error.field.startswith(field) for error in caught.value.fields if "lr" not in error.field)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"goal": {"maximize": "accuracy"}},
        {"goal": {"minimize": "steps", "until": {"loss": 0.1}}},
        {"budget": {"trials": 5, "parallel_trials": 2}},
        {"pruner": {"name": "median"}},
        space(
            steps={"type": "int", "low": 50, "high": 50},
            learning_rate={"type": "float", "low": 0.1, "high": 0.9},
            width={"type": "int", "low": 3, "high": 3},
            rule={"type": "categorical", "choices": ["adam"]},
        ),
    ],
)
def test_an_external_study_may_be_searched_by_trajectories(changes: dict[str, Any]) -> None:
    resolved = resolve(external(**{"sampler": {"name": "trajectory"}, **changes}))
    assert resolved.sampler.name == "trajectory"
    assert resolve(resolved) == resolved
