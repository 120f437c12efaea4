"""The tutorial table of the design, row by row, by real descents."""

import numpy as np
import pytest

from tuner.descent import Descent, Row, RowResult
from tuner.objectives import KnownCurvature, KnownMinimum, create
from tuner.trial import Outcome


def run(learning_rate: float, steps: int) -> RowResult:
    descent = Descent(create("line_fit", {"seed": 5}), [Row(learning_rate, steps)])
    descent.advance()
    return descent.result(0)


@pytest.mark.parametrize(
    ("learning_rate", "steps", "w", "b"),
    [
        (0.001, 200, "0.252", "-0.512"),
        (0.1, 200, "0.133", "0.483"),
        (0.9, 1, "1.47", "1.80"),
        (0.9, 2, "-0.62", "-1.81"),
        (0.9, 3, "2.01", "3.03"),
        (0.9, 4, "-1.58", "-3.30"),
        (0.9, 200, "-1.0e+24", "-1.9e+24"),
    ],
)
def test_parameters_are_those_of_the_table_to_the_digits_given(
    learning_rate: float, steps: int, w: str, b: str
) -> None:
    result = run(learning_rate, steps)
    assert result.outcome is Outcome.RAN_ITS_STEPS
    assert np.all(np.isfinite(result.loss.values))
    assert result.checkpoint is not None
    for value, digits in zip(result.checkpoint.parameters, (w, b), strict=True):
        form = ".1e" if "e" in digits else f".{len(digits.partition('.')[2])}f"
        assert format(float(value), form) == digits


@pytest.mark.parametrize("learning_rate", [1.0, 10.0])
def test_at_rates_one_and_ten_the_loss_is_not_finite(learning_rate: float) -> None:
    result = run(learning_rate, 200)
    assert result.outcome is Outcome.LEFT_FINITE_NUMBERS
    assert result.steps_run < 200
    assert not np.isfinite(result.loss.values[-1])
    assert np.all(np.isfinite(result.loss.values[:-1]))


def test_each_jump_at_a_rate_too_large_lands_farther_out() -> None:
    assert np.all(np.diff(run(0.9, 200).loss.values) > 0)


def test_rates_converge_below_the_stability_limit_and_the_fastest_is_where_theory_has_it() -> None:
    objective = create("line_fit", {"seed": 5})
    assert isinstance(objective, KnownCurvature)
    assert isinstance(objective, KnownMinimum)
    mu, largest = objective.curvature
    rates = [0.99 * 2 / largest, 1.01 * 2 / largest, 2 / (largest + mu)]
    descent = Descent(objective, [Row(rate, 1000) for rate in rates])
    descent.advance()
    below, above, fastest = (descent.loss_curve(row).values for row in range(3))
    assert below[-1] == pytest.approx(objective.minimum, rel=1e-3)
    assert above[-1] > above[0]
    assert fastest[100] < below[100]
    assert fastest[200] == pytest.approx(objective.minimum, rel=0.05)
