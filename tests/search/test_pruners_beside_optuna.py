"""Pruners that Optuna has, too, against its own where they mean the same."""

from typing import Any, Literal

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray
from optuna.pruners import HyperbandPruner, PercentilePruner, SuccessiveHalvingPruner
from optuna.trial import TrialState, create_trial

from tests.search.field_of_trials import Field, build, rung_pruner
from tuner.search.pruners import Comparison
from tuner.search.pruners.halving import Hyperband

DIRECTIONS: dict[Literal["minimize", "maximize"], int] = {"minimize": 1, "maximize": -1}


def falling(rng: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    """Curves (…, points) that only fall: a value, by which Optuna takes peers, is the best so far, by which we do."""
    return np.sort(rng.exponential(size=shape))[..., ::-1] + rng.exponential(size=(*shape[:-1], 1))


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
