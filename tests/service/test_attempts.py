"""Attempts: who ran a trial, and how each attempt ended."""

import pytest
from sqlalchemy import Connection

from tests.service.definitions import complete, external
from tuner.errors import TrialNotFound
from tuner.service import studies, trials
from tuner.service.ask import ask
from tuner.service.attempts import attempts
from tuner.service.leases import release, sweep
from tuner.service.report import Report, report
from tuner.service.tell import Ending, tell
from tuner.storage import leases
from tuner.storage.database import Database, now


def lose_lease(database: Database, worker: str) -> None:
    """The lease of what a worker holds runs out, and is swept."""

    def work(connection: Connection) -> None:
        leases.end_all(connection, worker, now(connection))

    database.write(work)
    assert sweep(database) == 1


def seen(database: Database, number: int = 0) -> list[tuple[int, str | None, str | None]]:
    return [(each.attempt, each.worker, each.end) for each in attempts(database, "resnet", number)]


def test_lost_released_running_and_finished_attempts(database: Database) -> None:
    studies.create(database, external())
    ask(database, "resnet", worker="a")
    assert seen(database) == [(1, "a", None)]
    lose_lease(database, "a")
    assert seen(database) == [(1, "a", "lost")]
    ask(database, "resnet", worker="b")
    release(database, "resnet", [(0, 2)])
    assert seen(database) == [(1, "a", "lost"), (2, "b", "released")]
    [lease] = ask(database, "resnet", worker="c").trials
    assert seen(database)[2:] == [(3, "c", None)]
    tell(database, "resnet", [complete(lease)])
    assert seen(database) == [(1, "a", "lost"), (2, "b", "released"), (3, "c", "complete")]
    found = attempts(database, "resnet", 0)
    assert found[2].ended_at == trials.get(database, "resnet", 0).finished_at
    times = [moment for each in found for moment in (each.started_at, each.ended_at)]
    assert times == sorted(times, key=lambda moment: moment or now)  # type: ignore[arg-type,return-value]


def test_a_result_that_comes_late_is_its_attempts_end(database: Database) -> None:
    studies.create(database, external())
    [lease] = ask(database, "resnet", worker="a").trials
    lose_lease(database, "a")
    tell(database, "resnet", [Ending(lease.number, 1, "pruned", {"loss": 1.0})])
    assert [(attempt, end) for attempt, _, end in seen(database)] == [(1, "pruned")]


def test_a_lease_that_is_taken_up_again_and_lost_again_is_one_attempt(database: Database) -> None:
    studies.create(database, external())
    ask(database, "resnet", worker="a")
    lose_lease(database, "a")
    report(database, "resnet", [Report(0, 1)])
    assert seen(database) == [(1, "a", None)]
    lose_lease(database, "a")
    assert seen(database) == [(1, "a", "lost")]


def test_a_quarantined_trial_lost_its_last_attempt(database: Database) -> None:
    studies.create(database, external())
    for _ in range(3):
        ask(database, "resnet", worker="a")
        lose_lease(database, "a")
    assert trials.get(database, "resnet", 0).quarantined
    assert seen(database) == [(1, "a", "lost"), (2, "a", "lost"), (3, "a", "lost")]


def test_a_trial_that_waits_has_none(database: Database) -> None:
    studies.create(database, external())
    trials.enqueue(database, "resnet", {"learning_rate": 0.1, "steps": 3})
    assert seen(database) == []
    with pytest.raises(TrialNotFound):
        attempts(database, "resnet", 1)
