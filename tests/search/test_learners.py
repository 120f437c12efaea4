"""Optuna's samplers, through `suggest`: they stay what they are."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import TPESampler
from scipy.stats import mannwhitneyu

from tests.search.loop import RATE_AND_STEPS, define, descent_loss, run, trial
from tuner.search import History, Suggestion, suggest
from tuner.search.learners import GaussianProcess
from tuner.search.optuna_learner import OptunaLearner
from tuner.search.registry import sampler_of
from tuner.search.seeds import study_seed, trial_seed
from tuner.storage.frozen import distributions

SQUARE: dict[str, Any] = {
    "x": {"type": "float", "low": -5.0, "high": 5.0},
    "y": {"type": "float", "low": -5.0, "high": 5.0},
}


def bowl(point: Mapping[str, Any]) -> float:
    """A quadratic with its minimum 0 at (1, -2)."""
    return float((point["x"] - 1) ** 2 + 10 * (point["y"] + 2) ** 2)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("tpe", {}), ("tpe", {"multivariate": False}), ("cmaes", {"popsize": 5}), ("nsga2", {"population_size": 6})],
)
def test_a_point_is_the_one_that_optuna_chooses_in_its_own_storage(name: str, settings: dict[str, Any]) -> None:
    definition = define(name, settings=settings, seed=11)
    history, attributes = run(definition, descent_loss, 30, batch=3)
    ours = suggest(definition, History(history, attributes), [30]).trials[0]

    sampler = sampler_of(definition.sampler)
    assert isinstance(sampler, OptunaLearner)
    space = distributions(definition.search_space)
    optunas = sampler.build(space, study_seed(11), trial_seed(11, 30))
    if name == "tpe":
        # Ours is told the search space, Optuna's finds it among the trials.
        optunas = TPESampler(seed=trial_seed(11, 30), **{"multivariate": True, **settings})
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optunas)
    study.add_trials(history)
    theirs = study.ask(fixed_distributions=space)
    assert theirs.number == 30
    assert ours.parameters == theirs.params


def test_tpe_one_at_a_time_searches_as_well_as_optunas_own_loop_and_better_than_random() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def of_optuna(seed: int) -> float:
        study = optuna.create_study(sampler=TPESampler(seed=1000 + seed))
        study.optimize(lambda t: bowl({name: t.suggest_float(name, -5, 5) for name in SQUARE}), n_trials=40)
        return study.best_value

    def of(sampler: str, seed: int) -> float:
        return min(one.value or 0.0 for one in run(define(sampler, SQUARE, seed=seed), bowl, 40)[0])

    seeds = range(15)
    tpe, randomly = [of("tpe", seed) for seed in seeds], [of("random", seed) for seed in seeds]
    theirs = [of_optuna(seed) for seed in seeds]
    assert mannwhitneyu(tpe, theirs).pvalue > 0.05
    assert mannwhitneyu(tpe, randomly, alternative="less").pvalue < 0.01


def test_cmaes_converges_to_the_minimum_of_a_quadratic() -> None:
    definition = define("cmaes", SQUARE, seed=2)
    assert definition.sampler.batch_size == 6
    history, _ = run(definition, bowl, 240, batch=6)
    best = min(history, key=lambda one: one.value or 0.0)
    assert best.value is not None
    assert best.value < 1e-4
    assert [best.params["x"], best.params["y"]] == pytest.approx([1, -2], abs=0.02)


def test_cmaes_moves_on_a_generation_with_every_batch_of_its_default_size() -> None:
    history, _ = run(define("cmaes", SQUARE), bowl, 36, batch=6)
    generations = [one.system_attrs.get("cma:generation") for one in history]
    assert generations == [None] * 6 + [generation for generation in range(5) for _ in range(6)]


def test_nsga2_moves_on_a_generation_with_every_batch_of_its_default_size_and_gets_better() -> None:
    definition = define("nsga2", SQUARE, settings={"population_size": 12})
    assert definition.sampler.batch_size == 12
    history, attributes = run(definition, bowl, 96, batch=12)
    assert [one.system_attrs["NSGAIISampler:generation"] for one in history] == sorted(list(range(8)) * 12)
    parents = attributes["NSGAIISampler:parent:7"]
    assert set(parents) <= {one._trial_id for one in history}
    losses = np.array([one.value for one in history]).reshape(8, 12)
    assert np.median(losses[-1]) < np.median(losses[0]) / 3


def test_seeds_of_a_study_never_meet_and_show_no_order() -> None:
    seeds = [trial_seed(0, number) for number in range(100_000)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    bits = np.array(seeds, dtype=np.uint32)[:, None] >> np.arange(32, dtype=np.uint32) & 1
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.01
    assert {trial_seed(seed, 0) for seed in range(100)}.isdisjoint({trial_seed(seed, 1) for seed in range(100)})
    assert study_seed(2**53 - 1) != study_seed(0)


class TestWhatAGaussianProcessSees:
    def view(self, values: list[float], direction: str = "minimize") -> list[float | None]:
        definition = define("random", RATE_AND_STEPS)
        point = Suggestion({"learning_rate": 0.1, "steps": 3}, {})
        trials = [trial(definition, number, point, value) for number, value in enumerate(values)]
        return [one.value for one in GaussianProcess().view(trials, [direction])]

    def test_ordinary_losses_are_as_they_were(self) -> None:
        assert self.view([1.0, 2.0, 3.0, 4.0, 5.0]) == [1.0, 2.0, 3.0, 4.0, 5.0]

    def test_diverged_runs_are_bad_and_no_more(self) -> None:
        assert self.view([1.0, 2.0, 3.0, 1e24, math.inf]) == [1.0, 2.0, 3.0, 11.0, 11.0]
        assert self.view([-1.0, -2.0, -3.0, -1e24, -math.inf], "maximize") == [-1.0, -2.0, -3.0, -11.0, -11.0]

    def test_an_infinite_loss_is_shown_no_worse_than_the_worst_finite_one(self) -> None:
        assert self.view([1.0, 2.0, 3.0, math.inf]) == [1.0, 2.0, 3.0, 3.0]

    def test_where_all_diverged_all_are_equal(self) -> None:
        assert self.view([math.inf, math.inf]) == [0.0, 0.0]

    def test_in_a_trade_off_each_value_is_clipped_by_its_own(self) -> None:
        definition = define("random", RATE_AND_STEPS)
        trials = []
        for number, loss in enumerate([1.0, 2.0, 3.0, 1e24, math.inf]):
            trials.append(trial(definition, number, Suggestion({"learning_rate": 0.1, "steps": 3}, {}), loss))
            trials[-1].values = [loss, 10.0 * number]
        shown = GaussianProcess().view(trials, ["minimize", "minimize"])
        assert [one.values for one in shown] == [[1.0, 0.0], [2.0, 10.0], [3.0, 20.0], [11.0, 30.0], [11.0, 40.0]]
