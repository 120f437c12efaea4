"""Stability as use cases: what is measured of a study, what it costs, and how near the edge its trials sat."""

import re
from typing import Any

import numpy as np
import pytest

from tests.service.definitions import SPACE, external, registered
from tests.worker.running import trials_of, work_off
from tuner.analysis.gradient_check import EVALUATIONS
from tuner.errors import BudgetSpent, ExternalStudy, InvalidInput, ObjectiveNotFound
from tuner.objectives.line_fit import LineFit
from tuner.objectives.rosenbrock import Rosenbrock
from tuner.service import stability, studies
from tuner.service.idempotency import Key
from tuner.service.stability import StabilityEffort, StabilityProbe
from tuner.storage.database import Database

LIMIT = 2 / LineFit().curvature[1]


def spent(database: Database, name: str) -> int:
    return studies.get(database, name)[0].spent.gradient_evaluations


def valley(**changes: Any) -> Any:
    """A study of Rosenbrock's valley, whose curvature changes along the way."""
    return registered(
        objective={"name": "rosenbrock"},
        search_space={
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-3, "scale": "log"},
            "steps": {"type": "int", "low": 400, "high": 400},
        },
        **{"budget": {"trials": 10}, **changes},
    )


def hessian(x: float, y: float) -> Any:
    return np.array([[1200 * x**2 - 400 * y + 2, -400 * x], [-400 * x, 200.0]])


def test_nothing_is_known_before_it_is_measured(database: Database) -> None:
    studies.create(database, registered(budget={"trials": 3}))
    work_off(database, "line-fit")
    found = stability.read(database, "line-fit")
    assert (found.measured, found.limit) == (None, None)
    assert found.statement == "The curvature has not been measured yet."
    assert [trial.ratio for trial in found.trials] == [None] * 3
    before = spent(database, "line-fit")
    stability.read(database, "line-fit")
    assert spent(database, "line-fit") == before


