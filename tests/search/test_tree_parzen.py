"""Our tpe beside Optuna's: the same points from the same trials, to the last bit, however they are computed."""

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.trial import FrozenTrial, TrialState

from tests.search.loop import define, trial
from tuner.definition import StudyDefinition
from tuner.search import History, Suggestion, look, suggest
from tuner.search.density import Density, axes_over, logarithms
from tuner.search.sampler import along
from tuner.search.seeds import trial_seed
from tuner.search.sight import Listed
from tuner.search.tree_parzen import OPTUNAS_KERNELS, rising_weights
from tuner.storage.frozen import distributions

SPACES: Mapping[str, Mapping[str, Any]] = {
    "a rate and steps": {
        "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "scale": "log"},
        "steps": {"type": "int", "low": 1, "high": 200},
    },
    "all kinds": {
        "steps": {"type": "int", "low": 1, "high": 5000, "scale": "log"},
        "momentum": {"type": "float", "low": -1.0, "high": 2.0},
        "rule": {"type": "categorical", "choices": ["adam", True, 3, 0.5]},
        "learning_rate": {"type": "float", "low": 1e-6, "high": 10.0, "scale": "log"},
        "fixed": {"type": "float", "low": 0.5, "high": 0.5},
        "layers": {"type": "int", "low": -3, "high": 4},
    },
    # Here densities are equal by symmetry, and rounding decides.
    "few whole numbers": {"a": {"type": "int", "low": 1, "high": 3}, "b": {"type": "int", "low": 0, "high": 4}},
    "few choices": {
        "rule": {"type": "categorical", "choices": ["a", "b", "c"]},
        "other": {"type": "categorical", "choices": [1, 2]},
    },
    "many whole numbers": {
        "a": {"type": "int", "low": 1, "high": 2**53 - 1},
        "b": {"type": "int", "low": 1, "high": 2**40, "scale": "log"},
        "c": {"type": "int", "low": 0, "high": 10**6},
    },
    "neighbouring numbers": {
        "x": {"type": "float", "low": 1.0, "high": 1.0 + 1.1e-9},
        "y": {"type": "float", "low": 0.1, "high": 0.1 + 1e-9, "scale": "log"},
    },
    "twelve numbers": {f"x{i}": {"type": "float", "low": 0.0, "high": 10.0**i} for i in range(12)},
}


def a_past(definition: StudyDefinition, size: int, seed: int) -> list[FrozenTrial]:
    """Trials in all states, half of them close to one point, some at the same, many of equal losses."""
    draw = random.Random(seed)
    worst = math.inf if definition.goal.direction == "minimize" else -math.inf
    found: list[FrozenTrial] = []
    for number in range(size):
        near = draw.random() < 0.5
        point = {
            name: along(parameter)(draw.betavariate(30, 70) if near else draw.random())
            for name, parameter in definition.search_space.items()
        }
        if found and draw.random() < 0.1:
            point = dict(draw.choice(found).params)
        states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
        [state] = draw.choices(states if number else states[:1], [8, 1, 1] if number else [1])
        loss = draw.choice([worst, 1.0, draw.random(), draw.random(), draw.random()])
        value = loss if state == TrialState.COMPLETE else None
        found.append(trial(definition, number, Suggestion(point, {}), value, state))
    return found


