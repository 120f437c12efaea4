"""A trajectory search carried out by workers in this process, on real databases."""

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.worker.running import (
    curves_of,
    definition,
    eventually,
    measuring,
    study_of,
    trials_of,
    work_off,
)
from tuner.analysis.verdict import Name
from tuner.descent import RULES, Descent, Row
from tuner.errors import BudgetSpent, LeaseLost
from tuner.objectives import create
from tuner.search import planner_of
from tuner.service import holds, stability, studies, trials, workers
from tuner.service.ask import ask
from tuner.service.search import Step, advance
from tuner.service.stability import StabilityEffort
from tuner.storage import checkpoints
from tuner.storage import studies as studies_stored
from tuner.storage import trials as trials_stored
from tuner.storage.database import Connection, Database
from tuner.trial import Outcome, Trial, TrialState
from tuner.worker import Worker, pace

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 10.0, "scale": "log"},
    "steps": {"type": "int", "low": 1, "high": 200},
}

BATCHES: dict[str, Any] = {**SPACE, "batch_size": {"type": "int", "low": 16, "high": 16}}


FEW: dict[str, Any] = {"trials": None, "gradient_evaluations": 300}
"""A budget for objectives that take their time."""


def search(database: Database, name: str = "s", objective: str = "line_fit", **changes: Any) -> None:
    studies.create(
        database,
        definition(name, objective, **{"sampler": {"name": "trajectory"}, "search_space": SPACE, **changes}),
    )


def counted(log: Path) -> int:
    return sum(map(int, log.read_text().split()))


def value_again(trial: Trial, objective: str, settings: dict[str, Any], metric: str = "loss") -> float:
    """The metric of a run of the trial's point, from the start, on its own."""
    parameters: dict[str, Any] = dict(trial.parameters)
    rule = RULES[parameters.get("update_rule", "gradient_descent")]
    descent = Descent(
        create(objective, settings),
        [Row.of(parameters, rule)],
        update_rule=rule.name,
        batch_size=parameters.get("batch_size"),
    )
    descent.advance()
    result = descent.result(0)
    curve = result.loss if metric == "loss" else result.validation
    assert curve is not None
    return float(curve.values[-1])


def checkpoints_of(database: Database, name: str) -> set[int]:
    """The numbers of the trials that have a checkpoint."""

    def work(connection: Connection) -> set[int]:
        study = studies_stored.get(connection, name)
        records = {record.id: record.number for record in trials_stored.page(connection, study.id)}
        return {records[trial_id] for trial_id in checkpoints.read(connection, list(records))}

    return database.read(work)


def test_line_fit_is_solved_and_every_trial_can_be_run_again(database: Database) -> None:
    search(database, settings={"seed": 5}, budget={"trials": None})
    study = work_off(database, "s")
    found = trials_of(database, "s")

    least_squares: float = create("line_fit", {"seed": 5}).minimum  # type: ignore[attr-defined]
    assert study.state == "completed"
    assert study.state_reason is not None
    assert study.state_reason.startswith("the search is over")
    assert study.best is not None
    assert study.best.values is not None
    assert study.best.values["loss"] <= 1.05 * least_squares
    for trial, curves in zip(found, curves_of(database, "s"), strict=True):
        assert trial.state == TrialState.COMPLETE
        assert trial.values is not None
        assert trial.values["loss"] == value_again(trial, "line_fit", {"seed": 5})
        # It stands for the step at which it was best, and its curve goes on to where it was followed.
        assert trial.steps_run is not None
        assert curves["loss"].steps == list(range(trial.steps_run + 1))
        best = min(curves["loss"].values[1:])
        assert trial.values["loss"] == best
        assert curves["loss"].values[int(trial.parameters["steps"])] == best  # type: ignore[arg-type]
    assert checkpoints_of(database, "s") == set()
    assert study.spent.trials == len(found)


