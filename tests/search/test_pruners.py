"""Pruners that compare trials: against closed forms, on curves that must not mislead them."""

import math
from itertools import chain, pairwise

import numpy as np
import pytest

from tests.search.field_of_trials import SPACE, Field, choose, progress, rung_pruner
from tuner.search.pruners import Comparison
from tuner.search.pruners.percentile import quantile
from tuner.search.pruners.rungs import EVEN_RUNGS, GeometricRungs, LinearRungs


def at(step: int, value: float, peers: list[float], sign: int = 1) -> Comparison:
    return Comparison(step, value, np.array(peers, dtype=np.float64), sign)


# Closed forms.


def test_rungs_are_geometric_or_even_and_then_thinning() -> None:
    assert GeometricRungs(3, 2).between(-1, 50) == [3, 6, 12, 24, 48]
    assert GeometricRungs(3, 2).between(12, 24) == [24]
    assert GeometricRungs(1, 10, last=100).between(0, 10**12) == [1, 10, 100]
    assert LinearRungs(5, 10).between(-1, 40) == [5, 15, 25, 35]
    assert LinearRungs(5, 10).between(15, 35) == [25, 35]
    assert LinearRungs(1, 1).latest(0) is None
    assert LinearRungs(10, 10).latest(39) == 30


@pytest.mark.parametrize("cuts", [[], [3], [64, 65, 128, 131], [100, 1000, 10_000]])
def test_every_rung_is_met_once_however_reports_are_cut(cuts: list[int]) -> None:
    for rungs in (LinearRungs(1, 1), LinearRungs(7, 3), GeometricRungs(2, 3)):
        ends = [-1, *cuts, 50_000]
        parts = [rungs.between(after, upto) for after, upto in pairwise(ends)]
        assert list(chain(*parts)) == rungs.between(-1, 50_000)


def test_rungs_of_very_long_trials_stay_few() -> None:
    every = LinearRungs(1, 1).between(-1, 10**12)
    assert every[:EVEN_RUNGS] == list(range(1, EVEN_RUNGS + 1))
    assert len(every) < EVEN_RUNGS + EVEN_RUNGS // 2 * (math.log2(10**12 / EVEN_RUNGS) + 1)
    assert len(GeometricRungs(1, 2).between(-1, 10**12)) == 40


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
def test_quantiles_are_numpys_where_everything_is_finite(share: float) -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 12):
        values = rng.normal(size=size)
        assert quantile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-12)


def test_infinite_values_take_part_in_a_quantile_as_the_worst() -> None:
    assert quantile(np.array([math.inf, 1.0, 2.0]), 0.5) == 2.0
    assert quantile(np.array([math.inf, 1.0]), 0.5) == math.inf
    assert quantile(np.array([math.inf, 1.0]), 0.0) == 1.0
    assert quantile(np.array([math.inf, math.inf, 0.0, math.inf]), 0.5) == math.inf


def test_the_median_says_why_in_the_users_own_numbers() -> None:
    assert rung_pruner("median").decide(at(64, 0.81, [0.42] * 7 + [9.0] * 5)) == (
        "worse than the median of 12 trials at step 64: 0.81 against 0.42"
    )
    assert rung_pruner("percentile", percentile=10).decide(at(8, -0.5, [-0.9] * 5, sign=-1)) == (
        "worse than the best 10 % of 5 trials at step 8: 0.5 against 0.9"
    )


@pytest.mark.parametrize("name", ["median", "percentile"])
def test_quantiles_wait_for_enough_trials(name: str) -> None:
    assert rung_pruner(name).decide(at(8, 9.0, [1.0] * 4)) is None
    assert rung_pruner(name).decide(at(8, 9.0, [1.0] * 5)) is not None
    assert rung_pruner(name, n_startup_trials=0).decide(at(8, 9.0, [])) is None


def test_asha_keeps_the_best_part_and_at_least_one() -> None:
    asha = rung_pruner("asha", min_resource=1)
    assert asha.decide(at(1, 5.0, [])) is None
    assert asha.decide(at(1, 5.0, [6.0])) is None
    assert asha.decide(at(1, 5.0, [4.0])) == "not the best of 2 trials at step 1: 5 against 4"
    assert asha.decide(at(1, 5.0, [5.0] * 3)) is None
    peers = [float(value) for value in range(1, 12)]
    assert asha.decide(at(4, 3.0, peers)) is None
    assert asha.decide(at(4, 3.1, peers)) == "not among the best 3 of 12 trials at step 4: 3.1 against 3"


def test_least_resources_follow_the_search_space() -> None:
    long = {**SPACE, "steps": {"type": "int", "low": 1, "high": 5000}}
    assert choose("asha", long).settings == {"min_resource": 500, "reduction_factor": 4, "min_early_stopping_rate": 0}
    assert choose("median", long).settings == {"n_startup_trials": 5, "n_warmup_steps": 500, "interval_steps": None}
    assert choose("median", {"x": SPACE["learning_rate"]}).settings["n_warmup_steps"] == 0
    assert choose("asha", {"x": SPACE["learning_rate"]}).settings["min_resource"] == 1
    assert choose("hyperband", long).settings == {"min_resource": 50, "reduction_factor": 3, "max_resource": 5000}
    few = {**SPACE, "steps": {"type": "categorical", "choices": [30, 700, 200]}}
    assert choose("hyperband", few).settings == {"min_resource": 7, "reduction_factor": 3, "max_resource": 700}


# NaN and infinities.


