"""The front and the table of rates and steps, from what is stored."""

import math
from typing import Any

import numpy as np
import pytest

from tests.service.definitions import complete, external
from tests.worker.running import definition, trials_of, work_off
from tuner.errors import InvalidInput, StudyNotFound
from tuner.service import studies, trajectories, trials
from tuner.service.ask import ask
from tuner.service.exclusion import exclude
from tuner.service.pareto import pareto
from tuner.service.report import NewPoints, Report, report
from tuner.service.surface import rate_surface
from tuner.service.tell import Ending, tell
from tuner.storage.database import Database
from tuner.trial import Trial

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-3, "high": 3.0, "scale": "log"},
    "steps": {"type": "int", "low": 1, "high": 60},
}


def searched(database: Database, trials: int = 40, **changes: Any) -> list[Trial]:
    """A bowl of curvature 1 in one dimension, searched at random."""
    study = definition(
        "bowl", "quadratic", settings={"dimension": 1}, search_space=SPACE, budget={"trials": trials}, **changes
    )
    studies.create(database, study)
    work_off(database, "bowl")
    return trials_of(database, "bowl")


def curve_of(database: Database, trial: Trial) -> dict[int, float]:
    curve = trials.curve(database, "bowl", trial.number)["loss"]
    return dict(zip(curve.steps, curve.values, strict=True))


@pytest.mark.parametrize("goal", [{"minimize": ["loss", "steps"]}, {"minimize": "loss"}], ids=str)
def test_the_front_is_that_of_all_points_of_all_curves(database: Database, goal: dict[str, Any]) -> None:
    done = searched(database, goal=goal)
    points = {
        (step, loss): trial.number
        for trial in reversed(done)
        for step, loss in curve_of(database, trial).items()
        if math.isfinite(loss)
    }
    expected = [one for one in points if not any(o != one and o[0] <= one[0] and o[1] <= one[1] for o in points)]
    found = pareto(database, "bowl", max_points=1000)
    assert [(point.steps, point.value) for point in found.points] == sorted(expected)
    assert [point.number for point in found.points] == [points[one] for one in sorted(expected)]
    assert {point.number: point.parameters for point in found.points} == {
        number: done[number].parameters for number in {point.number for point in found.points}
    }
    assert (found.metric, found.direction, found.trials, found.finished) == ("loss", "minimize", 40, 40)
    assert found.points_in_all == len(found.points)
    few = pareto(database, "bowl", max_points=3)
    assert len(few.points) <= 3
    assert few.points_in_all == found.points_in_all
    assert all(point in found.points for point in few.points)


def test_an_excluded_trial_takes_no_part(database: Database) -> None:
    searched(database)
    last = pareto(database, "bowl").points[-1].number
    exclude(database, "bowl", last)
    found = pareto(database, "bowl")
    assert last not in {point.number for point in found.points}
    assert found.finished == 39


def test_a_clients_trial_counts_where_it_reported_and_at_its_last_step(database: Database) -> None:
    studies.create(database, external(goal={"maximize": "accuracy", "minimize": "steps"}))
    [one, other, failed] = ask(database, "resnet", count=3).trials
    report(database, "resnet", [Report(one.number, 1, [NewPoints("accuracy", [5, 10], [0.5, 0.7])])])
    report(database, "resnet", [Report(failed.number, 1, [NewPoints("accuracy", [1], [1.0])])])
    tell(
        database,
        "resnet",
        [
            Ending(one.number, 1, "pruned"),
            Ending(other.number, 1, "complete", values={"accuracy": 0.9}, steps_run=50),
            Ending(failed.number, 1, "failed"),
        ],
    )
    found = pareto(database, "resnet")
    assert found.direction == "maximize"
    assert [(point.steps, point.value, point.number) for point in found.points] == [
        (5, 0.5, one.number),
        (10, 0.7, one.number),
        (50, 0.9, other.number),
    ]