def test_every_evaluation_is_charged_once(database: Database, tmp_path: Path) -> None:
    log = tmp_path / "evaluations"
    search(database, objective="bowl", settings={"log": str(log)})
    study = work_off(database, "s")
    in_trials = sum(trial.gradient_evaluations for trial in trials_of(database, "s"))
    assert counted(log) == study.spent.gradient_evaluations == in_trials + measuring(database, "s")
    # The start is evaluated once for all rates: a rate of n steps takes n further evaluations.
    assert in_trials == sum(trial.steps_run or 0 for trial in trials_of(database, "s"))


def test_a_rate_beyond_the_limit_stands_for_the_best_of_its_steps_and_says_how_it_ended(database: Database) -> None:
    search(database, search_space={**SPACE, "learning_rate": {"type": "float", "low": 5.0, "high": 1e6}})
    work_off(database, "s")
    diverged = [trial for trial in trials_of(database, "s") if trial.outcome == Outcome.LEFT_FINITE_NUMBERS]
    assert diverged
    for trial in diverged:
        assert trial.values is not None
        assert trial.steps_run is not None
        assert trial.steps_run > 1
        assert math.isfinite(trial.values["loss"])
        assert trial.parameters["steps"] == 1
        assert not math.isfinite(trials.curve(database, "s", trial.number)["loss"].values[-1])


@pytest.mark.parametrize("evaluations", [2, 3, 7, 20, 51, 123])
def test_a_budget_of_evaluations_is_kept_to_the_last_one(database: Database, tmp_path: Path, evaluations: int) -> None:
    log = tmp_path / "evaluations"
    budget = {"trials": None, "gradient_evaluations": evaluations}
    search(database, objective="bowl", settings={"log": str(log)}, budget=budget)
    study = work_off(database, "s")
    assert study.state == "completed"
    assert study.spent.gradient_evaluations == counted(log)
    assert evaluations - 1 <= counted(log) <= evaluations
    assert study.state_reason == f"the budget of {evaluations} gradient evaluations is spent"
    assert study.trials["running"] == study.trials["waiting"] == 0


@pytest.mark.parametrize("most", [1, 4])
def test_a_budget_of_trials_counts_rates(database: Database, most: int) -> None:
    search(database, budget={"trials": most})
    study = work_off(database, "s")
    assert (study.state, study.spent.trials) == ("completed", most)
    assert [trial.number for trial in trials_of(database, "s")] == list(range(most))


def test_the_same_definition_gives_the_same_trials_bit_for_bit(database: Database) -> None:
    for name in ("one", "two"):
        search(database, name, objective="rosenbrock")
        work_off(database, name)
    one, two = trials_of(database, "one"), trials_of(database, "two")
    assert [(trial.parameters, repr(trial.values)) for trial in one] == [
        (trial.parameters, repr(trial.values)) for trial in two
    ]
    assert [repr(curve) for curve in curves_of(database, "one")] == [
        repr(curve) for curve in curves_of(database, "two")
    ]


def test_fewer_steps_than_are_searched_are_no_result(database: Database) -> None:
    space = {**SPACE, "steps": {"type": "int", "low": 100, "high": 200}}
    search(database, search_space=space)
    work_off(database, "s")
    for trial in trials_of(database, "s"):
        assert trial.steps_run is not None
        if trial.state == TrialState.PRUNED:
            assert trial.steps_run < 100
            assert "given up" in (trial.reason or "")
        else:
            assert int(trial.parameters["steps"]) >= 100  # type: ignore[arg-type]
            assert trial.steps_run >= 100 or trial.outcome == Outcome.LEFT_FINITE_NUMBERS


def test_validation_can_be_the_goal(database: Database) -> None:
    settings = {"data": "synthetic"}
    search(database, objective="network", settings=settings, goal={"minimize": "validation_loss"})
    study = work_off(database, "s")
    assert study.best is not None
    for trial in trials_of(database, "s"):
        curve = trials.curve(database, "s", trial.number)["validation_loss"]
        assert trial.values is not None
        assert trial.values["validation_loss"] == min(curve.values[1:])
        again = value_again(trial, "network", settings, "validation_loss")
        assert trial.values["validation_loss"] == again