def test_a_quadratic_has_its_limit_everywhere(database: Database) -> None:
    studies.create(database, registered(budget={"trials": 10}))
    work_off(database, "line-fit")
    before = spent(database, "line-fit")
    measured = stability.measure(database, "line-fit", StabilityEffort())
    best = studies.get(database, "line-fit")[0].best
    assert best is not None
    steps = best.parameters["steps"]
    assert isinstance(steps, int)
    assert measured.trial == best.number
    assert [point.step for point in measured.along_best] == sorted({steps // 8, steps // 4, steps // 2, steps} - {0})
    for point in (measured.at_start, *measured.along_best):
        assert point.largest == pytest.approx(LineFit().curvature[1], rel=0.01)
        assert point.converged
    assert measured.gradient_evaluations == steps + 1 + 4 * (1 + len(measured.along_best))
    assert spent(database, "line-fit") == before + measured.gradient_evaluations

    found = stability.read(database, "line-fit")
    assert found.measured == measured
    assert found.limit == pytest.approx(LIMIT, rel=0.001)
    assert found.limit_along_best == pytest.approx(LIMIT, rel=0.001)
    # Single precision: the last digit is another on another processor.
    assert re.search(r"gradient descent is stable at the start below a rate of 0\.775[3-6]\.", found.statement)
    for shown, trial in zip(found.trials, trials_of(database, "line-fit"), strict=True):
        rate = trial.parameters["learning_rate"]
        assert shown.number == trial.number
        assert shown.learning_rate == rate
        assert shown.ratio == pytest.approx(rate / LIMIT, rel=0.001)


def test_a_valley_is_measured_along_its_best_run(database: Database) -> None:
    studies.create(database, valley())
    work_off(database, "line-fit")
    measured = stability.measure(database, "line-fit", StabilityEffort(points=3))
    best = studies.get(database, "line-fit")[0].best
    assert best is not None
    rate = best.parameters["learning_rate"]
    assert isinstance(rate, float)
    x = Rosenbrock().initial_parameters(0)
    expected = {}
    for step in range(401):
        expected[step] = np.linalg.eigvalsh(hessian(*x))
        x = x - rate * Rosenbrock().value_and_gradient(x[np.newaxis])[1][0]
    assert [point.step for point in measured.along_best] == [100, 200, 400]
    for point in (measured.at_start, *measured.along_best):
        assert point.largest == pytest.approx(expected[point.step][-1], rel=0.01)
        assert point.smallest == pytest.approx(expected[point.step][0], rel=0.01, abs=0.01)
    found = stability.read(database, "line-fit")
    sharpest = max(point.largest or 0 for point in (measured.at_start, *measured.along_best))
    assert found.limit_along_best == pytest.approx(2 / sharpest)
    assert found.limit_along_best <= found.limit  # type: ignore[operator]


def test_towards_a_target_the_best_run_is_followed_as_far_as_it_had_to_go(database: Database) -> None:
    studies.create(database, valley(goal={"minimize": "steps", "until": {"loss": 4.0}}))
    work_off(database, "line-fit")
    measured = stability.measure(database, "line-fit", StabilityEffort(points=2))
    best = studies.best(database, "line-fit")
    assert best.objective_value is not None
    assert 1 < best.objective_value < 400
    assert measured.trial == best.number
    assert measured.along_best[-1].step == best.objective_value


def test_of_a_trade_off_the_start_is_measured(database: Database) -> None:
    studies.create(database, valley(goal={"minimize": ["loss", "steps"]}))
    work_off(database, "line-fit")
    measured = stability.measure(database, "line-fit", StabilityEffort())
    assert (measured.trial, measured.along_best) == (None, [])


def test_before_any_trial_the_start_is_measured(database: Database) -> None:
    studies.create(database, registered())
    measured = stability.measure(database, "line-fit", StabilityEffort())
    assert (measured.trial, measured.along_best) == (None, [])
    assert measured.gradient_evaluations == spent(database, "line-fit") == 4
    found = stability.read(database, "line-fit")
    assert found.limit == pytest.approx(LIMIT, rel=0.001)
    assert found.limit_along_best is None


def test_each_update_rule_has_its_own_limit(database: Database) -> None:
    space = {
        **SPACE,
        "update_rule": {"type": "categorical", "choices": ["gradient_descent", "heavy_ball", "adam"]},
        "momentum": {"type": "float", "low": 0.1, "high": 0.9},
    }
    studies.create(database, registered(search_space=space, budget={"trials": 12}))
    work_off(database, "line-fit")
    stability.measure(database, "line-fit", StabilityEffort(points=0))
    found = stability.read(database, "line-fit")
    assert found.limit is None
    assert "each trial has a limit of its own" in found.statement
    rules = set()
    for shown, trial in zip(found.trials, trials_of(database, "line-fit"), strict=True):
        rule, momentum = trial.parameters["update_rule"], trial.parameters["momentum"]
        assert isinstance(momentum, float)
        rules.add(rule)
        expected = {"gradient_descent": LIMIT, "heavy_ball": LIMIT * (1 + momentum), "adam": None}[str(rule)]
        assert shown.limit == (None if expected is None else pytest.approx(expected, rel=0.001))
    assert len(rules) == 3


def test_the_budget_is_honoured(database: Database) -> None:
    run = EVALUATIONS + 401
    studies.create(database, valley(budget={"trials": 1, "gradient_evaluations": run + 420}))
    work_off(database, "line-fit")
    assert spent(database, "line-fit") == run
    # The run takes 401 once more, and five points at least four each.
    with pytest.raises(
        BudgetSpent, match="takes at least 421 gradient evaluations; the budget of 'line-fit' leaves 420"
    ):
        stability.measure(database, "line-fit", StabilityEffort())
    measured = stability.measure(database, "line-fit", StabilityEffort(points=1))
    assert measured.gradient_evaluations <= 420
    assert spent(database, "line-fit") == run + measured.gradient_evaluations
    with pytest.raises(BudgetSpent):
        stability.measure(database, "line-fit", StabilityEffort(points=1))


def test_the_same_request_under_the_same_key_measures_once(database: Database) -> None:
    studies.create(database, registered())
    first = stability.measure(database, "line-fit", StabilityEffort(), Key("k", "r"))
    assert stability.measure(database, "line-fit", StabilityEffort(), Key("k", "r")) == first
    assert spent(database, "line-fit") == 4


def test_trials_come_a_page_at_a_time(database: Database) -> None:
    studies.create(database, registered(budget={"trials": 5}))
    work_off(database, "line-fit")
    first = stability.read(database, "line-fit", page_size=3)
    rest = stability.read(database, "line-fit", page_size=3, page_token=first.next_page_token)
    assert [trial.number for trial in (*first.trials, *rest.trials)] == [0, 1, 2, 3, 4]
    assert rest.next_page_token is None


def test_only_who_trains_an_external_study_can_measure_it(database: Database) -> None:
    studies.create(database, external())
    with pytest.raises(ExternalStudy):
        stability.measure(database, "resnet", StabilityEffort())
    with pytest.raises(ExternalStudy):
        stability.read(database, "resnet")


def test_an_objective_alone() -> None:
    found = stability.of_objective("line_fit", StabilityProbe())
    assert found.limit == pytest.approx(0.7755, abs=1e-3)
    assert found.curvature.gradient_evaluations == 4
    momentum = stability.of_objective(
        "line_fit", StabilityProbe(parameters={"update_rule": "nesterov", "momentum": 0.5})
    )
    assert momentum.limit == pytest.approx(0.75 * LIMIT, rel=0.001)
    adam = stability.of_objective("line_fit", StabilityProbe(parameters={"update_rule": "adam"}))
    assert adam.limit is None
    assert "It sets no limit to adam" in adam.statement
    short = stability.of_objective("quadratic", StabilityProbe(settings={"dimension": 200}, evaluations=5))
    assert not short.curvature.converged
    assert "has not converged: it takes more than 5 gradient evaluations" in short.statement
    with pytest.raises(ObjectiveNotFound):
        stability.of_objective("line-fit", StabilityProbe())
    with pytest.raises(InvalidInput, match=r"^parameters\.momentum: "):
        stability.of_objective("line_fit", StabilityProbe(parameters={"momentum": 0.5}))