def of_optuna(definition: StudyDefinition, past: list[FrozenTrial]) -> Mapping[str, Any]:
    """What Optuna's own loop tries next."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    settings: dict[str, Any] = dict(definition.sampler.settings)
    sampler = TPESampler(seed=trial_seed(definition.sampler.seed, len(past)), **settings)
    study = optuna.create_study(sampler=sampler, direction=definition.goal.direction)
    study.add_trials(past)
    with np.errstate(all="ignore"):
        return study.ask(fixed_distributions=distributions(definition.search_space)).params


@pytest.mark.parametrize("together", [True, False], ids=["together", "one by one"])
@pytest.mark.parametrize("space", SPACES)
def test_points_are_those_of_optuna(space: str, together: bool) -> None:
    for seed in range(12):
        direction = ("minimize", "maximize")[seed % 2]
        candidates = (24, 24, 1, 100)[seed % 4]
        size = (1, 2, 3, 7, 30, 120, 27, 400, 12, 5, 60, 26)[seed]
        settings = {"multivariate": together, "n_startup_trials": 1, "n_ei_candidates": candidates}
        definition = define("tpe", SPACES[space], seed=seed, direction=direction, settings=settings)
        past = a_past(definition, size, seed)
        ours = suggest(definition, History(past, {}), [size]).trials[0].parameters
        assert ours == of_optuna(definition, past), (seed, size)


def test_what_rounding_moves_out_of_the_range_is_chosen_anew_as_optuna_does() -> None:
    # In so narrow a range the exponential of a logarithm often lies beyond the bounds.
    space = {
        "rate": {"type": "float", "low": 1e-5, "high": float(1e-5 + 20 * np.spacing(1e-5)), "scale": "log"},
        "z": {"type": "float", "low": 0.0, "high": 1.0},
    }
    document = {"name": "study", "search_space": space, "goal": {"minimize": "loss"}}
    for seed in range(40):
        settings = {"n_startup_trials": 1, "multivariate": True}
        sampler = {"name": "tpe", "seed": seed, "settings": settings}
        definition = StudyDefinition.model_validate({**document, "sampler": sampler})
        past = a_past(definition, 30, seed)
        assert suggest(definition, History(past, {}), [30]).trials[0].parameters == of_optuna(definition, past)


@pytest.mark.parametrize("together", [True, False], ids=["together", "one by one"])
def test_of_a_long_study_points_are_those_of_optuna_with_the_same_weights(together: bool) -> None:
    definition = define("tpe", SPACES["all kinds"], seed=6, settings={"multivariate": together})
    past = a_past(definition, 3000, 6)
    known = look(definition, Listed(past, {}, "minimize"))
    assert known.weights is not None
    complete = [one for one in known.trials if one.state == TrialState.COMPLETE]
    good = {one.number for one in sorted(complete, key=lambda one: one.values[0])[:25]}
    rest = [weight for one, weight in zip(known.trials, known.weights, strict=True) if one.number not in good]

    sampler = TPESampler(seed=trial_seed(6, 3000), multivariate=together)
    sampler._parzen_estimator_parameters = sampler._parzen_estimator_parameters._replace(
        weights=lambda count: rising_weights(np.array(rest)) if count == len(rest) else np.ones(count)
    )
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler)
    study.add_trials(known.trials)
    theirs = study.ask(fixed_distributions=distributions(definition.search_space))
    assert suggest(definition, known, [3000]).trials[0].parameters == theirs.params


def test_more_candidates_than_optuna_takes_one_at_a_time() -> None:
    settings = {"n_startup_trials": 1, "n_ei_candidates": 3000}
    definition = define("tpe", SPACES["all kinds"], seed=1, settings=settings)
    past = a_past(definition, 50, 1)
    assert suggest(definition, History(past, {}), [50]).trials[0].parameters == of_optuna(definition, past)


@pytest.mark.parametrize("space", ["a rate and steps", "all kinds", "few whole numbers", "few choices"])
@pytest.mark.parametrize("size", [0, 1, 40, 600])
def test_densities_are_those_of_optuna_up_to_rounding_and_a_constant(space: str, size: int) -> None:
    definition = define("tpe", SPACES[space])
    parts = {name: part for name, part in distributions(definition.search_space).items() if not part.single()}
    past = a_past(definition, size, 3)
    columns = {
        name: np.array([part.to_internal_repr(one.params[name]) for one in past]) for name, part in parts.items()
    }
    theirs = _ParzenEstimator(columns, dict(parts), OPTUNAS_KERNELS)
    ours = Density(axes_over(*parts.values()), np.array(list(columns.values())))
    drawn = theirs.sample(np.random.RandomState(0), 50)
    points = np.array(list(drawn.values()))
    assert np.array_equal(ours.draw(np.random.RandomState(0), 50), points)
    with np.errstate(divide="ignore"):
        [logarithm], error = logarithms(points, ours)
    apart = logarithm - theirs.log_pdf(drawn)
    assert error < 1e-8
    assert np.ptp(apart) < 1e-10
