"""Report: curves grow while trials run, and whoever reports holds the trial."""

import math
import time

import numpy as np
import pytest

from tests.service.definitions import complete, external, registered
from tuner.errors import LeaseLost, TrialNotFound, TrialState, TunerError
from tuner.service import studies, trials
from tuner.service.ask import ask
from tuner.service.leases import release, sweep
from tuner.service.report import NewPoints, Report, Reported, report
from tuner.service.tell import Ending, tell
from tuner.storage import trials as rows
from tuner.storage.database import Database
from tuner.storage.leases import MAX_LOST_LEASES
from tuner.storage.trials import TrialRecord
from tuner.trial import Lease, Trial

SHORT = 0.05
"""Seconds of a lease that is meant to be lost."""


def on(lease: Lease, steps: list[int], losses: list[float], attempt: int | None = None) -> Report:
    return Report(lease.number, attempt or lease.attempt, [NewPoints("loss", steps, losses)])


def send(database: Database, *reports: Report) -> list[Reported | TunerError]:
    return report(database, "resnet", reports)


def row(database: Database, number: int) -> TrialRecord:
    return database.read(lambda connection: rows.get(connection, 1, number))


def curve(database: Database, number: int = 0) -> dict[int, float]:
    found = trials.curve(database, "resnet", number).get("loss")
    return {} if found is None else dict(zip(found.steps, found.values, strict=True))


def lose(database: Database) -> None:
    time.sleep(2 * SHORT)
    assert sweep(database) > 0


