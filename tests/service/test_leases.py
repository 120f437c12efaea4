"""Leases: work whose holder is gone is done again, under the same number, and by nobody else meanwhile."""

import time

from tests.service.definitions import complete, external, registered
from tuner.errors import LeaseLost
from tuner.service import studies, trials
from tuner.service.ask import ask
from tuner.service.leases import release, sweep
from tuner.service.report import NewPoints, Report, append_points
from tuner.service.tell import tell
from tuner.storage.database import Database
from tuner.storage.leases import MAX_LOST_LEASES
from tuner.trial import Trial

SHORT = 0.05
"""Seconds of a lease that is meant to be lost."""


def lose(database: Database, name: str) -> None:
    time.sleep(2 * SHORT)
    assert sweep(database) > 0, name


def test_an_expired_lease_is_requeued_as_the_same_trial(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet", lease_seconds=SHORT).trials
    lose(database, "resnet")
    assert trials.get(database, "resnet", lease.number).state == "waiting"
    (again,) = ask(database, "resnet").trials
    assert (again.number, again.attempt, again.parameters) == (lease.number, 2, lease.parameters)
    assert studies.get(database, "resnet")[0].spent.trials == 1


def test_a_lease_that_is_renewed_is_kept(database: Database) -> None:
    studies.create(database, external())
    kept, lost = ask(database, "resnet", count=2, lease_seconds=0.5).trials
    for _ in range(8):
        time.sleep(0.1)
        assert append_points(database, "resnet", [Report(kept.number, 1)]) == [kept.number]
    sweep(database)
    assert trials.get(database, "resnet", kept.number).state == "running"
    assert trials.get(database, "resnet", lost.number).state == "waiting"
    assert append_points(database, "resnet", [Report(kept.number, 2), Report(99, 1)]) == []


def test_a_late_result_is_taken_until_somebody_has_begun_anew(database: Database) -> None:
    studies.create(database, external())
    first, second = ask(database, "resnet", count=2, lease_seconds=SHORT).trials
    lose(database, "resnet")
    (taken,) = tell(database, "resnet", [complete(first, 0.5)])
    assert isinstance(taken, Trial)
    (again,) = ask(database, "resnet").trials
    assert again.number == second.number
    (refused,) = tell(database, "resnet", [complete(second, 0.5)])
    assert isinstance(refused, LeaseLost)
    assert trials.get(database, "resnet", second.number).state == "running"


def test_a_trial_that_loses_its_lease_too_often_is_quarantined(database: Database) -> None:
    studies.create(database, registered(budget={"trials": 1}))
    for attempt in range(1, MAX_LOST_LEASES + 1):
        (lease,) = ask(database, "line-fit", lease_seconds=SHORT).trials
        assert lease.attempt == attempt
        lose(database, "line-fit")
    trial = trials.get(database, "line-fit", 0)
    assert (trial.state, trial.quarantined) == ("failed", True)
    study, _ = studies.get(database, "line-fit")
    assert (study.state, study.spent.failed_trials) == ("completed", 1)


def test_released_trials_are_not_charged_a_lost_lease(database: Database) -> None:
    studies.create(database, external())
    for _ in range(MAX_LOST_LEASES + 2):
        (lease,) = ask(database, "resnet").trials
        release(database, "resnet", [(lease.number, lease.attempt)])
    assert trials.get(database, "resnet", 0).state == "waiting"


def test_what_a_lost_attempt_spent_is_the_studys(database: Database) -> None:
    studies.create(database, registered(budget={"trials": 1}))
    (lease,) = ask(database, "line-fit", lease_seconds=SHORT).trials
    points = NewPoints("loss", [0, 1, 2, 3], [4.0, 3.0, 2.0, 1.0])
    append_points(database, "line-fit", [Report(lease.number, lease.attempt, [points])])
    lose(database, "line-fit")
    assert studies.get(database, "line-fit")[0].spent.gradient_evaluations == 4
    (again,) = ask(database, "line-fit").trials
    points = NewPoints("loss", [0, 1], [4.0, 3.5])
    tell(database, "line-fit", [complete(again, 3.5, steps_run=1, gradient_evaluations=2, curves=[points])])
    study, _ = studies.get(database, "line-fit")
    assert (study.spent.gradient_evaluations, study.spent.trials) == (6, 1)
    assert trials.curve(database, "line-fit", 0)["loss"].values == [4.0, 3.5]


def test_a_study_whose_seconds_are_spent_completes_by_itself(database: Database) -> None:
    studies.create(database, external(budget={"seconds": 0.2}))
    (lease,) = ask(database, "resnet").trials
    time.sleep(0.3)
    assert ask(database, "resnet").trials == []
    tell(database, "resnet", [complete(lease)])
    sweep(database)
    study, _ = studies.get(database, "resnet")
    assert study.state == "completed"
    raised, _ = studies.change(database, "resnet", {"budget": {"seconds": 1000.0}})
    assert raised.state == "active"
    assert raised.spent.seconds < 1.0 or raised.spent.seconds < 10.0
