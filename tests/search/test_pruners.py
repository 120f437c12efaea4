"""Pruners: against Optuna's where they mean the same, against closed forms, on curves that must not mislead them."""

import math
from itertools import chain, pairwise
from typing import Any, Literal

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray
from optuna.pruners import HyperbandPruner, PercentilePruner, SuccessiveHalvingPruner
from optuna.trial import TrialState, create_trial

from tests.search.field_of_trials import SPACE, Field, build, choose, progress, rung_pruner
from tuner.errors import InvalidInput
from tuner.search.pruners import PRUNERS, Comparison, Patient, Reference, ReportPruner
from tuner.search.pruners.halving import Hyperband
from tuner.search.pruners.percentile import quantile
from tuner.search.pruners.registry import PrunerType
from tuner.search.pruners.rungs import EVEN_RUNGS, GeometricRungs, LinearRungs

NEEDED: dict[str, dict[str, Any]] = {"patient": {"patience": 10}, "threshold": {"upper": 10.0}}

DIRECTIONS: dict[Literal["minimize", "maximize"], int] = {"minimize": 1, "maximize": -1}


def falling(rng: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    """Curves (…, points) that only fall: a value, by which Optuna takes peers, is the best so far, by which we do."""
    return np.sort(rng.exponential(size=shape))[..., ::-1] + rng.exponential(size=(*shape[:-1], 1))


def at(step: int, value: float, peers: list[float], sign: int = 1) -> Comparison:
    return Comparison(step, value, np.array(peers, dtype=np.float64), sign)


# Against Optuna.


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("percentile", [0.0, 10.0, 25.0, 50.0, 75.0, 100.0])
def test_percentiles_decide_as_optuna_does(direction: Literal["minimize", "maximize"], percentile: float) -> None:
    sign = DIRECTIONS[direction]
    settings: dict[str, Any] = {"n_startup_trials": 3, "n_warmup_steps": 4, "interval_steps": 2}
    theirs = PercentilePruner(percentile, **settings)
    ours = rung_pruner("percentile", percentile=percentile, **settings)
    rng = np.random.default_rng(7)
    steps = [2, 4, 6, 8, 10]
    stopped = 0
    for peers in range(12):
        study = optuna.create_study(direction=direction)
        curves = falling(rng, peers, len(steps))
        for curve in (sign * curves).tolist():
            study.add_trial(create_trial(value=0.0, intermediate_values=dict(zip(steps, curve, strict=True))))
        running = falling(rng, len(steps)) + rng.normal(0, 0.5, len(steps))
        trial = study.ask()
        for place, step in enumerate(steps):
            trial.report(sign * running[place], step)
            reasons = [
                ours.decide(Comparison(rung, running[: place + 1].min(), curves[:, place], sign))
                for rung in ours.rungs(0).between(step - 1, step)
            ]
            expected = theirs.prune(study, study.trials[-1])
            assert [reason is not None for reason in reasons] == ([] if step < 4 else [expected])
            stopped += expected
    assert stopped > 0 or percentile == 100


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("factor", "rate"), [(2, 0), (3, 0), (4, 0), (2, 1), (3, 2)])
def test_asha_stops_the_trials_that_optuna_stops(
    direction: Literal["minimize", "maximize"], factor: int, rate: int
) -> None:
    sign = DIRECTIONS[direction]
    theirs = SuccessiveHalvingPruner(min_resource=2, reduction_factor=factor, min_early_stopping_rate=rate)
    ours = rung_pruner("asha", min_resource=2, reduction_factor=factor, min_early_stopping_rate=rate)
    study = optuna.create_study(direction=direction, pruner=theirs)
    steps = range(1, 65)
    curves = sign * falling(np.random.default_rng(factor), 60, len(steps))
    expected: list[int | None] = []
    for curve in curves.tolist():
        trial = study.ask()
        expected.append(None)
        for step, value in zip(steps, curve, strict=True):
            trial.report(value, step)
            if trial.should_prune():
                expected[-1] = step
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
    field = Field(ours, sign)
    ends = [field.run(number, steps, curve) for number, curve in enumerate(curves)]
    assert [end and end[0] for end in ends] == expected
    assert None in expected
    assert len(set(expected)) > 2


