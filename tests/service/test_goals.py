"""Goals that are about steps: the fewest that reach a target, and the trade-off of a metric against them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest

from tests.service.definitions import SPACE, complete, external
from tests.worker.running import definition, trials_of, work_off
from tuner import objectives
from tuner.definition import StudyDefinition
from tuner.errors import InvalidInput, NoResult, NoSingleBest
from tuner.service import studies
from tuner.service.ask import ask
from tuner.service.report import NewPoints, Report, Reported, report
from tuner.service.tell import Ending, tell
from tuner.storage import TunerStorage
from tuner.storage.database import Database
from tuner.trial import Trial

RATES = {"type": "float", "low": 1e-3, "high": 3.0, "scale": "log"}
UNTIL = {"minimize": "steps", "until": {"loss": 1e-3}}
FREE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


def bowl(name: str = "bowl", **changes: Any) -> StudyDefinition:
    """One dimension, curvature 1: after k steps the loss is f(x_0)·(1 - rate)^2k."""
    space = {"learning_rate": RATES, "steps": {"type": "int", "low": 200, "high": 200}}
    return definition(name, "quadratic", settings={"dimension": 1}, search_space=space, **changes)


def start_loss() -> float:
    objective = objectives.create("quadratic", {"dimension": 1})
    [loss], _ = objective.value_and_gradient(objective.initial_parameters(0)[None])
    return float(loss)


def steps_to(target: float, rate: float) -> float:
    """The closed form, infinite where the rate converges too slowly or not at all."""
    factor = (1 - rate) ** 2
    steps = 0 if factor == 0 else math.log(target / start_loss()) / math.log(factor)
    return math.ceil(steps) if 0 <= steps <= 200 and factor < 1 else math.inf


def test_the_fewest_steps_to_a_target_are_those_of_the_closed_form(database: Database) -> None:
    studies.create(database, bowl(goal=UNTIL, budget={"trials": 60}))
    found = work_off(database, "bowl")
    values = []
    for trial in trials_of(database, "bowl"):
        rate: Any = trial.parameters["learning_rate"]
        values.append(math.inf if trial.objective_value is None else trial.objective_value)
        assert values[-1] == steps_to(1e-3, rate)
    assert math.inf in values
    assert found.best is not None
    assert found.best.objective_value == min(values)
    assert studies.best(database, "bowl") == found.best


def test_the_points_that_were_reported_before_count(database: Database) -> None:
    """A long run's curve comes in several reports, and its result brings only the rest."""
    studies.create(database, external(goal=UNTIL))
    trial = tell_curve(database, "resnet", steps=[0, 10, 20, 30], losses=[1.0, 5e-4, 2e-4, 1e-4], told=1e-5)
    assert trial.objective_value == 10


@pytest.mark.parametrize("goal", [UNTIL, {"minimize": "steps", "until": {"loss": {"at_least": 1e-3}}}], ids=str)
def test_a_client_is_told_to_stop_where_the_target_is_reached(database: Database, goal: dict[str, Any]) -> None:
    studies.create(database, external(goal=goal, search_space={**SPACE, "steps": {**SPACE["steps"], "low": 100}}))
    [lease] = ask(database, "resnet").trials
    falling = goal is UNTIL
    before, after = ([1.0, 0.5], [2e-3, 9e-4, 8e-4]) if falling else ([1e-5, 1e-4], [9e-4, 2e-3, 3e-3])
    [answer] = report(database, "resnet", [Report(lease.number, 1, [NewPoints("loss", [0, 1], before)])])
    assert isinstance(answer, Reported)
    assert not answer.should_stop
    # Out of order: the earliest of those that are reached is named.
    points = [NewPoints("loss", [4, 3, 2], list(reversed(after)))]
    [answer] = report(database, "resnet", [Report(lease.number, 1, points)])
    assert isinstance(answer, Reported)
    assert answer.should_stop
    assert answer.reason == "loss has reached its target 0.001 at step 3"
    [told] = tell(database, "resnet", [complete(lease, after[-1])])
    assert isinstance(told, Trial)
    assert (told.steps_run, told.gradient_evaluations, told.objective_value) == (4, 4, 3)


