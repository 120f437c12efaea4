"""Samplers where two values make a trial better or worse."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial

from tests.search.loop import RATE_AND_STEPS, define, points, trial
from tuner.definition import StudyDefinition
from tuner.goal import Goal
from tuner.search import SAMPLERS, History, Suggestion, suggest

NEEDS_TORCH = pytest.mark.skipif(SAMPLERS["gp"].missing is not None, reason="gp needs the extra gp")


def trade_off(name: str, settings: Mapping[str, Any] | None = None) -> StudyDefinition:
    definition = define(name, RATE_AND_STEPS, settings=settings)
    return definition.model_copy(update={"goal": Goal(minimize=["loss", "steps"])})


def finished(definition: StudyDefinition, count: int, sign: float) -> list[FrozenTrial]:
    """Trials of the same points and losses, whose second value grows with their steps, or falls."""
    found = []
    for number, point in enumerate(points(define("random"), range(count))):
        steps: Any = point["steps"]
        found.append(trial(definition, number, Suggestion(point, {}), 1.0))
        found[-1].values = [1.0 + number % 3, sign * steps]
    return found


@pytest.mark.parametrize(("name", "count", "more"), [("tpe", 40, 16), pytest.param("gp", 15, 3, marks=NEEDS_TORCH)])
def test_the_second_value_leads_too(name: str, count: int, more: int) -> None:
    definition = trade_off(name)
    means = []
    for sign in (1.0, -1.0):
        history = History(finished(definition, count, sign), {})
        found = suggest(definition, history, range(count, count + more))
        means.append(np.mean([one.parameters["steps"] for one in found.trials]))
    assert means[0] < means[1]


def test_nsga2_breeds_from_the_front() -> None:
    """With a generation of 4, whose front is the trials of the fewest steps, the next one's parents are of it."""
    definition = trade_off("nsga2", {"population_size": 4, "mutation_prob": 0.0, "crossover_prob": 0.0})
    history: list[FrozenTrial] = []
    attributes: dict[str, Any] = {}
    for number in range(4):
        [suggestion] = suggest(definition, History(history, attributes), [number]).trials
        history.append(trial(definition, number, suggestion, 1.0))
        # The first trial is better than all others in both.
        history[-1].values = [float(number), float(number)]
    found = suggest(definition, History(history, attributes), range(4, 8))
    attributes |= found.system_attrs
    parents = [one.params for one in history]
    assert all(one.parameters in parents for one in found.trials)
    assert sum(one.parameters == parents[0] for one in found.trials) >= 2
