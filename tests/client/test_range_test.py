"""Range tests in a training program's own process, and stability, against the real service."""

import math
from itertools import count
from typing import Any

import numpy as np
import pytest

from tests.api.requests import registered
from tuner.analysis import range_test as service_side
from tuner.client import Client, measurements
from tuner.definition import StudyDefinition
from tuner.errors import (
    BudgetSpent,
    ExternalStudy,
    InvalidInput,
    NoResult,
    ObjectiveNotFound,
    StudyNotFound,
)
from tuner.limits import LARGEST_TEST_STEPS
from tuner.objectives.line_fit import LineFit
from tuner.service import range_tests, studies
from tuner.storage.database import Database


class Descent:
    """Gradient descent on the tutorial problem, as a training program writes it."""

    def __init__(self) -> None:
        self.objective = LineFit()
        self.x = self.objective.initial_parameters(0)[np.newaxis]
        self.rates: list[float] = []

    def __call__(self, rate: float) -> Any:
        self.rates.append(rate)
        _, gradients = self.objective.value_and_gradient(self.x)
        self.x = self.x - np.float32(rate) * gradients
        return self.objective.value_and_gradient(self.x)[0][0]


def test_it_suggests_what_the_service_would(client: Client) -> None:
    step = Descent()
    found = client.range_test(step)
    expected = range_tests.of_objective("line_fit", {"seed": 5}, 0, range_tests.RangeTestPlan())
    assert found.rates == pytest.approx(expected.rates)
    assert found.losses == pytest.approx(expected.losses, rel=1e-3)
    assert (found.minimum, found.steepest) == pytest.approx((expected.minimum, expected.steepest))
    assert found.tenth_of_minimum == pytest.approx(found.minimum / 10)  # type: ignore[operator]
    assert expected.range is not None
    assert found.range == pytest.approx((expected.range.low, expected.range.high))
    assert found.statement == expected.statement
    assert step.rates == list(found.rates), "it ends where the loss explodes"
    assert len(step.rates) < 100


def test_its_range_is_one_to_search(client: Client, database: Database) -> None:
    test = client.range_test(Descent())
    study = client.study("s", learning_rate=test.range, steps=(1, 10), sampler="random", trials=2)
    assert study.definition["search_space"]["learning_rate"] == {
        "type": "float",
        "low": test.range[0],
        "high": test.range[1],
        "scale": "log",
    }
    kept = client.range_test(Descent(), study="s")
    [stored] = range_tests.page(database, "s").range_tests
    assert (stored.source, stored.minimum) == ("client", kept.minimum)
    assert studies.get(database, "s")[0].spent.gradient_evaluations == len(kept.losses)


def test_what_suggests_nothing_says_why(client: Client) -> None:
    found = client.range_test(lambda _: 1.0)
    assert (found.minimum, found.tenth_of_minimum, found.steepest, found.suggested) == (None,) * 4
    assert len(found.losses) == 100
    with pytest.raises(NoResult, match="does not move"):
        _ = found.range
    losses = count(1)
    assert "begin lower" in client.range_test(lambda _: math.nan if next(losses) == 3 else 1.0).statement
    with pytest.raises(InvalidInput, match=r"^low: the loss is not finite at once"):
        client.range_test(lambda _: math.inf)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"low": 1.0, "high": 1.0}, "low"),
        ({"low": 0.0}, "low"),
        ({"high": math.nan}, "high"),
        ({"steps": 1}, "steps"),
        ({"steps": 10_001}, "steps"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(
    client: Client, options: dict[str, Any], field: str
) -> None:
    def step(_: float) -> float:
        raise AssertionError

    with pytest.raises(InvalidInput) as caught:
        client.range_test(step, **options)
    assert [error.field for error in caught.value.fields] == [field]
    with pytest.raises(StudyNotFound):
        client.range_test(step, study="nobody")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_step_that_returns_no_number_or_raises_is_named(client: Client) -> None:
    with pytest.raises(InvalidInput, match=r"^losses: of the step at the rate 1e-06: is None, no number"):
        client.range_test(lambda _: None)  # type: ignore[arg-type, return-value]

    def broken(_: float) -> float:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        client.range_test(broken)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_test_that_the_budget_does_not_afford_is_not_kept(client: Client, database: Database) -> None:
    client.study("s", learning_rate=0.1, steps=(1, 10), gradient_evaluations=50)
    with pytest.raises(BudgetSpent):
        client.range_test(lambda _: 1.0, study="s")
    assert range_tests.page(database, "s").range_tests == []


def test_both_sides_judge_an_explosion_alike() -> None:
    assert (measurements.LOW, measurements.HIGH, measurements.STEPS) == (
        service_side.LOW,
        service_side.HIGH,
        service_side.STEPS,
    )
    assert measurements.MOST_STEPS == LARGEST_TEST_STEPS
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(300):
        losses = rng.normal(0, 1, rng.integers(1, 30)) * 10.0 ** rng.integers(-3, 3)
        losses[-1] *= rng.choice([1.0, 5.0, 20.0])
        verdicts.append(service_side.exploded(losses))
        assert measurements.exploded(losses.tolist()) == verdicts[-1]
    assert {True, False} == set(verdicts)


def test_stability_of_an_objective_and_of_a_study(client: Client, database: Database) -> None:
    plain = client.stability("line_fit", {"seed": 5})
    assert plain.limit == pytest.approx(0.7755, abs=1e-3)
    assert plain.curvature == pytest.approx(2.579, abs=1e-3)
    momentum = client.stability("line_fit", update_rule="heavy_ball", momentum=0.5)
    assert momentum.limit == pytest.approx(1.5 * 0.7755, abs=2e-3)
    with pytest.raises(ObjectiveNotFound):
        client.stability("nothing")
    studies.create(database, StudyDefinition.model_validate(registered()))
    study = client.study("line-fit")
    study.enqueue(learning_rate=0.5, steps=3)
    assert study.stability().limit is None
    measured = study.stability(measure=True)
    assert measured.limit == pytest.approx(plain.limit)
    assert measured.ratios == {0: pytest.approx(0.5 / plain.limit)}  # type: ignore[operator]
    assert study.stability() == measured
    external = client.study("s", learning_rate=0.1, steps=3)
    with pytest.raises(ExternalStudy):
        external.stability()
