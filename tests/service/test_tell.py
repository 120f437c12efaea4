"""Tell: a trial's terminal effect happens exactly once."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.service.definitions import complete, external, registered
from tuner.errors import AlreadyTold, InvalidInput, LeaseLost, TrialNotFound
from tuner.service import studies, trials
from tuner.service.ask import ask
from tuner.service.report import NewPoints, Report, append_points
from tuner.service.tell import Ending, tell
from tuner.storage.database import Database
from tuner.trial import Outcome, Trial


def test_a_told_trial_is_settled(database: Database) -> None:
    studies.create(database, registered())
    (lease,) = ask(database, "line-fit").trials
    ending = complete(lease, 0.25, steps_run=3, gradient_evaluations=4, outcome=Outcome.RAN_ITS_STEPS)
    (trial,) = tell(database, "line-fit", [ending])
    assert isinstance(trial, Trial)
    assert trial.state == "complete"
    assert (trial.values, trial.steps_run, trial.gradient_evaluations) == ({"loss": 0.25}, 3, 4)
    assert studies.get(database, "line-fit")[0].spent.gradient_evaluations == 4


def test_the_same_result_again_is_the_first_one(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    (first,) = tell(database, "resnet", [complete(lease, math.nan)])
    (again,) = tell(database, "resnet", [complete(lease, math.nan)])
    assert isinstance(again, Trial)
    assert isinstance(first, Trial)
    assert again.model_dump_json() == first.model_dump_json()
    assert studies.get(database, "resnet")[0].trials["complete"] == 1


def test_another_result_is_refused(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    tell(database, "resnet", [complete(lease, 0.5)])
    (answer,) = tell(database, "resnet", [complete(lease, 0.4)])
    assert isinstance(answer, AlreadyTold)
    assert trials.get(database, "resnet", lease.number).values == {"loss": 0.5}


def test_concurrent_tellers_store_one_result(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda loss: tell(database, "resnet", [complete(lease, loss)])[0], range(1, 17)))
    taken = [answer for answer in answers if isinstance(answer, Trial)]
    assert len(taken) == 1
    assert all(isinstance(answer, AlreadyTold) for answer in answers if answer is not taken[0])
    assert trials.get(database, "resnet", lease.number).values == taken[0].values
    assert studies.get(database, "resnet")[0].spent.gradient_evaluations == lease.parameters["steps"]


def test_each_result_of_a_batch_is_judged_on_its_own(database: Database) -> None:
    studies.create(database, external())
    first, second, third = ask(database, "resnet", count=3).trials
    answers = tell(
        database,
        "resnet",
        [
            complete(first),
            Ending(second.number, second.attempt + 1, "complete", {"loss": 1.0}),
            Ending(99, 1, "complete", {"loss": 1.0}),
            Ending(third.number, third.attempt, "complete", {"accuracy": 1.0}),
            complete(first, 3.0),
        ],
    )
    assert isinstance(answers[0], Trial)
    assert [type(answer) for answer in answers[1:]] == [LeaseLost, TrialNotFound, InvalidInput, AlreadyTold]
    assert "values.loss" in str(answers[3])
    assert studies.get(database, "resnet")[0].trials == {
        "waiting": 0, "running": 2, "complete": 1, "failed": 0, "pruned": 0,
    }  # fmt: skip


def test_a_trial_that_nobody_began_cannot_be_told(database: Database) -> None:
    studies.create(database, external())
    queued = trials.enqueue(database, "resnet", {"learning_rate": 0.1, "steps": 1})
    (answer,) = tell(database, "resnet", [Ending(queued.number, 0, "complete", {"loss": 1.0})])
    assert isinstance(answer, LeaseLost)


def test_a_failed_trial_keeps_its_reason(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    (trial,) = tell(database, "resnet", [Ending(lease.number, lease.attempt, "failed", reason="out of memory")])
    assert isinstance(trial, Trial)
    assert (trial.state, trial.reason, trial.values) == ("failed", "out of memory", {})


def test_curves_are_kept_whole_and_shown_with_their_extremes(database: Database) -> None:
    studies.create(database, registered())
    (lease,) = ask(database, "line-fit").trials
    values = np.exp(-np.arange(5000) / 500)
    values[1234], values[4000], values[4500:] = 7.0, -3.0, math.inf
    tell(database, "line-fit", [complete(lease, curves=[NewPoints("loss", np.arange(5000), values)])])

    whole = trials.curve(database, "line-fit", lease.number)["loss"]
    assert whole.steps == list(range(5000))
    assert whole.values == values.tolist()

    shown = trials.curve(database, "line-fit", lease.number, max_points=50)["loss"]
    assert len(shown.steps) <= 50
    assert shown.points == 5000
    assert {0, 1234, 4000, 4500, 4999} <= set(shown.steps)
    assert all(values[step] == value for step, value in zip(shown.steps, shown.values, strict=True))


@pytest.mark.parametrize(
    ("losses", "answers"), [([], []), ([0.5, 0.5], [Trial, Trial]), ([0.5, 0.4], [Trial, AlreadyTold])]
)
def test_a_call_may_repeat_itself_but_not_contradict_itself(
    database: Database, losses: list[float], answers: list[type]
) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    told = tell(database, "resnet", [complete(lease, loss) for loss in losses])
    assert [type(answer) for answer in told] == answers
    if losses:
        assert trials.get(database, "resnet", lease.number).values == {"loss": losses[0]}
        assert studies.get(database, "resnet")[0].spent.gradient_evaluations == lease.parameters["steps"]


def test_a_pruned_trial_spends_what_its_curve_shows(database: Database) -> None:
    studies.create(database, external(budget={"gradient_evaluations": 1000}))
    (lease,) = ask(database, "resnet").trials
    append_points(
        database, "resnet", [Report(lease.number, lease.attempt, [NewPoints("loss", [1, 2, 3], [3.0, 2.0, 1.0])])]
    )
    tell(database, "resnet", [Ending(lease.number, lease.attempt, "pruned", reason="no use")])
    assert studies.get(database, "resnet")[0].spent.gradient_evaluations == 3


def test_a_client_that_stopped_when_told_to_is_charged_what_it_reported(database: Database) -> None:
    space = {"learning_rate": {"type": "float", "low": 0.1, "high": 1.0}, "steps": {"type": "int", "low": 9, "high": 9}}
    studies.create(database, external(search_space=space))
    diverged, pruned, whole = ask(database, "resnet", count=3).trials
    points = NewPoints("loss", [1, 4], [1.0, math.inf])
    append_points(database, "resnet", [Report(0, 1, [points]), Report(1, 1, [NewPoints("loss", [2], [0.5])])])
    tell(database, "resnet", [complete(diverged, math.inf), Ending(pruned.number, 1, "pruned"), complete(whole)])
    told = trials.page(database, "resnet").trials
    assert [(trial.steps_run, trial.gradient_evaluations) for trial in told] == [(4, 4), (2, 2), (9, 9)]
