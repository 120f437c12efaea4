"""Verdicts against curves whose names are known by what the judge can't see; and what is promised of any curve."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.labelled_curves import Half, Labelled, everything
from tuner import objectives
from tuner.analysis.verdict import Name, Verdict, judge
from tuner.descent import Descent, Row
from tuner.errors import InvalidInput

HALVES: tuple[Half, ...] = ("worked on", "held out")


@cache
def curves(half: Half) -> tuple[Labelled, ...]:
    return tuple(everything(half))


def judged(curve: Labelled, points: int | None = None) -> Verdict:
    """The verdict on a curve's first points."""
    return judge(
        curve.losses[:points],
        steps=curve.steps[:points],
        validation=curve.validation if points is None else None,
        learning_rate=curve.learning_rate,
        stochastic=curve.stochastic,
    )


@pytest.mark.parametrize("half", HALVES)
def test_verdicts_are_right(half: Half) -> None:
    labelled = curves(half)
    wrong = [
        f"{one.family}: {one.name}, not {judged(one).name}" for one in labelled if judged(one).name is not one.name
    ]
    assert len(labelled) >= 500
    assert {one.name for one in labelled} == set(Name)
    assert len(wrong) <= 0.03 * len(labelled), "\n".join(wrong)


@pytest.mark.parametrize("half", HALVES)
def test_a_run_that_converges_is_at_no_moment_called_diverged(half: Half) -> None:
    converging = [one for one in curves(half) if one.converging]
    assert len(converging) >= 200
    for one in converging:
        for points in moments(len(one.losses)):
            # A loss that fails to be measured, in the middle of some of these, looks like an end when it is the last.
            if np.isfinite(one.losses[points - 1]):
                assert judged(one, points).name is not Name.DIVERGED, (one.family, one.learning_rate, points)


def moments(count: int) -> Iterator[int]:
    points = 1
    while points < count:
        yield points
        points = max(points + 1, int(points * 1.1))
    yield count


def line_fit(rate: float) -> Any:
    descent = Descent(objectives.create("line_fit", {"seed": 5}), [Row(rate, 200)])
    descent.advance()
    return descent.result(0).loss


@pytest.mark.parametrize(
    ("rate", "name", "words"),
    [
        (0.001, Name.TOO_SLOW, "37 % of the fall"),
        (0.1, Name.CONVERGED, "less than a thousandth of the fall"),
        (0.9, Name.DIVERGED, "each step lands 1.32× farther out. The rate 0.9 is above the stability limit ≈ 0.775; "),
        (1.0, Name.DIVERGED, "The rate 1 is above the stability limit ≈ 0.775; try 0.39."),
        (10.0, Name.DIVERGED, "until the loss left the finite numbers at step 28"),
    ],
)
def test_the_tutorial_problem(rate: float, name: Name, words: str) -> None:
    curve = line_fit(rate)
    verdict = judge(curve.values, steps=curve.steps, learning_rate=rate, plain=True, stochastic=False)
    assert verdict.name is name
    assert words in verdict.advice


def network(rate: float) -> Any:
    """What gradient descent does to a network: above the edge of stability it leaps far up, and falls from there."""
    descent = Descent(objectives.create("network", objectives.resolve_settings("network", {})), [Row(rate, 200)])
    descent.advance()
    return descent.result(0).loss


@pytest.mark.parametrize("rate", [30.0, 40.0, 60.0, 100.0])
@pytest.mark.parametrize("stochastic", [False, None])
def test_a_run_that_stays_above_its_start_is_told_to_slow_down(rate: float, stochastic: bool | None) -> None:
    curve = network(rate)
    assert curve.values.min() == curve.values[0]
    verdict = judge(curve.values, steps=curve.steps, learning_rate=rate, stochastic=stochastic)
    assert verdict.name in {Name.OSCILLATING, Name.PLATEAUED}
    assert f"Try a third of this rate ({rate / 3:.2g})" in verdict.advice


@pytest.mark.parametrize("rate", [10.0, 21.6])
def test_a_run_that_leapt_above_its_start_is_not_told_to_hurry(rate: float) -> None:
    curve = network(rate)
    assert curve.values.max() > 5 * curve.values[0]
    verdict = judge(curve.values, steps=curve.steps, learning_rate=rate, stochastic=False)
    assert verdict.name is Name.TOO_SLOW
    assert "as many steps" in verdict.advice
    assert "rate 2" not in verdict.advice
    assert verdict.evidence["thrown"] > 0.5


@pytest.mark.parametrize("seed", range(50))
def test_noise_at_the_start_is_no_leap(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=400)
    assert "thrown" not in judge(np.exp(-np.arange(400) / 100) + 0.05 * noise, stochastic=True).evidence
    assert "above_start" not in judge(1 + noise, stochastic=True).evidence