@pytest.mark.parametrize(
    ("least", "most", "factor"), [(1, 81, 3), (1, 100, 3), (10, 1000, 4), (3, 243 * 3, 3), (7, 7, 2)]
)
def test_hyperband_has_the_brackets_of_optunas_in_the_same_proportions(least: int, most: int, factor: int) -> None:
    ours = build("hyperband", min_resource=least, max_resource=most, reduction_factor=factor)
    assert isinstance(ours, Hyperband)
    theirs = HyperbandPruner(min_resource=least, max_resource=most, reduction_factor=factor)
    # Optuna takes a logarithm, which misses exact powers; its own formula with the right number of brackets otherwise.
    theirs._n_brackets = len(ours.allotments)
    theirs._try_initialization(optuna.create_study())
    assert ours.allotments == theirs._trial_allocation_budgets
    assert least * factor ** (len(ours.allotments) - 1) <= most < least * factor ** len(ours.allotments)

    size = sum(ours.allotments)
    for start in (0, 5 * size, 12345):
        dealt = np.bincount([ours.bracket(number) for number in range(start, start + size)])
        assert dealt.tolist() == ours.allotments


def test_hyperbands_brackets_are_those_of_the_paper() -> None:
    # Li et al. (2018), table 1: R = 81, η = 3. Their brackets s = 4 … 0 keep 1/3 at these resources; s = 0 keeps all.
    ours = rung_pruner("hyperband", min_resource=1, max_resource=81)
    assert [ours.rungs(bracket).between(0, 1000) for bracket in range(5)] == [
        [1, 3, 9, 27],
        [3, 9, 27],
        [9, 27],
        [27],
        [],
    ]
    assert ours.allotments == [81, 34, 15, 8, 5]  # type: ignore[attr-defined]


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


# Pruners that look at one trial alone.


def test_patience_is_over_when_nothing_improves() -> None:
    patient = build("patient", patience=5)
    assert isinstance(patient, Patient)
    report = progress(range(1, 7), [3, 2, 2, 2.5, 2, 2])
    reference = patient.improved(None, report)
    assert reference == Reference(2.0, 2)
    assert patient.decide(reference, report) is None
    later = progress([7], [2.0], after=6)
    assert patient.decide(patient.improved(reference, later), later) == (
        "nothing better in 5 steps: 2 at step 2, now at step 7"
    )


def test_improvements_too_small_do_not_count_and_add_up() -> None:
    patient = build("patient", patience=4, min_delta=0.1)
    assert isinstance(patient, Patient)
    # By 0.04 a step: each third step improves by more than 0.1.
    report = progress(range(1, 31), 5 - 0.04 * np.arange(30))
    reference = patient.improved(None, report)
    assert reference is not None
    assert reference.step == 28
    assert patient.decide(reference, report) is None
    # By 0.02 a step: each sixth.
    report = progress(range(1, 12), 5 - 0.02 * np.arange(11))
    reference = patient.improved(None, report)
    assert reference is not None
    assert reference.value == pytest.approx(4.88)
    assert reference.step == 7
    assert (
        patient.decide(reference, report)
        == "nothing better by more than 0.1 in 4 steps: 4.88 at step 7, now at step 11"
    )


@pytest.mark.parametrize("min_delta", [0.0, 0.2])
@pytest.mark.parametrize("sign", [1, -1])
def test_improvements_are_those_of_a_loop_however_reports_are_cut(min_delta: float, sign: int) -> None:
    patient = build("patient", patience=5, min_delta=min_delta)
    assert isinstance(patient, Patient)
    rng = np.random.default_rng(3)
    values = sign * (5 * np.exp(-0.02 * np.arange(200)) + rng.normal(0, 0.3, 200))
    values[rng.integers(0, 200, 20)] = rng.choice([math.nan, math.inf, -math.inf], 20)
    best, since = math.inf, -1
    for step, value in enumerate(values):
        if math.isfinite(value) and sign * value < best - min_delta:
            best, since = sign * value, step
    for size in (1, 7, 200):
        reference = None
        for start in range(0, 200, size):
            steps = list(range(start, min(start + size, 200)))
            reference = patient.improved(reference, progress(steps, values[steps], sign=sign, after=start - 1))
        assert reference == Reference(best, since)