def test_a_study_without_trials_has_an_empty_front_and_an_empty_table(database: Database) -> None:
    studies.create(database, external())
    assert pareto(database, "resnet").points == []
    table = rate_surface(database, "resnet")
    assert (table.rates, table.steps, table.values) == ([], [], [])
    with pytest.raises(StudyNotFound):
        pareto(database, "nothing")


def test_the_table_is_that_of_the_curves(database: Database) -> None:
    done = searched(database)
    table = rate_surface(database, "bowl")
    assert table.rates == sorted(float(trial.parameters["learning_rate"]) for trial in done)  # type: ignore[arg-type]
    assert table.steps[0] == 1
    assert table.steps[-1] == max(trial.steps_run or 0 for trial in done)
    within = rate_surface(database, "bowl", within=True)
    for trial in done:
        column = table.rates.index(trial.parameters["learning_rate"])  # type: ignore[arg-type]
        curve = curve_of(database, trial)
        for row, step in enumerate(table.steps):
            cell = table.values[row][column]
            assert cell == curve.get(step)
            assert within.values[row][column] == min(curve[k] for k in curve if k <= step)


def test_the_table_agrees_with_the_closed_form(database: Database) -> None:
    """After k steps at rate r the loss of a bowl of curvature 1 is f(x_0)·(1 - r)^2k, whatever trial ran it."""
    searched(database)
    table = rate_surface(database, "bowl", resolution=200)
    [first] = pareto(database, "bowl", max_points=2).points[:1]
    assert first.steps == 0
    for row, steps in zip(table.values, table.steps, strict=True):
        for cell, rate in zip(row, table.rates, strict=True):
            if cell is not None:
                assert cell == pytest.approx(first.value * (1 - rate) ** (2 * steps), rel=1e-9, abs=1e-14 * first.value)


def test_a_diverged_rate_stays_diverged_for_every_further_step(database: Database) -> None:
    studies.create(database, external())
    [lease] = ask(database, "resnet").trials
    report(database, "resnet", [Report(0, 1, [NewPoints("loss", [0, 4, 8], [1.0, 9.0, math.inf])])])
    tell(database, "resnet", [complete(lease, math.nan, steps_run=8)])
    [other] = ask(database, "resnet").trials
    tell(database, "resnet", [complete(other, 0.5, steps_run=100)])
    table = rate_surface(database, "resnet")
    column = table.rates.index(lease.parameters["learning_rate"])  # type: ignore[arg-type]
    cells = dict(zip(table.steps, [row[column] for row in table.values], strict=True))
    assert cells[1] == 1.0
    assert cells[5] == 9.0
    assert all(cell is not None and math.isnan(cell) for step, cell in cells.items() if step >= 8)
    assert '"NaN"' in table.model_dump_json()


def test_more_rates_than_columns_share_them_and_the_best_counts(database: Database) -> None:
    done = searched(database)
    table = rate_surface(database, "bowl", resolution=5, within=True)
    assert len(table.rates) <= 5
    assert len(table.steps) <= 5
    best = min(curve_of(database, trial).get(k, math.inf) for trial in done for k in range(61))
    assert min(cell for row in table.values for cell in row if cell is not None) == best


def test_a_parameter_that_is_no_number_is_named(database: Database) -> None:
    searched(database, 3)
    for parameter in ("momentum", ""):
        with pytest.raises(InvalidInput) as refused:
            rate_surface(database, "bowl", parameter=parameter)
        assert [error.field for error in refused.value.fields] == ["parameter"]


def test_of_a_long_study_an_even_part_is_looked_at(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    searched(database)
    monkeypatch.setattr(trajectories, "MOST_TRIALS", 8)
    seen = trajectories.survey(database, "bowl")
    assert seen.finished == 40
    assert seen.numbers == np.linspace(0, 39, 8).astype(int).tolist()
    assert pareto(database, "bowl").trials == 8
    monkeypatch.setattr(trajectories, "MOST_POINTS", 100)
    assert 1 <= len(trajectories.survey(database, "bowl").numbers) < 8