def test_by_mini_batches_a_rate_stands_for_a_step_whose_full_loss_is_known(database: Database) -> None:
    settings = {"data": "synthetic"}
    search(database, objective="logistic_regression", settings=settings, search_space=BATCHES)
    study = work_off(database, "s")
    assert study.state == "completed"
    assert study.best is not None
    for trial in trials_of(database, "s"):
        if trial.outcome != Outcome.LEFT_FINITE_NUMBERS:
            assert trial.values is not None
            assert trial.values["loss"] == value_again(trial, "logistic_regression", settings)


def test_the_fewest_steps_to_a_target_are_found(database: Database) -> None:
    search(database, goal={"minimize": "steps", "until": {"loss": 2e-4}}, settings={"seed": 5})
    study = work_off(database, "s")
    assert study.best is not None
    for trial in trials_of(database, "s"):
        losses = np.array(trials.curve(database, "s", trial.number)["loss"].values)
        reached = np.flatnonzero(losses <= 2e-4)
        assert trial.objective_value == (int(reached[0]) if len(reached) else None)
        if len(reached):
            assert trial.parameters["steps"] == reached[0]


def test_a_trade_off_is_answered_from_the_rates(database: Database) -> None:
    search(database, goal={"minimize": ["loss", "steps"]})
    study = work_off(database, "s")
    assert study.state == "completed"
    assert study.trials["complete"] == study.spent.trials


def test_points_that_users_enqueue_are_run_as_they_are(database: Database) -> None:
    search(database)
    chosen = trials.enqueue(database, "s", {"learning_rate": 0.05, "steps": 7})
    work_off(database, "s")
    trial = trials.get(database, "s", chosen.number)
    assert (trial.state, trial.parameters, trial.steps_run) == (TrialState.COMPLETE, chosen.parameters, 7)
    assert len(trials_of(database, "s")) > 1


def test_points_that_come_in_the_midst_of_a_search_are_run_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(database, objective="slow_bowl", settings={"seconds": 0.005}, budget=FEW)
    with Worker(database, studies=["s"]) as worker:
        thread = threading.Thread(target=worker.work_once)
        thread.start()
        eventually(lambda: study_of(database, "s").trials["running"] > 0)
        chosen = trials.enqueue(database, "s", {"learning_rate": 0.05, "steps": 3})
        thread.join()
    assert trials.get(database, "s", chosen.number).state == TrialState.COMPLETE
    assert study_of(database, "s").state == "completed"


def test_a_rate_at_which_the_objective_raises_fails_and_the_others_do_not(database: Database) -> None:
    search(database, objective="fragile_bowl", settings={"rim": 10.0})
    study = work_off(database, "s")
    found = trials_of(database, "s")
    assert study.state == "completed"
    assert study.best is not None
    failed = [trial for trial in found if trial.state == TrialState.FAILED]
    assert failed
    for trial in failed:
        assert trial.reason == "FragileBowl.value_and_gradient: ArithmeticError: over the rim"
        assert trial.parameters["learning_rate"] > 1  # type: ignore[operator]
    assert study.spent.gradient_evaluations == sum(trial.gradient_evaluations for trial in found) + measuring(
        database, "s"
    )


@pytest.mark.parametrize("objective", ["crooked_bowl", "leaving_bowl"])
def test_an_objective_that_only_fails_says_so_and_the_worker_goes_on(database: Database, objective: str) -> None:
    search(database, "bad", objective=objective, budget={"trials": 5})
    search(database, "good", objective="bowl")
    with Worker(database) as worker:
        while worker.work_once():
            pass
    study = study_of(database, "bad")
    assert study.state == "completed"
    assert study.trials["failed"] == study.spent.trials > 0
    assert all("Bowl.value_and_gradient" in (trial.reason or "") for trial in trials_of(database, "bad"))
    assert study_of(database, "good").best is not None