def test_a_trial_without_a_finite_value_runs_out_of_patience_too() -> None:
    patient = build("patient", patience=5)
    assert isinstance(patient, Patient)
    report = progress([5], [math.nan])
    assert patient.improved(None, report) is None
    assert patient.decide(None, report) == "nothing better in 5 steps: no finite value, now at step 5"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.5, None),
        (1.0, None),
        (1.5, "above 1 at step 8: 1.5"),
        (-0.5, "below 0 at step 8: -0.5"),
        (math.inf, "above 1 at step 8: inf"),
        (math.nan, "not a number at step 8"),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_thresholds_are_of_the_users_own_numbers(value: float, reason: str | None, sign: int) -> None:
    threshold = build("threshold", lower=0.0, upper=1.0, n_warmup_steps=8)
    assert isinstance(threshold, ReportPruner)
    assert threshold.decide(progress([7, 8], [0.5, value], sign=sign)) == reason
    assert threshold.decide(progress([6, 7], [0.5, value], sign=sign)) is None
    assert threshold.decide(progress([8], [value], sign=sign, after=9)) is None


# Choices.


@pytest.mark.parametrize("name", PRUNERS)
def test_a_resolved_choice_resolves_to_itself(name: str) -> None:
    resolved = choose(name, **NEEDED.get(name, {}))
    assert choose(name, **resolved.settings) == resolved
    assert None not in {resolved.settings.get("min_resource", 1), resolved.settings.get("max_resource", 1)}


def test_the_pruner_within_patience_is_resolved_too() -> None:
    resolved = choose("patient", patience=3, pruner={"name": "median"})
    assert resolved.settings == {
        "patience": 3,
        "min_delta": 0.0,
        "pruner": {
            "name": "median",
            "settings": {"n_startup_trials": 5, "n_warmup_steps": 10, "interval_steps": None},
        },
    }


@pytest.mark.parametrize(
    ("name", "settings", "field"),
    [
        ("mediann", {}, "pruner.name"),
        ("median", {"n_startup_trial": 5}, "pruner.settings.n_startup_trial"),
        ("median", {"n_startup_trials": True}, "pruner.settings.n_startup_trials"),
        ("median", {"n_startup_trials": 501}, "pruner.settings.n_startup_trials"),
        ("median", {"interval_steps": 0}, "pruner.settings.interval_steps"),
        ("percentile", {"percentile": 101}, "pruner.settings.percentile"),
        ("percentile", {"percentile": math.nan}, "pruner.settings.percentile"),
        ("asha", {"reduction_factor": 1}, "pruner.settings.reduction_factor"),
        ("asha", {"min_resource": 0}, "pruner.settings.min_resource"),
        ("hyperband", {"min_resource": 101}, "pruner.settings.min_resource"),
        ("hyperband", {"max_resource": "auto"}, "pruner.settings.max_resource"),
        ("patient", {}, "pruner.settings.patience"),
        ("patient", {"patience": 3, "min_delta": -1.0}, "pruner.settings.min_delta"),
        ("patient", {"patience": 3, "pruner": {"name": "mediann"}}, "pruner.settings.pruner.name"),
        ("patient", {"patience": 3, "pruner": {"settings": {}}}, "pruner.settings.pruner.name"),
        ("patient", {"patience": 3, "pruner": {"name": "patient"}}, "pruner.settings.pruner.name"),
        (
            "patient",
            {"patience": 3, "pruner": {"name": "asha", "settings": {"reduction_factor": 0}}},
            "pruner.settings.pruner.settings.reduction_factor",
        ),
        ("threshold", {}, "pruner.settings.upper"),
        ("threshold", {"lower": 2.0, "upper": 1.0}, "pruner.settings.lower"),
        ("threshold", {"upper": math.inf}, "pruner.settings.upper"),
    ],
)
def test_bad_settings_are_refused_at_the_field(name: str, settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        choose(name, **settings)
    assert [error.field for error in caught.value.fields] == [field]


def test_hyperband_needs_to_know_the_most_steps() -> None:
    with pytest.raises(InvalidInput, match="has no steps") as caught:
        choose("hyperband", {"x": SPACE["learning_rate"]})
    assert [error.field for error in caught.value.fields] == ["pruner.settings.max_resource"]


@pytest.mark.parametrize("kind", PRUNERS.values(), ids=str)
def test_every_pruner_tells_people_what_it_is(kind: PrunerType) -> None:
    assert len(kind.summary) > 20
    assert kind.settings.model_json_schema()["additionalProperties"] is False
