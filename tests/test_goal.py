"""What a goal may be, what it is about, and that it is written as it was read."""

from typing import Any

import pytest
from pydantic import ValidationError

from tuner.client.space import goal as in_words
from tuner.client.space import metric_of
from tuner.goal import Goal

LOSS, ACCURACY, STEPS = ("loss", "minimize"), ("accuracy", "maximize"), ("steps", "minimize")

GOALS: list[tuple[dict[str, Any], tuple[str, str], tuple[tuple[str, str], ...], float | None]] = [
    ({"minimize": "loss"}, LOSS, (LOSS,), None),
    ({"maximize": "accuracy"}, ACCURACY, (ACCURACY,), None),
    ({"minimize": "steps", "until": {"loss": 0.01}}, LOSS, (STEPS,), 0.01),
    ({"minimize": "steps", "until": {"accuracy": {"at_least": 0.95}}}, ACCURACY, (STEPS,), 0.95),
    ({"minimize": ["loss", "steps"]}, LOSS, (LOSS, STEPS), None),
    ({"maximize": "accuracy", "minimize": "steps"}, ACCURACY, (ACCURACY, STEPS), None),
    # A client may have called a metric so, before steps were a goal.
    ({"minimize": "steps"}, STEPS, (STEPS,), None),
]


@pytest.mark.parametrize(("document", "followed", "aims", "target"), GOALS, ids=str)
def test_a_goal_says_what_is_followed_and_what_trials_are_compared_by(
    document: dict[str, Any], followed: tuple[str, str], aims: tuple[tuple[str, str], ...], target: float | None
) -> None:
    goal = Goal.model_validate(document)
    assert (goal.metric, goal.direction) == followed
    assert goal.aims == aims
    assert goal.target == target
    assert goal.is_trade_off == (len(aims) == 2)
    assert goal.is_about_steps == (len(aims) == 2 or target is not None)
    assert goal.model_dump(mode="json") == document
    assert metric_of(document) == followed[0]
    assert in_words(goal.words) == document


def test_the_order_in_which_a_trade_off_is_written_means_nothing() -> None:
    assert Goal.model_validate({"minimize": ["steps", "loss"]}).model_dump() == {"minimize": ["loss", "steps"]}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "minimize"),
        ({"minimize": "loss", "maximize": "accuracy"}, "minimize"),
        ({"minimize": ["loss", "latency"]}, "minimize"),
        ({"minimize": ["steps", "steps"]}, "minimize"),
        ({"minimize": ["loss", "steps"], "maximize": "accuracy"}, "minimize"),
        ({"maximize": "steps", "minimize": "steps"}, "maximize"),
        ({"until": {"loss": 0.01}}, "minimize"),
        ({"minimize": "loss", "until": {"loss": 0.01}}, "minimize"),
        ({"minimize": "steps", "until": {"steps": 3}}, "until"),
    ],
    ids=str,
)
def test_what_is_no_goal_is_refused_by_the_field(document: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Goal.model_validate(document)
    assert [error["ctx"]["field"] for error in refused.value.errors()] == [field]


@pytest.mark.parametrize(
    "document",
    [
        {"minimize": ["loss"]},
        {"minimize": ["loss", "steps", "x"]},
        {"minimize": "steps", "until": {}},
        {"minimize": "steps", "until": {"loss": 0.1, "accuracy": 0.2}},
        {"minimize": "steps", "until": {"loss": float("nan")}},
        {"minimize": "steps", "until": {"loss": "0.1"}},
        {"minimize": "steps", "until": {"loss": {"at_most": 0.1}}},
        {"minimize": "steps", "until": {"loss": True}},
    ],
    ids=str,
)
def test_what_has_not_the_form_of_a_goal_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Goal.model_validate(document)
