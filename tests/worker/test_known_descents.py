"""A trial whose descent has been run at least as far is answered from that curve, at no gradient evaluation."""

from pathlib import Path
from typing import Any

import pytest

from tests.worker.running import curves_of, definition, fixed, measuring, study_of, trials_of, work_off
from tuner.service import studies, trials
from tuner.storage.database import Database
from tuner.trial import Outcome, Trial, TrialState


def counted(log: Path) -> int:
    return sum(map(int, log.read_text().split()))


def over_steps(*steps: int, rate: float = 0.1) -> dict[str, Any]:
    return {**fixed(rate, 1), "steps": {"type": "categorical", "choices": list(steps)}}


def results(database: Database, name: str) -> list[tuple[Any, ...]]:
    def result(trial: Trial) -> tuple[Any, ...]:
        return trial.parameters, trial.state, repr(trial.values), trial.steps_run, trial.outcome, trial.verdict

    return [result(trial) for trial in trials_of(database, name)]


@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_grid_over_steps_at_one_rate_costs_one_descent(database: Database, tmp_path: Path, batch_size: int) -> None:
    log = tmp_path / "evaluations"
    sampler = {"name": "grid", "batch_size": batch_size}
    space = over_steps(40, 3, 17, 1, 25)
    studies.create(
        database, definition("grid", "bowl", settings={"log": str(log)}, search_space=space, sampler=sampler)
    )
    study = work_off(database, "grid")
    found = trials_of(database, "grid")

    assert (study.state, len(found)) == ("completed", 5)
    longest = [trial for trial in found if trial.parameters["steps"] == 40]
    if batch_size > 1:
        assert [trial.gradient_evaluations for trial in found if trial not in longest] == [0] * 4
        assert longest[0].gradient_evaluations == 41
    assert counted(log) == study.spent.gradient_evaluations
    assert counted(log) == sum(trial.gradient_evaluations for trial in found) + measuring(database, "grid")
    for trial, curves in zip(found, curves_of(database, "grid"), strict=True):
        steps: Any = trial.parameters["steps"]
        assert (trial.state, trial.outcome, trial.steps_run) == (TrialState.COMPLETE, Outcome.RAN_ITS_STEPS, steps)
        assert curves["loss"].steps == list(range(steps + 1))
        assert trial.values is not None
        assert trial.values["loss"] == pytest.approx(0.8 ** (2 * steps))


@pytest.mark.parametrize(
    ("objective", "settings", "space"),
    [
        ("line_fit", {"seed": 5}, over_steps(5, 50, 150)),
        ("line_fit", {"seed": 5}, over_steps(5, 100, 200, rate=10.0)),
        ("network", {"data": "synthetic"}, over_steps(5, 64, 65, 150)),
        (
            "logistic_regression",
            {"data": "synthetic"},
            {**over_steps(5, 50), "batch_size": {"type": "int", "low": 9, "high": 9}},
        ),
        (
            "line_fit",
            {"seed": 5},
            {**over_steps(5, 50), "update_rule": {"type": "categorical", "choices": ["adam", "heavy_ball"]}},
        ),
    ],
)
def test_the_results_are_those_of_runs_of_their_own(
    database: Database, objective: str, settings: dict[str, Any], space: dict[str, Any]
) -> None:
    """Each point alone in a study of its own, against all of them in one."""
    sampler = {"name": "grid"}
    studies.create(database, definition("grid", objective, settings=settings, search_space=space, sampler=sampler))
    work_off(database, "grid")
    for number, result in enumerate(results(database, "grid")):
        name = f"alone-{number}"
        studies.create(
            database, definition(name, objective, settings=settings, search_space=space, budget={"trials": 1})
        )
        trials.enqueue(database, name, result[0])
        work_off(database, name)
        assert results(database, name) == [result]
        assert curves_of(database, name) == [curves_of(database, "grid")[number]] or "nan" in repr(
            curves_of(database, name)
        )


def test_a_run_beyond_what_is_known_is_run(database: Database) -> None:
    sampler = {"name": "random", "batch_size": 1}
    studies.create(
        database, definition("bowl", "bowl", search_space=over_steps(5, 9), sampler=sampler, budget={"trials": 3})
    )
    for steps in (5, 9, 5):
        trials.enqueue(database, "bowl", {"learning_rate": 0.1, "steps": steps})
    assert work_off(database, "bowl").state == "completed"
    assert [trial.gradient_evaluations for trial in trials_of(database, "bowl")] == [6, 10, 0]


def test_a_chosen_point_of_a_rate_that_a_search_has_followed_costs_nothing(database: Database) -> None:
    studies.create(
        database,
        definition(
            "s", "rosenbrock", sampler={"name": "trajectory"}, budget={"trials": None, "gradient_evaluations": 900}
        ),
    )
    work_off(database, "s")
    best = studies.best(database, "s")
    spent = study_of(database, "s").spent.gradient_evaluations
    studies.change(database, "s", {"budget": {"trials": None, "gradient_evaluations": spent + 20}})
    chosen = trials.enqueue(database, "s", {**best.parameters, "steps": 7}).number
    work_off(database, "s")
    trial = trials.get(database, "s", chosen)
    assert (trial.state, trial.gradient_evaluations) == (TrialState.COMPLETE, 0)
