"""Landscapes of studies and of rates that are tried: their paths are the trials', and what they take is counted."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.service.definitions import external
from tests.worker.running import definition, fixed, trials_of, work_off
from tuner import objectives
from tuner.definition import ObjectiveChoice
from tuner.errors import ExternalStudy, InvalidInput, NoResult, ObjectiveNotFound, StudyNotFound
from tuner.service import landscape, studies, trials
from tuner.storage.database import Database
from tuner.trial import Outcome, Trial


def searched(database: Database, name: str = "line-fit", objective: str = "line_fit", **changes: Any) -> list[Trial]:
    changes = {"budget": {"trials": 6}, **changes}
    studies.create(database, definition(name, objective, **changes))
    work_off(database, name)
    return trials_of(database, name)


def test_the_paths_are_those_of_the_trials(database: Database) -> None:
    done = searched(database, settings={"seed": 5})
    view = landscape.of_study(database, "line-fit", numbers=[4, 0], resolution=7)
    assert [path.number for path in view.paths] == [4, 0]
    for path in view.paths:
        assert path.number is not None
        assert path.parameters == done[path.number].parameters
        assert path.outcome == done[path.number].outcome
        curve = trials.curve(database, "line-fit", path.number)["loss"]
        stored = dict(zip(curve.steps, curve.values, strict=True))
        assert path.losses == [stored[step] for step in path.steps]
        assert not path.cut
    objective = objectives.create("line_fit", {"seed": 5})
    assert [axis.label for axis in view.axes] == ["w", "b"]
    start = objective.initial_parameters(0)
    assert view.paths[0].coordinates[0] == start.tolist()


def test_what_it_takes_is_counted_to_the_row_and_charged_to_nobody(database: Database, tmp_path: Path) -> None:
    log = tmp_path / "rows"
    searched(database, "bowls", "bowl", settings={"log": str(log)}, search_space=fixed(0.1, 20))
    before, spent = log.read_text().count("\n"), studies.get(database, "bowls")[0].spent
    view = landscape.of_study(database, "bowls", numbers=[0, 1], resolution=13)
    rows = [int(line) for line in log.read_text().splitlines()[before:]]
    assert sum(rows) == view.gradient_evaluations == 2 * 21 + 13
    assert studies.get(database, "bowls")[0].spent == spent


def test_without_numbers_it_is_the_best_trial(database: Database) -> None:
    searched(database)
    best = studies.best(database, "line-fit").number
    assert [path.number for path in landscape.of_study(database, "line-fit", resolution=3).paths] == [best]


def test_mini_batches_and_other_rules_are_run_as_the_workers_ran_them(database: Database) -> None:
    space = {
        **fixed(0.05, 30),
        "update_rule": {"type": "categorical", "choices": ["heavy_ball", "adam", "gradient_descent"]},
        "momentum": {"type": "float", "low": 0.1, "high": 0.9},
        "batch_size": {"type": "categorical", "choices": [8, 16]},
    }
    done = searched(database, "net", "network", search_space=space, settings={"hidden": 3})
    view = landscape.of_study(database, "net", numbers=[trial.number for trial in done], resolution=3)
    for path, trial in zip(view.paths, done, strict=True):
        curve = trials.curve(database, "net", trial.number)["loss"]
        stored = dict(zip(curve.steps, curve.values, strict=True))
        assert path.losses == [stored[step] for step in path.steps]
    assert [axis.label for axis in view.axes] == ["direction 1", "direction 2"]
    assert 0 < sum(axis.explained or 0 for axis in view.axes) <= 1 + 1e-9


def test_a_long_path_is_cut_and_says_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    searched(database, search_space=fixed(0.01, 200))
    monkeypatch.setattr(landscape, "MOST_EVALUATIONS", 100)
    view = landscape.of_study(database, "line-fit", numbers=[0, 1], resolution=2)
    assert [(path.steps[-1], path.cut) for path in view.paths] == [(49, True)] * 2
    assert view.gradient_evaluations == 100 + 4


def test_a_diverged_trial_is_drawn_as_far_as_it_is_finite(database: Database) -> None:
    searched(database, search_space=fixed(10.0, 200), budget={"trials": 1})
    view = landscape.of_study(database, "line-fit", numbers=[0], resolution=3)
    [path] = view.paths
    assert path.outcome is Outcome.LEFT_FINITE_NUMBERS
    assert not path.cut
    assert all(math.isfinite(loss) for loss in path.losses)


@pytest.mark.parametrize(("numbers", "message"), [([99], "no trial 99"), (list(range(9)), "at most 8")])
def test_trials_that_cannot_be_drawn_are_named(database: Database, numbers: list[int], message: str) -> None:
    searched(database)
    with pytest.raises(InvalidInput, match=message) as refused:
        landscape.of_study(database, "line-fit", numbers=numbers)
    assert [error.field for error in refused.value.fields] == ["trials"]


def test_where_there_is_nothing_to_draw_it_is_said_why(database: Database) -> None:
    studies.create(database, external())
    with pytest.raises(ExternalStudy):
        landscape.of_study(database, "resnet", numbers=[0])
    studies.create(database, definition())
    with pytest.raises(NoResult):
        landscape.of_study(database, "line-fit")
    with pytest.raises(StudyNotFound):
        landscape.of_study(database, "nothing")


def test_rates_can_be_tried_without_a_study() -> None:
    choice = ObjectiveChoice(name="quadratic", settings={"dimension": 1})
    rates, method = [0.5, 2.5], {"update_rule": "gradient_descent"}
    view = landscape.preview(choice, rates, steps=3, method=method, resolution=5)
    first, second = view.paths
    for path, rate in ((first, 0.5), (second, 2.5)):
        assert path.number is None
        assert path.losses == pytest.approx([path.losses[0] * (1 - rate) ** (2 * k) for k in range(4)])
    assert view.gradient_evaluations == 2 * 4 + 5
    assert len(view.values) == 1
    with pytest.raises(ObjectiveNotFound):
        landscape.preview(ObjectiveChoice(name="quadratik"), rates, steps=3, method=method)
    with pytest.raises(InvalidInput) as refused:
        landscape.preview(choice, rates, steps=3, method={**method, "momentum": 0.9})
    assert [error.field for error in refused.value.fields] == ["momentum"]
    with pytest.raises(InvalidInput) as refused:
        landscape.preview(choice, rates, steps=3, method={"update_rule": "adamw"})
    assert [error.field for error in refused.value.fields] == ["update_rule"]


def test_a_rate_that_is_tried_is_judged_against_its_limit() -> None:
    choice = ObjectiveChoice(name="line_fit", settings={"seed": 5})
    view = landscape.preview(choice, [0.3, 0.9], steps=200, method={"update_rule": "gradient_descent"}, resolution=None)
    assert view.limit == pytest.approx(0.7755, abs=5e-5)
    good, bad = view.paths
    assert (good.verdict, good.turns_back) == ("converged", 0.0)
    assert (bad.verdict, bad.turns_back) == ("diverged", 1.0)
    assert bad.advice is not None
    assert "above the stability limit" in bad.advice
    assert (view.values, [axis.values for axis in view.axes]) == ([], [[], []])
    assert view.gradient_evaluations == 2 * 201
    assert view.minimum is not None
    assert view.minimum.coordinates == pytest.approx([0.1, 0.5], abs=0.02)


def test_where_the_curvature_is_not_known_it_is_measured_and_counted(tmp_path: Path) -> None:
    log = tmp_path / "rows"
    choice = ObjectiveChoice(name="bowl", settings={"log": str(log)})
    view = landscape.preview(
        choice, [0.1], steps=5, method={"update_rule": "heavy_ball", "momentum": 0.5}, resolution=4
    )
    assert view.limit is not None
    assert sum(int(line) for line in log.read_text().splitlines()) == view.gradient_evaluations > 6 + 4


def test_without_rates_those_are_tried_that_show_what_a_rate_does(tmp_path: Path) -> None:
    log = tmp_path / "rows"
    choice = ObjectiveChoice(name="bowl", settings={"log": str(log)})
    view = landscape.preview(choice, None, steps=40, method={"update_rule": "gradient_descent"}, resolution=3)
    rates = [path.parameters["learning_rate"] for path in view.paths]
    right, creeps, swings, diverges = rates
    assert creeps < right < swings < (view.limit or 0) < diverges  # type: ignore[operator]
    assert [path.verdict for path in view.paths][-1] == "diverged"
    assert sum(int(line) for line in log.read_text().splitlines()) == view.gradient_evaluations
    with pytest.raises(InvalidInput) as refused:
        landscape.preview(choice, None, steps=40, method={"update_rule": "adam"})
    assert [error.field for error in refused.value.fields] == ["learning_rates"]


def test_a_sketch_is_of_the_right_rate_and_none_where_it_takes_long() -> None:
    choice = ObjectiveChoice(name="quadratic", settings={})
    view = landscape.sketch(choice, steps=40, resolution=5, most_seconds=60)
    assert view is not None
    assert [path.verdict for path in view.paths] == ["converged"]
    assert len(view.values) == 5
    assert landscape.sketch(choice, steps=40, resolution=5, most_seconds=0) is None


def test_the_paths_of_a_study_have_the_verdicts_of_its_trials(database: Database) -> None:
    done = searched(database, settings={"seed": 5})
    view = landscape.of_study(database, "line-fit", numbers=[0, 1], resolution=2)
    assert [(path.verdict, path.advice) for path in view.paths] == [(one.verdict, one.advice) for one in done[:2]]


def test_the_trials_that_tell_are_the_best_and_those_that_went_wrong(database: Database) -> None:
    with pytest.raises(StudyNotFound):
        landscape.telling_trials(database, "line-fit")
    studies.create(database, definition(budget={"trials": 30}, settings={"seed": 5}))
    with pytest.raises(NoResult):
        landscape.telling_trials(database, "line-fit")
    work_off(database, "line-fit")
    done = {trial.number: trial for trial in trials_of(database, "line-fit")}
    best, *others = landscape.telling_trials(database, "line-fit")
    assert best == studies.best(database, "line-fit").number
    verdicts = [done[number].verdict for number in others]
    assert set(verdicts) >= {"too_slow", "diverged"}
    assert len(verdicts) == len(set(verdicts))
    slow = min(
        trial.parameters["learning_rate"]
        for trial in done.values()
        if trial.verdict == "too_slow"  # type: ignore[type-var]
    )
    assert done[others[0]].parameters["learning_rate"] == slow


def test_where_all_diverged_one_of_them_tells(database: Database) -> None:
    searched(database, search_space=fixed(10.0, 200), budget={"trials": 2})
    assert landscape.telling_trials(database, "line-fit") == [0]


def test_of_a_trade_off_the_best_value_tells(database: Database) -> None:
    done = searched(database, goal={"minimize": ["loss", "steps"]}, settings={"seed": 5})
    best = min(done, key=lambda trial: trial.values["loss"])  # type: ignore[index]
    assert landscape.telling_trials(database, "line-fit")[0] == best.number


@pytest.mark.parametrize("curvature", [0.0, 1e-320, math.nan])
def test_a_limit_or_a_minimum_that_is_no_number_is_not_known(curvature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    made = objectives.create("quadratic", {"dimension": 2})
    monkeypatch.setattr(made, "curvature", (curvature, curvature))
    monkeypatch.setattr(made, "optimum", np.full(2, np.nan))
    monkeypatch.setattr(type(made), "minimum", math.nan)
    monkeypatch.setattr(objectives, "create", lambda *_: made)
    choice = ObjectiveChoice(name="quadratic")
    view = landscape.preview(choice, [0.1], steps=2, method={"update_rule": "gradient_descent"}, resolution=2)
    assert (view.limit, view.minimum) == (None, None)
