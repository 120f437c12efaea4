"""What every registered sampler promises, whatever it is."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from optuna.trial import TrialState

from tests.search.loop import RATE_AND_STEPS, define, descent_loss, points, run, trial
from tuner.definition import StudyDefinition
from tuner.search import SAMPLERS, History, Suggestion, suggest

# Small generations, so that a short study sees several; few startup trials for the same reason.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "tpe": {"n_startup_trials": 5},
    "cmaes": {"popsize": 4},
    "nsga2": {"population_size": 4},
    "gp": {"n_startup_trials": 5},
    "grid": {"points": 7},
}

NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(kind.missing is not None, reason=f"{name} needs the extra {kind.missing}"),
    )
    for name, kind in SAMPLERS.items()
    if not kind.plans
]

SPACES: Mapping[str, Mapping[str, Any]] = {
    "rate and steps": RATE_AND_STEPS,
    "steps on a log scale": {**RATE_AND_STEPS, "steps": {"type": "int", "low": 1, "high": 200, "scale": "log"}},
    "steps fixed": {**RATE_AND_STEPS, "steps": {"type": "int", "low": 50, "high": 50}},
    "all fixed": {
        "learning_rate": {"type": "float", "low": 0.1, "high": 0.1},
        "steps": {"type": "int", "low": 50, "high": 50},
        "update_rule": {"type": "categorical", "choices": ["adam"]},
    },
    "tiny ranges": {
        "learning_rate": {"type": "float", "low": 0.1, "high": 0.1 + 1e-9, "scale": "log"},
        "steps": {"type": "int", "low": 7, "high": 8},
        "shift": {"type": "float", "low": 1.0, "high": 1.0 + 1.1e-9},
    },
    "tiny numbers": {
        "learning_rate": {"type": "float", "low": 1e-300, "high": 1e-290, "scale": "log"},
        "steps": {"type": "int", "low": 1, "high": 3},
    },
    "wide ranges": {
        "learning_rate": {"type": "float", "low": -1e18, "high": 1e18},
        "steps": {"type": "int", "low": -(2**53) + 1, "high": 2**53 - 1},
    },
    "choices": {
        "learning_rate": {"type": "float", "low": 0.01, "high": 1.0},
        "steps": {"type": "int", "low": 1, "high": 9},
        "update_rule": {"type": "categorical", "choices": ["adam", True, 3, 0.5]},
    },
}

TYPES = {"float": float, "int": int}


def quick(name: str, space: Mapping[str, Any] = RATE_AND_STEPS, seed: int = 0) -> StudyDefinition:
    return define(name, space, seed=seed, settings=QUICK.get(name, {}))


def in_space(parameters: Mapping[str, Any], definition: StudyDefinition, space: Mapping[str, Any]) -> None:
    assert list(parameters) == list(space)
    definition.point(parameters)
    for name, value in parameters.items():
        kind = space[name]["type"]
        if kind == "categorical":
            assert any(
                value is choice or (type(value) is type(choice) and value == choice)
                for choice in space[name]["choices"]
            )
        else:
            assert type(value) is TYPES[kind]


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_points_lie_in_the_space_and_are_plain_python(name: str, space: str) -> None:
    if (name, space) in {("cmaes", "choices"), ("gp", "wide ranges")}:
        pytest.skip("refused, see test_registry")
    definition = quick(name, SPACES[space])
    # Losses fall along the study, the first ones diverge.
    value = iter([math.inf, math.inf, *range(100, 0, -1)])
    size = 12 if name != "grid" else min(12, len(_all_of_grid(definition)))
    history, _ = run(definition, lambda _: float(next(value)), size, batch=4)
    for one in history:
        in_space(one.params, definition, SPACES[space])


def _all_of_grid(definition: StudyDefinition) -> list[Any]:
    return suggest(definition, History([], {}), range(100_000)).trials


@pytest.mark.parametrize("name", NAMES)
def test_the_same_study_in_another_process_has_the_same_trials_bit_for_bit(name: str) -> None:
    code = f"from tests.search.test_every_sampler import trials_as_json; print(trials_as_json({name!r}))"
    environment = {**os.environ, "PYTHONHASHSEED": "17"}
    other = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert other.stderr == ""
    assert other.stdout.strip() == trials_as_json(name)


def trials_as_json(name: str) -> str:
    history, attributes = run(quick(name, seed=3), descent_loss, 20, batch=4)
    return json.dumps([attributes, [(one.params, stable(one.system_attrs)) for one in history]])


def stable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Without the CMA-ES state itself: cmaes keeps an array in it that it has not filled in yet."""
    return {key: value for key, value in attributes.items() if not key.startswith("cma:optimizer")}