def test_a_rate_that_ends_its_workers_is_quarantined_and_the_others_are_followed(database: Database) -> None:
    """Descent at a rate r takes x from 1 to (1 - 2r)ⁿ: beyond r = 1 it gets to where the objective is deadly."""
    search(database, objective="leaving_bowl", settings={"politely": False, "rim": 2.5}, budget=FEW)
    deaths = 0
    while study_of(database, "s").state == "active":
        try:
            work_off(database, "s")
        except KeyboardInterrupt:
            deaths += 1
    found = trials_of(database, "s")
    deadly = [trial for trial in found if trial.quarantined]
    others = [trial for trial in found if not trial.quarantined]

    assert study_of(database, "s").state == "completed"
    assert deadly
    assert all(trial.parameters["learning_rate"] > 1 for trial in deadly)  # type: ignore[operator]
    assert deaths == 3 * len(deadly)
    assert {trial.state for trial in others} == {TrialState.COMPLETE}
    assert study_of(database, "s").best is not None


def test_another_worker_finds_nothing_of_a_study_that_is_searched(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(database, objective="slow_bowl", settings={"seconds": 0.01}, budget=FEW)
    search(database, "other", objective="bowl")
    with Worker(database, studies=["s"]) as first, Worker(database, studies=["s", "other"]) as second:
        thread = threading.Thread(target=first.work_once)
        thread.start()
        eventually(lambda: study_of(database, "s").trials["running"] > 0)
        assert second.work_once()
        assert study_of(database, "other").state == "completed"
        assert study_of(database, "s").state == "active"
        assert not second.work_once()
        thread.join()
    assert study_of(database, "s").state == "completed"
    assert {trial.attempt for trial in trials_of(database, "s")} == {1}


def interrupted(database: Database, name: str, by: Any, **changes: Any) -> None:
    """Search a slow study with a worker in a thread, and do something to the study in the midst of it."""
    search(database, name, objective="slow_bowl", settings={"seconds": 0.01}, **{"budget": FEW, **changes})
    with Worker(database, studies=[name]) as worker:
        thread = threading.Thread(target=worker.work_once)
        thread.start()
        eventually(lambda: study_of(database, name).trials["running"] > 1)
        by(worker)
        thread.join()


def compare_with_a_whole_one(database: Database, name: str) -> None:
    """The trials of a study are those of an undisturbed search, and so is what they took."""
    search(database, "whole", objective="slow_bowl", settings={"seconds": 0.0}, budget=FEW)
    whole = work_off(database, "whole")
    found = study_of(database, name)
    assert [(one.parameters, one.values, one.steps_run) for one in trials_of(database, name)] == [
        (one.parameters, one.values, one.steps_run) for one in trials_of(database, "whole")
    ]
    assert curves_of(database, name) == curves_of(database, "whole")
    assert found.spent.gradient_evaluations == whole.spent.gradient_evaluations


def test_what_a_search_may_spend_is_spent_on_no_measurement(database: Database) -> None:
    def measure(worker: Worker) -> None:
        with pytest.raises(BudgetSpent, match="pause it"):
            stability.measure(database, "s", StabilityEffort())

    interrupted(database, "s", measure, budget={"gradient_evaluations": 600})
    found = study_of(database, "s")
    assert found.state == "completed"
    assert found.spent.gradient_evaluations <= 600


def test_what_a_plan_has_probed_is_no_measured_stability(database: Database) -> None:
    search(database, settings={"seed": 5})
    work_off(database, "s")
    assert stability.read(database, "s").measured is None
    measured = stability.measure(database, "s", StabilityEffort(points=1))
    best = studies.best(database, "s")
    assert (measured.trial, measured.along_best[0].step) == (best.number, best.parameters["steps"])


def test_the_verdict_on_a_rate_is_on_all_that_it_was_followed(database: Database) -> None:
    search(database, settings={"seed": 5})
    work_off(database, "s")
    for trial in trials_of(database, "s"):
        assert trial.verdict is not None
        left = trial.outcome == Outcome.LEFT_FINITE_NUMBERS
        assert not left or trial.verdict == Name.DIVERGED


def test_a_paused_search_gives_its_rates_back_and_goes_on_where_it_stood(database: Database) -> None:
    interrupted(database, "s", lambda _: studies.pause(database, "s"))
    study = study_of(database, "s")
    assert (study.state, study.trials["running"]) == ("paused", 0)
    assert study.trials["waiting"] > 0
    assert checkpoints_of(database, "s") >= {
        trial.number for trial in trials_of(database, "s") if trial.state == TrialState.WAITING
    }
    studies.resume(database, "s")
    work_off(database, "s")
    compare_with_a_whole_one(database, "s")


def test_a_worker_that_is_told_to_stop_leaves_a_search_that_another_takes_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "CHUNK_SECONDS", 0.02)
    interrupted(database, "s", lambda worker: worker.stop())
    study = study_of(database, "s")
    assert (study.state, study.trials["running"]) == ("active", 0)
    assert study.trials["waiting"] > 0
    work_off(database, "s")
    compare_with_a_whole_one(database, "s")


