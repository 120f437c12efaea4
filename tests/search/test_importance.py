"""The shares of parameters are those that Optuna's evaluator finds, on any kind of range."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, create_trial

from tuner.search.importance import QUANTILE, importances

SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 1.0, log=True),
    "momentum": FloatDistribution(0.0, 0.99),
    "share": FloatDistribution(0.0, 1.0, step=0.25),
    "steps": IntDistribution(1, 200),
    "size": IntDistribution(1, 5000, log=True),
    "blocks": IntDistribution(2, 20, step=3),
    "rule": CategoricalDistribution(["sgd", "adam", None]),
    "fixed": FloatDistribution(1.0, 1.0),
}


def drawn(count: int, seed: int, values: int = 1) -> list[FrozenTrial]:
    """Trials at random points, whose values have to do with some parameters more than with others."""
    random = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        params = random.ask(SPACE).params
        far = abs(math.log10(params["rate"]) + 2) + 0.3 * (params["rule"] == "adam") + params["share"]
        worth = [far + 0.5 * rng.normal(), params["steps"] + 20 * rng.normal()]
        found.append(create_trial(params=params, distributions=SPACE, values=worth[:values]))
    return found


def optunas(trials: Sequence[FrozenTrial], directions: Sequence[Any]) -> dict[str, float]:
    study = optuna.create_study(directions=directions)
    study.add_trials(trials)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = [name for name, distribution in SPACE.items() if not distribution.single()]
        found = PedAnovaImportanceEvaluator(target_quantile=QUANTILE).evaluate(study, names)
    return {name: one / sum(found.values()) for name, one in found.items()}


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("count", [10, 37, 600])
def test_shares_are_optunas(count: int, direction: str) -> None:
    trials = drawn(count, seed=count)
    assert importances(trials, [direction]) == pytest.approx(optunas(trials, [direction]), rel=1e-6)


def test_shares_of_a_trade_off_are_optunas() -> None:
    trials = drawn(80, seed=1, values=2)
    # Only the order counts: Optuna is shown it as ours is.
    ranks = np.argsort(np.argsort([trial.values for trial in trials], axis=0), axis=0)
    ranked = [
        create_trial(params=trial.params, distributions=SPACE, values=[float(one) for one in rank])
        for trial, rank in zip(trials, ranks, strict=True)
    ]
    both = ["minimize", "minimize"]
    assert importances(trials, both) == pytest.approx(optunas(ranked, both), rel=1e-6)


def test_a_range_that_changed_on_the_way_has_no_share() -> None:
    trials = drawn(20, seed=3)
    wider = create_trial(
        params=trials[0].params, distributions=SPACE | {"steps": IntDistribution(1, 300)}, values=trials[0].values
    )
    assert "steps" not in importances([*trials, wider], ["minimize"])


def test_without_a_parameter_that_is_searched_there_is_none() -> None:
    single = {"fixed": SPACE["fixed"]}
    trials = [create_trial(params={"fixed": 1.0}, distributions=single, value=float(one)) for one in range(20)]
    assert importances(trials, ["minimize"]) == {}