def compared(found: Sequence[Suggestion]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(one.parameters, stable(one.system_attrs)) for one in found]


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_gives_other_points(name: str) -> None:
    assert points(quick(name, seed=0), range(8)) != points(quick(name, seed=1), range(8))


@pytest.mark.parametrize("name", NAMES)
def test_points_asked_in_one_batch_are_those_asked_one_by_one_while_the_earlier_ones_run(name: str) -> None:
    definition = quick(name)
    history, attributes = run(definition, descent_loss, 9, batch=4)
    at_once = suggest(definition, History(history, attributes), range(9, 15))

    one_by_one = []
    for number in range(9, 15):
        found = suggest(definition, History(history, attributes), [number])
        attributes = {**attributes, **found.system_attrs}
        history = [*history, trial(definition, number, found.trials[0], state=TrialState.RUNNING)]
        one_by_one += found.trials
    assert compared(at_once.trials) == compared(one_by_one)


@pytest.mark.parametrize("name", NAMES)
def test_no_point_comes_twice_because_each_request_begins_anew(name: str) -> None:
    definition = quick(name)
    history, attributes = run(definition, descent_loss, 10, batch=5)
    found = []
    for number in range(10, 30):
        suggestions = suggest(definition, History(history, attributes), [number])
        attributes = {**attributes, **suggestions.system_attrs}
        found += suggestions.trials
    chosen = [tuple(suggestion.parameters.values()) for suggestion in found]
    if name == "nsga2":
        # Recombining few parents brings some point about twice by design; the random numbers differ all the same.
        assert len(set(chosen)) > len(chosen) / 2
    elif name == "gp":
        # Which maximises a function of the same history each time.
        assert len(set(chosen)) >= 1
    else:
        assert len(set(chosen)) == len(chosen)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_study_where_all_or_half_of_the_runs_diverge_goes_on(name: str, direction: str) -> None:
    definition = define(name, settings=QUICK.get(name, {}), direction=direction)
    worst = math.inf if direction == "minimize" else -math.inf
    run(definition, lambda _: worst, 16, batch=4)
    run(definition, lambda point: worst if point["learning_rate"] > 0.1 else point["learning_rate"], 16, batch=4)


@pytest.mark.parametrize("name", NAMES)
def test_pruned_trials_and_missing_numbers_do_no_harm(name: str) -> None:
    definition = quick(name)
    history, attributes = run(definition, descent_loss, 16, batch=4)
    for place in (2, 5, 11):
        history[place].state, history[place].values = TrialState.PRUNED, None
    sparse = [one for one in history if one.number % 3]
    found = suggest(definition, History(sparse, attributes), [40, 41, 50])
    assert len(found.trials) == 3
    for suggestion in found.trials:
        in_space(suggestion.parameters, definition, RATE_AND_STEPS)


@pytest.mark.parametrize("name", NAMES)
def test_the_history_is_left_as_it_was(name: str) -> None:
    definition = quick(name)
    history, attributes = run(definition, descent_loss, 12, batch=4)
    before = [(dict(one.params), dict(one.system_attrs), one.values) for one in history], dict(attributes)
    suggest(definition, History(history, attributes), range(12, 16))
    assert ([(dict(one.params), dict(one.system_attrs), one.values) for one in history], dict(attributes)) == before


@pytest.mark.parametrize("name", NAMES)
def test_threads_do_not_disturb_each_other(name: str) -> None:
    definition = quick(name)
    history, attributes = run(definition, descent_loss, 12, batch=4)
    expected = compared(suggest(definition, History(history, attributes), range(12, 16)).trials)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(suggest, definition, History(history, attributes), range(12, 16)) for _ in range(8)]
        assert all(compared(future.result().trials) == expected for future in futures)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_to_be_stored_is_json(name: str) -> None:
    history, attributes = run(quick(name), descent_loss, 14, batch=4)
    for stored in (attributes, *(one.system_attrs for one in history)):
        assert json.loads(json.dumps(stored, allow_nan=False)) == stored


@pytest.mark.parametrize("name", NAMES)
def test_nothing_asked_nothing_given(name: str) -> None:
    assert suggest(quick(name), History([], {}), []).trials == []


def test_a_history_is_not_looked_at_by_samplers_that_say_so() -> None:
    for name, kind in SAMPLERS.items():
        if not kind.learns and not kind.plans:
            definition = quick(name)
            history, _ = run(definition, descent_loss, 8, batch=4)
            assert suggest(definition, History(history, {}), [8, 9]) == suggest(definition, History([], {}), [8, 9])