@pytest.mark.parametrize("rate", [0.8, 0.9, 1.5, 4.0])
def test_a_diverging_curve_tells_the_limit(rate: float) -> None:
    made = objectives.create("line_fit", {"seed": 5})
    curve = line_fit(rate)
    verdict = judge(curve.values, steps=curve.steps, learning_rate=rate, plain=True)
    assert isinstance(made, objectives.KnownCurvature)
    # By the closed form: 2/L.
    assert verdict.evidence["limit"] == pytest.approx(2 / made.curvature[1], rel=1e-3)


@pytest.mark.parametrize("rate", [0.01, 0.02, 0.1, 1.0])
def test_growth_that_grows_itself_tells_no_limit(rate: float) -> None:
    # Rosenbrock's valley is a quartic: out there it is far sharper than where the run began.
    descent = Descent(objectives.create("rosenbrock", {}), [Row(rate, 200)])
    descent.advance()
    curve = descent.result(0).loss
    verdict = judge(curve.values, steps=curve.steps, learning_rate=rate, plain=True, stochastic=False)
    assert verdict.name is Name.DIVERGED
    assert "limit" not in verdict.evidence
    assert "limit" not in verdict.advice
    assert "more than a million times farther out" in verdict.advice, "nobody reads a factor of 1e33"


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.9])
@pytest.mark.parametrize(("scale", "shift"), [(1e-12, 0.0), (1e12, 0.0), (1.0, 1000.0), (3.0, -50.0)])
def test_neither_scale_nor_shift_matters(rate: float, scale: float, shift: float) -> None:
    curve = line_fit(rate)
    plain = judge(curve.values)
    moved = judge(scale * curve.values + shift)
    assert moved.name is plain.name
    worse = judge(-(scale * curve.values + shift), maximize=True)
    assert worse.name is plain.name


def test_noise_of_mini_batches_is_no_divergence() -> None:
    rng = np.random.default_rng(3)
    for number in range(300):
        n = int(rng.integers(6, 400))
        level = rng.choice([0.0, 1.0, -3.0]) + np.exp(-np.arange(n) / rng.uniform(1, 300))
        noise = rng.standard_t(2, n) if number % 2 else rng.lognormal(0, 1.5, n)
        assert judge(level + rng.uniform(0.01, 3) * noise).name is not Name.DIVERGED


def test_a_spike_that_passed_is_no_divergence() -> None:
    losses = np.exp(-np.arange(200) / 20)
    losses[[50, 60, 61]] = np.nan, np.inf, 1e30
    assert judge(losses).name is Name.CONVERGED


def test_gaps_in_the_steps_count() -> None:
    steps = np.unique(np.geomspace(1, 1000, 60).astype(int))
    verdict = judge(np.exp(-steps / 2000), steps=steps)
    assert verdict.name is Name.TOO_SLOW
    grows = judge(1.05 ** steps[steps < 400], steps=steps[steps < 400])
    assert grows.evidence["growth_per_step"] == pytest.approx(1.05, rel=1e-2)


def test_where_the_validation_loss_was_lowest() -> None:
    steps = np.arange(0, 2001, 10)
    held_out = np.exp(-steps / 100) + 2e-4 * np.maximum(0, steps - 600)
    verdict = judge(np.exp(-np.arange(2001) / 100), validation=(steps, held_out))
    assert verdict.name is Name.OVERFITTING
    assert verdict.evidence["best_step"] == steps[held_out.argmin()]
    assert "stop near step" in verdict.advice


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"losses": []}, "losses"),
        ({"losses": [[1.0, 2.0]]}, "losses"),
        ({"losses": [1.0, 2.0], "steps": [1]}, "losses"),
        ({"losses": [1.0, 2.0], "steps": [2, 1]}, "steps"),
        ({"losses": [1.0, 2.0], "validation": ([], [])}, "validation"),
    ],
)
def test_what_is_no_curve_is_refused(arguments: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        judge(**arguments)
    assert [error.field for error in refused.value.fields] == [field]


@given(
    st.lists(st.floats(), min_size=1, max_size=50),
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.floats(1e-9, 1e9),
)
def test_any_curve_is_judged(losses: list[float], maximize: bool, stochastic: bool | None, rate: float) -> None:
    pair = (np.arange(len(losses)), np.array(losses))
    verdict = judge(
        losses, validation=pair, maximize=maximize, stochastic=stochastic, learning_rate=rate, limit=1.0, plain=True
    )
    assert verdict.advice.endswith(".")
    assert all(np.isfinite(number) for number in verdict.evidence.values())
    if not np.isfinite(losses[-1]):
        assert verdict.name is Name.DIVERGED
    elif len(losses) < 6:
        assert verdict.name is Name.TOO_SHORT
