"""Range tests as use cases: what they answer, what they store, what they charge, on both databases."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.service.definitions import SPACE, external, registered
from tuner.definition import StudyRequest
from tuner.errors import BudgetSpent, ExternalStudy, InvalidInput, KeyReused, ObjectiveFailed, StudyExists
from tuner.objectives import Array
from tuner.objectives.line_fit import LineFit
from tuner.service import range_tests, studies
from tuner.service.ask import ask
from tuner.service.idempotency import Key
from tuner.service.range_tests import ClientCurve, RangeTestPlan
from tuner.storage.database import Database

TESTED = {**SPACE, "learning_rate": "range-test"}


def spent(database: Database, name: str) -> int:
    return studies.get(database, name)[0].spent.gradient_evaluations


def request(name: str = "line-fit", **changes: Any) -> StudyRequest:
    document = registered(name).model_dump(mode="json")
    return StudyRequest.model_validate({**document, "search_space": TESTED, **changes})


def curve(count: int = 60) -> ClientCurve:
    rates = np.geomspace(1e-5, 1, count)
    return ClientCurve(rates=rates.tolist(), losses=(np.log10(rates / 0.01) ** 2).tolist())


def test_a_test_on_a_study_is_stored_and_charged(database: Database) -> None:
    studies.create(database, registered())
    found = range_tests.run(database, "line-fit", RangeTestPlan())
    assert found.minimum == pytest.approx(1.15, rel=0.01)
    assert found.range is not None
    assert found.source == "service"
    assert found.gradient_evaluations == len(found.losses) + 1 == spent(database, "line-fit")
    assert found.parameters == {"update_rule": "gradient_descent"}
    assert range_tests.page(database, "line-fit").range_tests == [found]
    alone = range_tests.of_objective("line_fit", {"seed": 5}, 0, RangeTestPlan())
    assert dict(alone) == {name: getattr(found, name) for name in type(alone).model_fields}


def test_tests_are_listed_newest_first_a_page_at_a_time_and_curves_are_thinned(database: Database) -> None:
    studies.create(database, registered())
    made = [range_tests.run(database, "line-fit", RangeTestPlan(steps=steps)) for steps in (20, 30, 200)]
    first = range_tests.page(database, "line-fit", max_points=20, page_size=2)
    assert [one.id for one in first.range_tests] == [made[2].id, made[1].id]
    thinned = first.range_tests[0]
    assert len(thinned.losses) == len(thinned.rates) <= 20 < thinned.points == len(made[2].losses)
    assert len(thinned.smoothed) <= len(thinned.losses)
    assert thinned.minimum == made[2].minimum
    rest = range_tests.page(database, "line-fit", page_size=2, page_token=first.next_page_token)
    assert [one.id for one in rest.range_tests] == [made[0].id]
    assert rest.next_page_token is None


def test_a_test_moves_as_the_study_does(database: Database) -> None:
    space = {
        **SPACE,
        "update_rule": {"type": "categorical", "choices": ["heavy_ball"]},
        "momentum": {"type": "float", "low": 0.5, "high": 0.5},
    }
    studies.create(database, registered(search_space=space))
    found = range_tests.run(database, "line-fit", RangeTestPlan())
    assert found.parameters == {"update_rule": "heavy_ball", "momentum": 0.5}
    changed = range_tests.run(database, "line-fit", RangeTestPlan(parameters={"momentum": 0.0}))
    plain = range_tests.of_objective("line_fit", {"seed": 5}, 0, RangeTestPlan())
    assert changed.losses == pytest.approx(plain.losses, rel=1e-6)
    other = range_tests.run(database, "line-fit", RangeTestPlan(parameters={"update_rule": "adam"}))
    assert other.parameters == {"update_rule": "adam"}


def test_a_study_that_searches_the_update_rule_is_asked_which(database: Database) -> None:
    space = {**SPACE, "update_rule": {"type": "categorical", "choices": ["adam", "gradient_descent"]}}
    studies.create(database, registered(search_space=space))
    with pytest.raises(InvalidInput, match=r"^parameters\.update_rule: the study searches it"):
        range_tests.run(database, "line-fit", RangeTestPlan())
    assert range_tests.run(database, "line-fit", RangeTestPlan(parameters={"update_rule": "adam"})).minimum is not None


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (RangeTestPlan(low=1.0, high=0.1), "low"),
        (RangeTestPlan(high=1e15), "high"),
        (RangeTestPlan(parameters={"update_rule": "newton"}), "parameters.update_rule"),
        (RangeTestPlan(parameters={"momentum": 0.5}), "parameters.momentum"),
        (RangeTestPlan(parameters={"update_rule": True}), "parameters.update_rule"),
        (RangeTestPlan(parameters={"update_rule": "heavy_ball", "momentum": "much"}), "parameters.momentum"),
        (RangeTestPlan(parameters={"batch_size": 8}), "parameters.batch_size"),
        (RangeTestPlan(parameters={"batch_size": 8.5}), "parameters.batch_size"),
    ],
)
def test_what_cannot_be_tested_costs_nothing(database: Database, plan: RangeTestPlan, field: str) -> None:
    studies.create(database, registered())
    with pytest.raises(InvalidInput) as caught:
        range_tests.run(database, "line-fit", plan)
    assert [error.field for error in caught.value.fields] == [field]
    assert spent(database, "line-fit") == 0
    assert range_tests.page(database, "line-fit").range_tests == []


def test_a_budget_that_does_not_afford_a_test_refuses_it_and_is_never_overshot(database: Database) -> None:
    studies.create(database, registered(budget={"gradient_evaluations": 150}))
    with pytest.raises(
        BudgetSpent, match="may take 201 gradient evaluations; the budget of study 'line-fit' leaves 150"
    ):
        range_tests.run(database, "line-fit", RangeTestPlan(steps=200))
    taken = range_tests.run(database, "line-fit", RangeTestPlan()).gradient_evaluations
    with pytest.raises(BudgetSpent):
        range_tests.run(database, "line-fit", RangeTestPlan())
    assert spent(database, "line-fit") == taken < 150
    asked = ask(database, "line-fit", count=100)
    assert sum(int(str(lease.parameters["steps"])) + 1 for lease in asked.trials) <= 150 - taken


def test_a_test_that_spends_the_budget_completes_the_study(database: Database) -> None:
    studies.create(database, registered(budget={"gradient_evaluations": 22}))
    range_tests.run(database, "line-fit", RangeTestPlan(steps=20, high=1e-3))
    found, _ = studies.get(database, "line-fit")
    assert (found.state, found.spent.gradient_evaluations) == ("completed", 21)


def test_tests_at_once_never_overshoot_the_budget(database: Database) -> None:
    studies.create(database, registered(budget={"gradient_evaluations": 100}))

    def attempt(_: int) -> int:
        try:
            return range_tests.run(database, "line-fit", RangeTestPlan(steps=30, high=1e-3)).gradient_evaluations
        except BudgetSpent:
            return 0

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(attempt, range(8)))
    assert sum(taken) == spent(database, "line-fit") <= 100
    assert sum(taken) in {31, 62, 93}


def test_an_objective_that_fails_in_the_middle_is_not_charged(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies.create(database, registered())

    def failing(self: LineFit, parameters: Array) -> tuple[Array, Array]:
        raise RuntimeError("out of order")

    monkeypatch.setattr(LineFit, "value_and_gradient", failing)
    with pytest.raises(ObjectiveFailed, match="out of order"):
        range_tests.run(database, "line-fit", RangeTestPlan())
    assert spent(database, "line-fit") == 0


def test_the_same_request_under_the_same_key_runs_once(database: Database) -> None:
    studies.create(database, registered())
    first = range_tests.run(database, "line-fit", RangeTestPlan(), Key("k", "request"))
    assert range_tests.run(database, "line-fit", RangeTestPlan(), Key("k", "request")) == first
    with pytest.raises(KeyReused):
        range_tests.run(database, "line-fit", RangeTestPlan(), Key("k", "another"))
    assert spent(database, "line-fit") == first.gradient_evaluations
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: range_tests.submit(database, "line-fit", curve(), Key("c", "r")).id, range(4))
        )
    assert len(set(answers)) == 1
    assert len(range_tests.page(database, "line-fit").range_tests) == 2
    assert spent(database, "line-fit") == first.gradient_evaluations + 60


def test_a_clients_curve_is_stored_and_charged_a_gradient_a_point(database: Database) -> None:
    studies.create(database, external(budget={"gradient_evaluations": 1000}))
    found = range_tests.submit(database, "resnet", curve())
    assert found.minimum == pytest.approx(0.01, rel=0.3)
    assert (found.source, found.parameters, found.gradient_evaluations) == ("client", None, 60)
    assert spent(database, "resnet") == 60
    assert range_tests.page(database, "resnet").range_tests == [found]
    with pytest.raises(BudgetSpent):
        range_tests.submit(database, "resnet", curve(941))
    with pytest.raises(ExternalStudy):
        range_tests.run(database, "resnet", RangeTestPlan())


def test_a_curve_that_is_not_finite_comes_back_as_it_was(database: Database) -> None:
    studies.create(database, external())
    rates = np.geomspace(1e-3, 1, 12).tolist()
    losses = [*np.linspace(0, -9, 10).tolist(), math.nan, -math.inf]
    found = range_tests.submit(database, "resnet", ClientCurve(rates=rates, losses=losses))
    [read] = range_tests.page(database, "resnet").range_tests
    assert read.losses[:10] == losses[:10]
    assert math.isnan(read.losses[10])
    assert read.losses[11] == -math.inf
    assert len(found.smoothed) == 10


def test_a_study_is_created_over_the_range_that_a_test_finds(database: Database) -> None:
    created, is_new = studies.create(database, request())
    assert is_new
    assert created.definition is not None
    found = created.definition.search_space["learning_rate"].model_dump()
    test = range_tests.of_objective("line_fit", {"seed": 5}, 0, RangeTestPlan())
    assert test.range is not None
    assert found == {"type": "float", "low": test.range.low, "high": test.range.high, "scale": "log"}
    [stored] = range_tests.page(database, "line-fit").range_tests
    assert stored.range == test.range
    assert created.spent.gradient_evaluations == stored.gradient_evaluations == test.gradient_evaluations
    again, is_new = studies.create(database, request())
    assert not is_new
    assert again.definition == created.definition
    assert spent(database, "line-fit") == test.gradient_evaluations
    assert studies.create(database, created.definition)[1] is False
    with pytest.raises(StudyExists, match="search_space differs"):
        studies.create(database, request(search_space={**TESTED, "learning_rate": {"type": "range-test", "steps": 50}}))
    assert ask(database, "line-fit", count=3).trials


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"search_space": {**TESTED, "steps": "range-test"}}, "search_space.steps", "only learning_rate"),
        ({"objective": None}, "search_space.learning_rate", "objective is registered"),
        ({"budget": {"gradient_evaluations": 102}}, "budget.gradient_evaluations", "may take 101"),
        (
            {"search_space": {**TESTED, "learning_rate": {"type": "range-test", "high": 1e-4}}},
            "search_space.learning_rate",
            "The loss still falls at the highest rate",
        ),
        (
            {"search_space": {**TESTED, "learning_rate": {"type": "range-test", "low": 100.0}}},
            "search_space.learning_rate.low",
            "below high",
        ),
        (
            {"search_space": {**TESTED, "update_rule": {"type": "categorical", "choices": ["adam", "rmsprop"]}}},
            "search_space.learning_rate.parameters.update_rule",
            "the study searches it",
        ),
        ({"objective": {"name": "line_fit", "settings": {"seed": "x"}}}, "objective.settings.seed", "integer"),
    ],
)
def test_a_study_whose_range_cannot_be_found_is_refused(
    database: Database, changes: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        studies.create(database, request(**changes))
    [error] = caught.value.fields
    assert error.field == field
    assert said in error.message
    assert studies.page(database).studies == []