def test_a_sparse_report_answers_by_the_reported_steps_and_the_told_value_by_the_last(database: Database) -> None:
    studies.create(database, external(goal=UNTIL))
    late = tell_curve(database, "resnet", steps=[0, 50], losses=[1.0, 0.5], told=1e-4)
    assert late.objective_value == late.parameters["steps"] == late.steps_run
    never = tell_curve(database, "resnet", steps=[0, 50], losses=[1.0, 0.5], told=0.5)
    assert never.objective_value is None
    assert studies.best(database, "resnet") == late


def test_a_metric_that_rises(database: Database) -> None:
    studies.create(database, external(goal={"minimize": "steps", "until": {"accuracy": {"at_least": 0.9}}}))
    trial = tell_curve(
        database, "resnet", steps=[1, 2, 3, 4], losses=[0.2, 0.95, 0.8, 0.99], told=0.99, metric="accuracy"
    )
    assert trial.objective_value == 2


def test_where_no_trial_gets_there_nothing_is_the_best(database: Database) -> None:
    studies.create(database, external(goal=UNTIL))
    tell_curve(database, "resnet", steps=[1], losses=[math.nan], told=math.nan)
    with pytest.raises(NoResult, match="target"):
        studies.best(database, "resnet")


@pytest.mark.parametrize("goal", [UNTIL, {"minimize": ["loss", "steps"]}], ids=str)
def test_a_result_of_unknown_length_is_refused(database: Database, goal: dict[str, Any]) -> None:
    studies.create(database, external(goal=goal, search_space=FREE))
    [lease] = ask(database, "resnet").trials
    [refused] = tell(database, "resnet", [complete(lease, 1e-4)])
    assert isinstance(refused, InvalidInput)
    assert [error.field for error in refused.fields] == ["values.loss"]
    report(database, "resnet", [Report(lease.number, lease.attempt, [NewPoints("loss", [7], [0.5])])])
    [told] = tell(database, "resnet", [complete(lease, 1e-4)])
    assert isinstance(told, Trial)
    assert told.steps_run == 7
    assert told.objective_value == (7 if goal is UNTIL else None)


def test_a_repeated_result_is_the_first(database: Database) -> None:
    studies.create(database, external(goal=UNTIL))
    [lease] = ask(database, "resnet").trials
    [first] = tell(database, "resnet", [complete(lease, 1e-4)])
    [again] = tell(database, "resnet", [complete(lease, 1e-4)])
    assert first == again
    assert isinstance(first, Trial)
    assert first.objective_value == first.parameters["steps"]


def test_a_trade_off_has_no_best_trial(database: Database) -> None:
    studies.create(database, bowl(goal={"minimize": ["loss", "steps"]}, budget={"trials": 5}))
    found = work_off(database, "bowl")
    assert found.best is None
    with pytest.raises(NoSingleBest, match="pareto"):
        studies.best(database, "bowl")


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random", "qmc", "grid"])
@pytest.mark.parametrize("goal", [UNTIL, {"minimize": ["loss", "steps"]}], ids=["until", "trade-off"])
def test_samplers_search_for_it(database: Database, sampler: str, goal: dict[str, Any]) -> None:
    settings = {"tpe": {"n_startup_trials": 5}, "nsga2": {"population_size": 5}}.get(sampler, {})
    space = {"learning_rate": RATES, "steps": {"type": "int", "low": 1, "high": 50}}
    study = definition(
        "bowl", "quadratic", search_space=space, goal=goal, budget={"trials": 20},
        sampler={"name": sampler, "settings": settings, "batch_size": 5},
    )  # fmt: skip
    studies.create(database, study)
    found = work_off(database, "bowl")
    assert found.trials["complete"] == 20
    assert len({tuple(trial.parameters.values()) for trial in trials_of(database, "bowl")}) > 10


