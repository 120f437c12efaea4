"""Which parameters decide, over studies whose answer is known."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.service.definitions import external
from tuner.errors import NoResult, StudyNotFound
from tuner.service import studies
from tuner.service.ask import ask
from tuner.service.exclusion import exclude
from tuner.service.importance import importance
from tuner.service.tell import Ending, tell
from tuner.storage.database import Database

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "steps": {"type": "int", "low": 1, "high": 200},
    "rule": {"type": "categorical", "choices": ["a", "b"]},
    "fixed": {"type": "float", "low": 1.0, "high": 1.0},
}


def trained(database: Database, loss: Callable[[Mapping[str, Any]], float], count: int = 60, **changes: Any) -> None:
    """A study at random whose trials end so."""
    goal: dict[str, Any] = changes.get("goal", {"minimize": "loss"})
    metric = goal.get("maximize", "loss")
    studies.create(database, external(search_space=SPACE, **changes))
    leases = ask(database, "resnet", count=count).trials
    tell(
        database,
        "resnet",
        [Ending(lease.number, 1, "complete", values={metric: loss(lease.parameters)}) for lease in leases],
    )


def shares(database: Database) -> dict[str, float]:
    return {one.name: one.share for one in importance(database, "resnet").parameters}


def distance(parameters: Mapping[str, Any]) -> float:
    """How far the rate is from 0.01; beyond 0.1 everything diverges."""
    rate = parameters["learning_rate"]
    return math.inf if rate > 0.1 else abs(math.log10(rate) + 2)


@pytest.mark.parametrize("rising", [False, True])
def test_the_parameter_that_decides_alone_comes_first(database: Database, rising: bool) -> None:
    goal = {"maximize": "accuracy"} if rising else {"minimize": "loss"}
    trained(database, lambda point: -distance(point) if rising else distance(point), goal=goal)
    found = importance(database, "resnet")
    assert found.parameters[0].name == "learning_rate"
    assert found.parameters[0].share > 0.8
    assert {one.name for one in found.parameters} == {"learning_rate", "steps", "rule"}
    assert sum(one.share for one in found.parameters) == pytest.approx(1)
    assert (found.trials, found.finished) == (60, 60)


def test_a_choice_that_decides(database: Database) -> None:
    trained(database, lambda point: 0.0 if point["rule"] == "a" and point["steps"] > 100 else 1.0 + point["steps"])
    found = shares(database)
    assert found["rule"] > found["learning_rate"]
    assert found["steps"] > found["learning_rate"]


def test_a_trade_off_is_decided_by_both(database: Database) -> None:
    trained(database, distance, goal={"minimize": ["loss", "steps"]})
    found = shares(database)
    assert found["rule"] < min(found["learning_rate"], found["steps"])


def test_where_all_trials_are_alike_nothing_decides(database: Database) -> None:
    trained(database, lambda _: math.inf)
    assert shares(database) == {"learning_rate": 0.0, "rule": 0.0, "steps": 0.0}


def test_few_trials_say_nothing(database: Database) -> None:
    trained(database, distance, count=10)
    assert importance(database, "resnet").trials == 10
    exclude(database, "resnet", 3)
    with pytest.raises(NoResult, match="9 complete"):
        importance(database, "resnet")
    with pytest.raises(StudyNotFound):
        importance(database, "nothing")