def test_a_stopped_search_tells_what_it_has(database: Database) -> None:
    interrupted(database, "s", lambda _: studies.stop(database, "s"))
    study = study_of(database, "s")
    assert (study.state, study.trials["running"], study.trials["waiting"]) == ("stopped", 0, 0)
    assert study.trials["complete"] == study.spent.trials > 0


def test_a_search_whose_seconds_are_over_tells_what_it_has(database: Database) -> None:
    budget = {"trials": None, "seconds": 0.7}
    search(database, objective="slow_bowl", settings={"seconds": 0.01}, budget=budget)
    study = work_off(database, "s")
    assert (study.state, study.state_reason) == ("completed", "the budget of 0.7 seconds is spent")
    assert study.trials["complete"] == study.spent.trials > 0


def test_a_study_that_is_held_gives_nothing_to_anybody_else(database: Database) -> None:
    search(database)
    chosen = trials.enqueue(database, "s", {"learning_rate": 0.05, "steps": 7})
    assert workers.take(database, "s", worker="one", lease_seconds=60).task == "check"
    assert workers.take(database, "s", worker="two", lease_seconds=60).task == "nothing"
    asked = ask(database, "s", count=5)
    assert (asked.trials, asked.study_state) == ([], "active")
    assert asked.retry_after_seconds is not None
    with pytest.raises(LeaseLost):
        advance(database, "s", "two", Step(completed="it is over"))
    holds.release(database, "s", "one")
    [lease] = ask(database, "s", count=5).trials
    assert lease.number == chosen.number


def test_a_wrong_gradient_stops_the_study_and_a_user_may_go_on(database: Database) -> None:
    search(database, objective="twisted_bowl")
    study = work_off(database, "s")
    assert (study.state, study.spent.trials, study.spent.gradient_evaluations) == ("stopped", 0, 2)
    assert study.state_reason is not None
    assert study.state_reason.startswith("the gradient is wrong")
    assert study.state_reason.endswith("a relative error of 0.5")
    studies.resume(database, "s")
    assert work_off(database, "s").state == "completed"


def test_progress_is_seen_while_a_long_pass_runs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "REPORT_EVERY", 0.1)
    monkeypatch.setattr(pace, "CHUNK_SECONDS", 0.02)
    seen: set[int] = set()

    def look(_: Worker) -> None:
        while study_of(database, "s").state == "active" and len(seen) < 5:
            seen.add(study_of(database, "s").spent.gradient_evaluations)

    interrupted(database, "s", look)
    assert len(seen) == 5
    compare_with_a_whole_one(database, "s")


