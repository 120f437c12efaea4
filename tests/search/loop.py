"""A study in memory, for the tests of samplers: ask, evaluate, tell, with nothing but `suggest` in between."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tuner.definition import StudyDefinition
from tuner.search import History, Suggestion, resolve_sampler, suggest
from tuner.storage.frozen import distributions

RATE_AND_STEPS: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 10.0, "scale": "log"},
    "steps": {"type": "int", "low": 1, "high": 200},
}

_NOON = datetime(2026, 1, 1, 12)  # noqa: DTZ001 (Optuna's times are naive)

Loss = Callable[[Mapping[str, Any]], float]


def define(
    sampler: str,
    space: Mapping[str, Any] = RATE_AND_STEPS,
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    direction: str = "minimize",
) -> StudyDefinition:
    """A resolved definition."""
    definition = StudyDefinition.model_validate(
        {
            "name": "study",
            "search_space": space,
            "goal": {direction: "loss"},
            "sampler": {"name": sampler, "seed": seed, "settings": settings or {}},
        }
    )
    return definition.model_copy(
        update={"sampler": resolve_sampler(definition.sampler, definition.search_space, definition.goal)}
    )


def trial(
    definition: StudyDefinition,
    number: int,
    suggestion: Suggestion,
    value: float | None = None,
    state: TrialState = TrialState.COMPLETE,
) -> FrozenTrial:
    """A trial as the storage shows it to samplers."""
    return FrozenTrial(
        number=number,
        trial_id=1000 + number,
        state=state,
        value=value,
        datetime_start=_NOON,
        datetime_complete=_NOON if state.is_finished() else None,
        params=dict(suggestion.parameters),
        distributions=distributions(definition.search_space),
        user_attrs={},
        system_attrs=dict(suggestion.system_attrs),
        intermediate_values={},
    )


def run(
    definition: StudyDefinition, loss: Loss, trials: int, batch: int = 1
) -> tuple[list[FrozenTrial], dict[str, Any]]:
    """Complete trials 0, 1, …, chosen ``batch`` at a time; the study's attributes at the end."""
    history: list[FrozenTrial] = []
    attributes: dict[str, Any] = {}
    while len(history) < trials:
        numbers = range(len(history), min(len(history) + batch, trials))
        found = suggest(definition, History(history, attributes), numbers)
        attributes |= found.system_attrs
        history += [
            trial(definition, number, suggestion, loss(suggestion.parameters))
            for number, suggestion in zip(numbers, found.trials, strict=True)
        ]
    return history, attributes


def points(definition: StudyDefinition, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """The first points of a study, before anything is known."""
    return [suggestion.parameters for suggestion in suggest(definition, History([], {}), numbers).trials]


def descent_loss(parameters: Mapping[str, Any]) -> float:
    """Gradient descent on ½·Σ c·x² with curvatures 0.1, 1 and 2, from ones: x_n = (1 - rate·c)^n; inf beyond rate 1."""
    rate, steps = parameters["learning_rate"], parameters["steps"]
    if rate > 1:
        return math.inf
    return float(sum(0.5 * c * (1 - rate * c) ** (2 * steps) for c in (0.1, 1.0, 2.0)))
