"""Range tests: the descent against one written out, the reading of its curve against curves whose answer is known."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tuner.analysis.range_test import Finding, RangeTest, analyse, exploded, geometric
from tuner.descent import Descent, Method, Row
from tuner.errors import InvalidInput
from tuner.limits import LARGEST_TEST_STEPS
from tuner.objectives import Array, create
from tuner.objectives.line_fit import LineFit
from tuner.objectives.logistic_regression import LogisticRegression
from tuner.objectives.network import Network
from tuner.objectives.quadratic import Quadratic

RATES = np.geomspace(1e-6, 10, 141)
"""Twenty a decade."""


def valley(bottom: float = 1e-2, width: float = 1.0) -> NDArray[np.float64]:
    """Losses that fall from 1 to 0 along a cosine over the decades before ``bottom``, and rise steeply after it."""
    decades = np.log10(RATES / bottom)
    falling = (1 + np.cos(np.pi * np.clip(1 + decades / width, 0, 1))) / 2
    return np.asarray(np.where(decades <= 0, falling, np.expm1(40 * np.abs(decades))))


def ran(objective: Any, **options: Any) -> RangeTest:
    test = RangeTest(objective, **options)
    test.run()
    return test


def test_it_is_one_descent_at_a_growing_rate() -> None:
    objective = Quadratic(dimension=4)
    test = ran(objective, low=1e-3, high=1.0, steps=40)
    x = objective.initial_parameters(0)
    for place, rate in enumerate(np.geomspace(1e-3, 1.0, 40)):
        x = x - rate * objective.value_and_gradient(x[np.newaxis])[1][0]
        assert test.rates[place] == rate
        assert test.losses[place] == pytest.approx(objective.value_and_gradient(x[np.newaxis])[0][0], rel=1e-12)
    assert len(test.losses) == len(test.rates) == 40
    assert test.gradient_evaluations == 41


def test_momentum_follows_the_rate() -> None:
    objective = Quadratic(dimension=1, curvature_scale=2.0)
    test = ran(objective, low=1e-3, high=0.1, steps=20, method=Method("heavy_ball", {"momentum": 0.5}))
    x, velocity = objective.initial_parameters(0), np.zeros(1)
    for place, rate in enumerate(np.geomspace(1e-3, 0.1, 20)):
        velocity = 0.5 * velocity + 2 * (x - objective.optimum)
        x = x - rate * velocity
        assert test.losses[place] == pytest.approx(float(np.sum((x - objective.optimum) ** 2)), rel=1e-9)


def test_every_gradient_is_counted_and_the_explosion_ends_it() -> None:
    class Counted(LineFit):
        evaluations = 0

        def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
            self.evaluations += len(parameters)
            return super().value_and_gradient(parameters)

    objective = Counted()
    test = ran(objective)
    assert test.gradient_evaluations == objective.evaluations == len(test.losses) + 1
    assert len(test.losses) < 100
    assert exploded(test.losses)
    assert not exploded(test.losses[:-1])


def test_a_descent_that_leaves_the_finite_numbers_ends_there() -> None:
    test = ran(LineFit(), low=1e11, high=1e12, steps=50)
    assert not math.isfinite(test.losses[-1])
    assert len(test.rates) == len(test.losses) < 50
    assert analyse(test.rates, test.losses).minimum is None


def test_the_tutorial_problem() -> None:
    test = ran(LineFit())
    found = analyse(test.rates, test.losses)
    limit = 2 / LineFit().curvature[1]
    # The bottom is a little past the limit: there the loss has only begun to grow.
    assert limit < found.minimum < 2 * limit  # type: ignore[operator]
    assert found.tenth_of_minimum == found.minimum / 10  # type: ignore[operator]
    assert found.steepest is not None
    assert found.steepest < limit / 10
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(found.minimum / 100)  # type: ignore[operator]
    assert limit < found.high < 10 * limit


@pytest.mark.parametrize("name", ["line_fit", "quadratic", "rosenbrock", "beale", "linear_regression"])
def test_the_suggested_range_holds_the_best_constant_rate(name: str) -> None:
    objective = create(name, {})
    rates = np.geomspace(1e-6, 100, 200).tolist()
    descent = Descent(objective, [Row(rate, 200) for rate in rates])
    descent.advance()
    losses = [float(descent.result(row).loss.values[-1]) for row in range(len(rates))]
    best = min(zip(losses, rates, strict=True), key=lambda pair: pair[0] if math.isfinite(pair[0]) else math.inf)[1]
    test = ran(objective)
    found = analyse(test.rates, test.losses)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= best <= found.high


@pytest.mark.parametrize("objective", [LogisticRegression(), Network()], ids=["logistic_regression", "network"])
def test_mini_batches_are_averaged(objective: Any) -> None:
    tests = [ran(objective, method=Method(batch_size=32), initial_seed=seed) for seed in range(6)]
    found = [analyse(test.rates, test.losses) for test in tests]
    suggested = [(one.minimum, one.steepest) for one in found if one.minimum is not None and one.steepest is not None]
    assert len(suggested) >= 4
    assert all(0.05 < minimum < 20 and 0.001 < steepest <= minimum for minimum, steepest in suggested)
    assert all("noise" in one.statement for one in found if one.minimum is None)


@pytest.mark.parametrize("bottom", [1e-4, 1e-2, 1e-1])
def test_a_known_valley_is_read(bottom: float) -> None:
    found = analyse(RATES, valley(bottom))
    # Averages see the bottom a little before a steep rise.
    assert found.minimum is not None
    assert bottom / 2 < found.minimum <= bottom * 1.0001
    assert found.tenth_of_minimum == found.minimum / 10
    # The cosine is steepest half a decade before its bottom.
    assert found.steepest == pytest.approx(bottom / 10**0.5, rel=0.3)
    assert "lowest at the rate" in found.statement


@pytest.mark.parametrize(("unit", "zero"), [(1.0, -1000.0), (1e-12, 0.0), (1e250, 0.0), (5.0, -5.0), (1e-3, -7.0)])
def test_neither_unit_nor_zero_of_the_loss_matters(unit: float, zero: float) -> None:
    expected, found = analyse(RATES, valley()), analyse(RATES, unit * valley() + zero)
    for field in ("minimum", "tenth_of_minimum", "steepest", "low", "high"):
        assert getattr(found, field) == pytest.approx(getattr(expected, field))


def test_noise_moves_the_answer_little() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (20, len(RATES)))
    for row in noise:
        found = analyse(RATES, valley(width=2.0) + row)
        assert found.minimum == pytest.approx(1e-2, rel=0.8)
        assert found.steepest is not None
        assert 1e-4 < found.steepest < 1e-2


def test_what_comes_after_the_explosion_does_not_matter() -> None:
    losses = valley()
    found = analyse(RATES, losses)
    after = len(found.smoothed)
    assert after < len(losses)
    changed = losses.copy()
    changed[after + 1 :] = np.resize([math.nan, -math.inf, -1e9], len(losses) - after - 1)
    assert analyse(RATES, changed).minimum == found.minimum


def says(found: Finding) -> str:
    """The statement of a finding without a number."""
    numbers = (found.minimum, found.tenth_of_minimum, found.steepest, found.low, found.high)
    assert numbers == (None,) * 5
    return found.statement


def test_a_loss_that_never_moves_gets_a_statement() -> None:
    for level in (0.0, -3.0, 1e300):
        assert "does not move" in says(analyse(RATES, np.full(len(RATES), level)))


def test_a_minimum_at_the_upper_edge_gets_a_statement() -> None:
    below = RATES <= 1e-2
    assert "still falls at the highest rate, 0.01" in says(analyse(RATES[below], valley()[below]))


def test_a_minimum_at_the_lower_edge_gets_a_statement() -> None:
    above = RATES >= 1.05e-2
    said = says(analyse(RATES[above], valley()[above]))
    assert "rises from the lowest rate, 0.0112, on" in said


def test_an_explosion_at_once_gets_a_statement() -> None:
    assert "begin lower" in says(analyse(RATES[:9], [1.0, 10.0, math.nan, *[1.0] * 6]))


def test_noise_alone_gets_a_statement() -> None:
    noise = np.random.default_rng(1).normal(5, 1, (200, len(RATES)))
    statements = [analyse(RATES, row).statement for row in noise]
    # One in a hundred is taken for a fall, as the threshold says.
    assert sum("noise" in said for said in statements) >= 194


def test_too_few_points_get_a_statement() -> None:
    assert "too few" in says(analyse(RATES[:3], [3.0, 2.0, 1.0]))


def test_bounded_noise_never_explodes_and_growth_always_does() -> None:
    for row in np.random.default_rng(2).normal(0, 1, (200, 100)):
        assert not any(exploded(row[:count]) for count in range(1, 101))
    growing = np.array([*np.linspace(1, 0.5, 20), *(0.5 + 0.01 * 5.0 ** np.arange(12))])
    assert any(exploded(np.asarray(growing[:count])) for count in range(1, 33))
    assert not any(exploded(-np.arange(count, dtype=np.float64)) for count in range(1, 200))


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"low": 1.0, "high": 1.0}, ["low"]),
        ({"low": 2.0, "high": 1.0}, ["low"]),
        ({"low": 0.0}, ["low"]),
        ({"low": -1.0, "high": math.inf}, ["low", "high"]),
        ({"low": math.nan}, ["low"]),
        ({"high": 1e300}, ["high"]),
        ({"steps": 1}, ["steps"]),
        ({"steps": LARGEST_TEST_STEPS + 1}, ["steps"]),
        ({"method": Method("newton")}, ["update_rule"]),
        ({"method": Method(settings={"momentum": 0.5})}, ["settings.momentum"]),
        ({"method": Method("adam", {"beta1": 1.0})}, ["settings.beta1"]),
        ({"method": Method(batch_size=4)}, ["batch_size"]),
    ],
)
def test_what_cannot_be_tested_is_refused_by_field(options: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        RangeTest(LineFit(), **options)
    assert [error.field for error in caught.value.fields] == fields


@pytest.mark.parametrize(
    ("rates", "losses", "fields"),
    [
        ([], [], ["rates"]),
        ([0.1], [1.0], ["rates"]),
        (np.geomspace(1e-9, 1, LARGEST_TEST_STEPS + 1), np.zeros(LARGEST_TEST_STEPS + 1), ["rates"]),
        ([0.1, 0.1, 0.2], [1.0, 1.0, 1.0], ["rates.1"]),
        ([0.1, 0.2, 0.15], [1.0, 1.0, 1.0], ["rates.2"]),
        ([0.1, math.nan, 0.3], [1.0, 1.0, 1.0], ["rates.1"]),
        ([0.0, 0.1], [1.0, 1.0], ["rates.0"]),
        ([0.1, 0.2], [1.0], ["losses"]),
        ([0.1, 0.2], [[1.0, 2.0]], ["losses"]),
    ],
)
def test_what_is_no_curve_is_refused_by_field(rates: Any, losses: Any, fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        analyse(rates, losses)
    assert [error.field for error in caught.value.fields] == fields


def test_rates_are_geometric() -> None:
    rates = geometric(1e-3, 1e3, 7)
    assert rates.tolist() == pytest.approx([1e-3, 1e-2, 1e-1, 1, 10, 100, 1000])