def test_a_raised_budget_takes_the_search_up_again_and_pays_for_no_step_twice(
    database: Database, tmp_path: Path
) -> None:
    log = tmp_path / "evaluations"
    budget = {"trials": None, "gradient_evaluations": 90}
    search(database, objective="bowl", settings={"log": str(log)}, budget=budget)
    assert work_off(database, "s").state == "completed"
    before = trials_of(database, "s")
    studies.change(database, "s", {"budget": {"trials": None, "gradient_evaluations": 2000}})
    study = work_off(database, "s")
    found = trials_of(database, "s")

    assert study.state == "completed"
    assert study.spent.gradient_evaluations == counted(log)
    assert found[: len(before)] == before
    assert len(found) > len(before)
    going_on = [trial for trial in found[len(before) :] if trial.gradient_evaluations < (trial.steps_run or 0)]
    assert going_on
    for trial in going_on:
        curve = trials.curve(database, "s", trial.number)["loss"]
        assert curve.steps == list(range((trial.steps_run or 0) + 1))
        assert trial.values is not None
        assert trial.values["loss"] == value_again(trial, "bowl", {})


def test_a_study_that_is_deleted_ends_its_search(database: Database) -> None:
    search(database, objective="slow_bowl", settings={"seconds": 0.01}, budget=FEW)
    with Worker(database) as worker:
        thread = threading.Thread(target=worker.work_once)
        thread.start()
        eventually(lambda: study_of(database, "s").trials["running"] > 0)
        studies.delete(database, "s")
        thread.join()
        search(database, "next", objective="bowl")
        assert worker.work_once()
    assert study_of(database, "next").state == "completed"


def test_trajectory_is_what_a_registered_objective_is_searched_by() -> None:
    assert planner_of(definition(sampler={"name": "tpe"})) is None
    assert planner_of(definition(sampler={"name": "trajectory"})) is not None


def test_verdicts_know_the_limit_that_the_search_measured(database: Database) -> None:
    search(database, budget={"trials": 12})
    work_off(database, "s")
    judged = [one for one in trials_of(database, "s") if one.verdict is not None]
    assert len(judged) == 12
    for one in judged:
        assert one.evidence is not None
        assert one.evidence["limit"] == pytest.approx(0.7755, rel=0.01)