def test_a_sampler_for_one_best_trial_is_refused_a_trade_off(database: Database) -> None:
    with pytest.raises(InvalidInput) as refused:
        studies.create(database, bowl(goal={"minimize": ["loss", "steps"]}, sampler={"name": "cmaes"}))
    assert [error.field for error in refused.value.fields] == ["sampler.name"]
    assert "nsga2" in str(refused.value)


@pytest.mark.parametrize(
    ("goal", "field"),
    [
        ({"minimize": "steps"}, "goal.until"),
        ({"minimize": "steps", "until": {"accuracy": 0.1}}, "goal.until.accuracy"),
        ({"minimize": "steps", "until": {"loss": {"at_least": 0.1}}}, "goal.until.loss"),
        ({"minimize": ["validation_loss", "steps"]}, "goal.minimize"),
        ({"maximize": "loss", "minimize": "steps"}, "goal.maximize"),
    ],
    ids=str,
)
def test_what_the_objective_cannot_answer_is_refused(database: Database, goal: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        studies.create(database, bowl(goal=goal))
    assert [error.field for error in refused.value.fields] == [field]


def test_an_optuna_program_sees_what_trials_are_ranked_by(database: Database) -> None:
    studies.create(database, bowl(goal=UNTIL, budget={"trials": 20}))
    best = work_off(database, "bowl").best
    assert best is not None
    seen = optuna.load_study(study_name="bowl", storage=TunerStorage(database))
    assert seen.directions == [optuna.study.StudyDirection.MINIMIZE]
    assert seen.best_value == best.objective_value
    assert seen.best_trial.number == best.number
    assert [trial.value for trial in seen.trials] == [
        math.inf if trial.objective_value is None else trial.objective_value for trial in trials_of(database, "bowl")
    ]


def test_an_optuna_program_sees_the_front_of_the_last_steps(database: Database) -> None:
    space = {"learning_rate": RATES, "steps": {"type": "int", "low": 1, "high": 50}}
    goal = {"minimize": ["loss", "steps"]}
    studies.create(database, definition("bowl", "quadratic", search_space=space, goal=goal, budget={"trials": 30}))
    work_off(database, "bowl")
    seen = optuna.load_study(study_name="bowl", storage=TunerStorage(database))
    assert seen.directions == [optuna.study.StudyDirection.MINIMIZE] * 2
    told = np.array([[(trial.values or {})["loss"], trial.steps_run] for trial in trials_of(database, "bowl")])
    told[~np.isfinite(told)] = math.inf
    dominated = [any((other <= one).all() and (other < one).any() for other in told) for one in told]
    assert {trial.number for trial in seen.best_trials} == set(np.flatnonzero(~np.array(dominated)).tolist())


def test_an_optuna_program_tells_the_steps_themselves(database: Database) -> None:
    studies.create(database, external(goal=UNTIL, search_space=SPACE))
    seen = optuna.load_study(study_name="resnet", storage=TunerStorage(database))
    trial = seen.ask()
    trial.suggest_float("learning_rate", 1e-4, 1.0, log=True)
    trial.suggest_int("steps", 1, 200)
    seen.tell(trial, 12.0)
    assert seen.best_value == 12.0
    assert studies.best(database, "resnet").objective_value == 12.0


def tell_curve(
    database: Database, study: str, *, steps: Sequence[int], losses: Sequence[float], told: float, metric: str = "loss"
) -> Trial:
    """One trial of a training client: the points are reported one by one, the last one comes with the result."""
    [lease] = ask(database, study).trials
    for step, loss in zip(steps[:-1], losses[:-1], strict=True):
        report(database, study, [Report(lease.number, lease.attempt, [NewPoints(metric, [step], [loss])])])
    ending = Ending(
        lease.number,
        lease.attempt,
        "complete",
        values={metric: told},
        curves=[NewPoints(metric, steps[-1:], losses[-1:])],
    )
    [answer] = tell(database, study, [ending])
    assert isinstance(answer, Trial), answer
    return answer