def test_steps_come_in_any_order_and_the_latest_value_of_a_step_counts(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    send(database, on(lease, [5, 3, 4], [0.5, 0.3, 0.4]))
    send(database, on(lease, [4, 1, 4], [9.0, 0.1, 8.0]), on(lease, [6], [0.6]), on(lease, [1], [0.2]))
    assert curve(database) == {1: 0.2, 3: 0.3, 4: 8.0, 5: 0.5, 6: 0.6}
    assert row(database, 0).last_step == 6


def test_metrics_have_columns_of_their_own(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    points = [NewPoints("loss", [1, 2, 3], [3.0, 2.0, 1.0]), NewPoints("accuracy", [3], [0.5]), NewPoints("x", [], [])]
    send(database, Report(0, lease.attempt, points))
    shown = trials.curve(database, "resnet", 0)
    assert {metric: one.steps for metric, one in shown.items()} == {"loss": [1, 2, 3], "accuracy": [3]}


def test_a_curve_reported_point_by_point_is_the_curve_reported_at_once(database: Database) -> None:
    rng = np.random.default_rng(0)
    steps, losses = rng.permutation(900), rng.normal(size=900)
    studies.create(database, external())
    by_point, at_once = ask(database, "resnet", count=2).trials
    send(database, on(at_once, steps.tolist(), losses.tolist()))
    for first in range(0, 900, 7):
        some = slice(first, first + 7)
        send(database, on(by_point, steps[some].tolist(), losses[some].tolist()))
    assert curve(database, 0) == curve(database, 1) == dict(zip(steps.tolist(), losses.tolist(), strict=True))


@pytest.mark.parametrize(("goal", "best"), [("minimize", (-2.0, 7)), ("maximize", (3.0, 2))])
def test_a_running_trial_shows_its_best_so_far(database: Database, goal: str, best: tuple[float, int]) -> None:
    studies.create(database, external(goal={goal: "loss"}))
    (lease,) = ask(database, "resnet").trials
    send(database, on(lease, [1, 2, 3], [1.0, 3.0, math.nan]))
    send(database, on(lease, [7, 4, 8], [-2.0, math.inf, 0.0]), Report(0, 1, [NewPoints("other", [9], [-99.0])]))
    found = row(database, 0)
    assert (found.best_value, found.best_step, found.last_step) == (*best, 9)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_kept_and_says_stop(database: Database, loss: float) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    (first,) = send(database, on(lease, [1], [1.0]))
    assert isinstance(first, Reported)
    assert not first.should_stop
    (answer,) = send(database, on(lease, [2], [loss]))
    assert isinstance(answer, Reported)
    assert answer.should_stop
    assert answer.reason is not None
    assert "step 2" in answer.reason
    (again,) = send(database, Report(0, 1))
    assert isinstance(again, Reported)
    assert again.reason == answer.reason
    assert str(curve(database)[2]) == str(loss)
    (told,) = tell(database, "resnet", [Ending(0, 1, "pruned")])
    assert isinstance(told, Trial)
    assert told.reason == answer.reason
    (told_again,) = tell(database, "resnet", [Ending(0, 1, "pruned")])
    assert told_again == told


def test_a_spike_that_passed_is_no_reason_to_stop(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    (answer,) = send(database, on(lease, [1, 2, 3], [1.0, math.inf, 0.9]))
    assert isinstance(answer, Reported)
    assert not answer.should_stop


def test_who_holds_nothing_reports_nothing(database: Database) -> None:
    studies.create(database, external())
    first, second, third = ask(database, "resnet", count=3).trials
    tell(database, "resnet", [complete(second)])
    release(database, "resnet", [(third.number, 1)])
    answers = send(
        database, on(first, [1], [1.0], attempt=2), on(second, [1], [1.0]), on(third, [1], [1.0]), Report(99, 1)
    )
    assert [type(answer) for answer in answers] == [LeaseLost, TrialState, LeaseLost, TrialNotFound]
    assert [curve(database, number) for number in range(3)] == [{}, {}, {}]


def test_a_lease_that_ran_out_is_taken_up_again_by_its_own_attempt(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet", lease_seconds=SHORT).trials
    send(database, on(lease, [1, 2], [2.0, 1.0]))
    for _ in range(MAX_LOST_LEASES + 1):
        lose(database)
        assert trials.get(database, "resnet", 0).state == "waiting"
        assert studies.get(database, "resnet")[0].spent.gradient_evaluations == 2
        (answer,) = send(database, on(lease, [3], [0.5]) if len(curve(database)) == 2 else Report(0, 1))
        assert isinstance(answer, Reported)
        if len(curve(database)) == 3:
            break
    trial = trials.get(database, "resnet", 0)
    assert (trial.state, trial.attempt, trial.gradient_evaluations) == ("running", 1, 0)
    assert row(database, 0).lost_leases == 0
    assert studies.get(database, "resnet")[0].spent.gradient_evaluations == 0
    tell(database, "resnet", [Ending(0, 1, "pruned")])
    assert studies.get(database, "resnet")[0].spent.gradient_evaluations == 3


def test_once_another_has_begun_the_first_is_refused(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet", lease_seconds=SHORT).trials
    send(database, on(lease, [1], [2.0]))
    lose(database)
    (again,) = ask(database, "resnet").trials
    assert (again.number, again.attempt) == (0, 2)
    assert row(database, 0).last_step is None
    (refused,) = send(database, on(lease, [2], [1.0]))
    assert isinstance(refused, LeaseLost)
    assert curve(database) == {}
    send(database, on(again, [1], [7.0]))
    assert curve(database) == {1: 7.0}


def test_a_late_reporter_does_not_pass_the_limit_of_parallel_trials(database: Database) -> None:
    studies.create(database, external(budget={"parallel_trials": 1}))
    (late,) = ask(database, "resnet", lease_seconds=SHORT).trials
    lose(database)
    database.write(lambda connection: rows.change(connection, 1, attempt=1))
    (other,) = ask(database, "resnet").trials
    assert other.number == late.number
    (refused,) = send(database, Report(late.number, late.attempt))
    assert isinstance(refused, LeaseLost)


def test_a_workers_report_counts_what_its_lost_attempt_spent(database: Database) -> None:
    studies.create(database, registered())
    (lease,) = ask(database, "line-fit", lease_seconds=SHORT).trials
    report(database, "line-fit", [Report(lease.number, 1, [NewPoints("loss", [0, 1, 2], [3.0, 2.0, 1.0])])])
    lose(database)
    assert studies.get(database, "line-fit")[0].spent.gradient_evaluations == 3