MOMENTUM: dict[str, Any] = {
    **SPACE,
    "update_rule": {"type": "categorical", "choices": ["heavy_ball"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99},
}

METHODS: dict[str, Any] = {
    **MOMENTUM,
    "update_rule": {"type": "categorical", "choices": ["gradient_descent", "heavy_ball", "adam"]},
    "beta1": {"type": "float", "low": 0.5, "high": 0.95},
}


def arms_of(found: list[Trial], *names: str) -> set[tuple[Any, ...]]:
    return {tuple(trial.parameters[name] for name in names) for trial in found}


@pytest.mark.parametrize("space", [MOMENTUM, METHODS], ids=["momentum", "methods"])
def test_further_dimensions_are_searched_and_every_trial_can_be_run_again(
    database: Database, space: dict[str, Any]
) -> None:
    budget = {"trials": None, "gradient_evaluations": 1500}
    search(database, objective="rosenbrock", search_space=space, budget=budget)
    study = work_off(database, "s")
    found = trials_of(database, "s")
    assert study.state == "completed"
    assert len(arms_of(found, "update_rule", "momentum")) > 2
    for trial in found:
        assert trial.parameters.keys() == space.keys()
        assert trial.values is not None
        assert repr(trial.values["loss"]) == repr(value_again(trial, "rosenbrock", {}))
    rates = [tuple(value for name, value in trial.parameters.items() if name != "steps") for trial in found]
    assert len(set(rates)) == len(rates)


@pytest.mark.parametrize("evaluations", [3, 160, 555])
def test_a_budget_of_evaluations_holds_for_all_arms_together(
    database: Database, tmp_path: Path, evaluations: int
) -> None:
    log = tmp_path / "evaluations"
    budget = {"trials": None, "gradient_evaluations": evaluations}
    search(database, objective="bowl", settings={"log": str(log)}, budget=budget, search_space=MOMENTUM)
    study = work_off(database, "s")
    found = trials_of(database, "s")
    assert (study.state, study.spent.gradient_evaluations) == ("completed", counted(log))
    assert evaluations - 1 <= counted(log) <= evaluations
    # The start, the check and the probe are paid for once, whatever the arms.
    assert counted(log) == sum(trial.gradient_evaluations for trial in found) + measuring(database, "s")
    assert sum(trial.gradient_evaluations for trial in found) == sum(trial.steps_run or 0 for trial in found)


def test_a_budget_of_trials_counts_the_rates_of_all_arms_and_the_best_is_followed_to_the_end(
    database: Database,
) -> None:
    search(database, objective="rosenbrock", budget={"trials": 20}, search_space=MOMENTUM)
    study = work_off(database, "s")
    found = trials_of(database, "s")
    assert (study.state, study.spent.trials, len(found)) == ("completed", 20, 20)
    assert len(arms_of(found, "momentum")) > 1
    assert max(trial.steps_run or 0 for trial in found) == 200


def test_the_same_definition_gives_the_same_arms_bit_for_bit(database: Database) -> None:
    for name in ("one", "two"):
        search(database, name, objective="rosenbrock", search_space=METHODS, budget={"gradient_evaluations": 1200})
        work_off(database, name)
    assert [(trial.parameters, repr(trial.values)) for trial in trials_of(database, "one")] == [
        (trial.parameters, repr(trial.values)) for trial in trials_of(database, "two")
    ]


def test_the_size_of_mini_batches_can_be_searched(database: Database) -> None:
    settings = {"data": "synthetic"}
    space = {**SPACE, "batch_size": {"type": "categorical", "choices": [8, 32]}}
    budget = {"gradient_evaluations": 800}
    search(database, objective="logistic_regression", settings=settings, search_space=space, budget=budget)
    work_off(database, "s")
    found = trials_of(database, "s")
    assert arms_of(found, "batch_size") == {(8,), (32,)}
    for trial in found:
        if trial.state == TrialState.COMPLETE and trial.outcome != Outcome.LEFT_FINITE_NUMBERS:
            assert trial.values is not None
            assert trial.values["loss"] == value_again(trial, "logistic_regression", settings)


def test_a_raised_budget_goes_on_with_the_arms_that_are_there(database: Database, tmp_path: Path) -> None:
    log = tmp_path / "evaluations"
    budget = {"trials": None, "gradient_evaluations": 500}
    search(database, objective="bowl", settings={"log": str(log)}, budget=budget, search_space=MOMENTUM)
    work_off(database, "s")
    before = trials_of(database, "s")
    studies.change(database, "s", {"budget": {"trials": None, "gradient_evaluations": 1500}})
    study = work_off(database, "s")
    found = trials_of(database, "s")
    assert study.spent.gradient_evaluations == counted(log)
    assert found[: len(before)] == before
    assert any(trial.gradient_evaluations < (trial.steps_run or 0) for trial in found[len(before) :])
    assert arms_of(before, "momentum") <= arms_of(found, "momentum")


def test_verdicts_know_the_limit_of_each_arm(database: Database) -> None:
    search(database, budget={"trials": 12}, search_space=MOMENTUM)
    work_off(database, "s")
    judged = [one for one in trials_of(database, "s") if one.evidence is not None]
    assert len(judged) == 12
    for one in judged:
        assert one.evidence is not None
        momentum = one.parameters["momentum"]
        assert isinstance(momentum, float)
        assert one.evidence["limit"] == pytest.approx(0.7755 * (1 + momentum), rel=0.01)