@pytest.mark.parametrize("name", ["median", "percentile", "asha"])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_never_was_finite_is_worst(name: str, sign: int) -> None:
    pruner = rung_pruner(name)
    assert pruner.decide(at(8, math.inf, [1.0] * 20, sign)) == "no finite value up to step 8"
    assert pruner.decide(at(8, math.inf, [math.inf] * 20, sign)) == "no finite value up to step 8"
    assert pruner.decide(at(8, 1.0, [math.inf] * 20, sign)) is None
    # A few diverged peers push nobody out, and keep nobody in.
    assert pruner.decide(at(8, 1.0, [math.inf] * 4 + [2.0] * 16, sign)) is None
    assert pruner.decide(at(8, 3.0, [math.inf] * 4 + [2.0] * 16, sign)) is not None


@pytest.mark.parametrize("sign", [1, -1])
def test_values_that_are_not_finite_are_never_the_best(sign: int) -> None:
    seen = progress([1, 2, 3, 4], [math.nan, math.inf, -math.inf, sign * 5.0], sign=sign)
    assert seen.crossed(GeometricRungs(1, 2)) == {1: math.inf, 2: math.inf, 4: 5.0}
    assert seen.best_now == 5.0


# What is compared.


def test_a_rung_gets_the_best_value_up_to_it() -> None:
    rungs = GeometricRungs(1, 2)
    assert progress(range(1, 9), [5, 4, 6, 7, 3, 9, 9, 9]).crossed(rungs) == {1: 5, 2: 4, 4: 4, 8: 3}
    assert progress([7, 9], [6, 2], after=6, best=4, best_step=3).crossed(rungs) == {8: 4}
    assert progress([7], [1], after=6, best=4, best_step=3).crossed(rungs) == {}
    assert progress(range(1, 5), [-5, -4, -6, -7], sign=-1).crossed(rungs) == {1: 5, 2: 4, 4: 4}


def test_a_rung_without_a_measurement_before_it_is_none() -> None:
    assert progress([3, 8], [2, 1]).crossed(GeometricRungs(1, 2)) == {4: 2, 8: 1}


def test_points_that_come_late_count_where_they_are_the_best_of_all() -> None:
    rungs = GeometricRungs(1, 2)
    assert progress([3], [1], after=9, best=4, best_step=7).crossed(rungs) == {4: 1, 8: 1}
    assert progress([3], [5], after=9, best=4, best_step=7).crossed(rungs) == {}
    assert progress([3, 20], [1, 0.5], after=9, best=4, best_step=7).crossed(rungs) == {4: 1, 8: 1, 16: 1}
    # Another metric came first.
    assert progress([2, 8], [6, 5], after=9).crossed(rungs) == {2: 6, 4: 6, 8: 5}


def test_an_oscillating_curve_that_ends_best_is_not_stopped_for_its_noise() -> None:
    steps = np.arange(1, 257)
    field = Field(rung_pruner("median", n_warmup_steps=1))
    for number, rate in enumerate(np.linspace(0.001, 0.004, 20)):
        field.run(number, steps.tolist(), 2 * np.exp(-rate * steps))
    # Jumps by a factor of four either way on every other step, worse than the whole field at each rung but the last.
    swings = np.where(steps % 2 == 0, 4.0, 0.25)
    winner = 2 * np.exp(-0.02 * steps) * swings
    rungs = [1, 2, 4, 8, 16, 32]
    assert all(winner[rung - 1] > 2 * math.exp(-0.001 * rung) for rung in rungs[1:])
    assert winner[-1] < 2 * math.exp(-0.004 * 256)
    assert field.run(99, steps.tolist(), winner) is None
    # The same noise around a curve that goes nowhere does not save it.
    nowhere = np.where(steps % 2 == 0, 4.0, 1.9)
    assert field.run(100, steps.tolist(), nowhere) is not None


@pytest.mark.parametrize("name", ["median", "asha"])
@pytest.mark.parametrize("seed", range(5))
def test_noise_around_the_best_curve_does_not_stop_it(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = np.arange(1, 513)
    field = Field(rung_pruner(name, {**SPACE, "steps": {"type": "int", "low": 1, "high": 512}}))
    stopped = 0
    for number in range(30):
        clean = np.exp(-rng.uniform(0.001, 0.01) * steps)
        stopped += field.run(number, steps.tolist(), clean * rng.lognormal(0, 0.5, steps.size)) is not None
    assert stopped >= 10
    best = np.exp(-0.03 * steps) * rng.lognormal(0, 0.5, steps.size)
    assert field.run(99, steps.tolist(), best) is None


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize(("name", "share"), [("asha", 0.4), ("hyperband", 0.6), ("median", 0.8)])
def test_the_best_is_as_good_as_without_a_pruner_for_fewer_steps(name: str, share: float, noise: float) -> None:
    # Descent on Σ c·x²/2 with curvatures 0.002 … 2 from ones: x_k = (1 - rate·c)^k.
    most, trials = 512, 120
    steps = np.arange(1, most + 1)
    curvatures = np.geomspace(0.002, 2, 7)
    space = {**SPACE, "steps": {"type": "int", "low": most, "high": most}}
    best, found, spent = [], [], 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        field = Field(rung_pruner(name, space))
        ends, kept = [], []
        for number, rate in enumerate(10 ** rng.uniform(-4, 0.3, trials)):
            with np.errstate(over="ignore"):
                losses = (curvatures[:, None] / 2 * (1 - rate * curvatures[:, None]) ** (2 * steps)).sum(axis=0)
            curve = losses * rng.lognormal(0, noise, most)
            ends.append(losses[-1])
            stopped = field.run(number, steps.tolist(), curve, batch=8)
            spent += most if stopped is None else stopped[0]
            if stopped is None:
                kept.append(losses[-1])
        best.append(min(ends))
        found.append(min(kept))
    assert spent < share * most * trials * 5
    # Ends lie orders of magnitude apart.
    assert np.median(ends) > 100 * best[-1]
    assert np.all(np.array(found) <= 1.5 * np.array(best))
