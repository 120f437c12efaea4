"""Pruners that look at one trial alone: patience and thresholds."""

import math

import numpy as np
import pytest

from tests.search.field_of_trials import build, progress
from tuner.search.pruners import Patient, Reference, ReportPruner


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
