"""Local processes as a place: started, started again when they die, stopped, killed where need be."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.worker.running import BOWLS, SLACK, definition, eventually, fixed, study_of, trials_of
from tuner.service import studies, workers
from tuner.storage.database import Database
from tuner.trial import TrialState
from tuner.worker import LocalProcesses

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@contextmanager
def local_processes(database: Database, count: int, grace_seconds: float = 5.0) -> Iterator[LocalProcesses]:
    environment = {
        "TUNER_DATABASE_URL": database.url,
        "TUNER_OBJECTIVES": f'["{BOWLS}"]',
        "TUNER_LOG_LEVEL": "error",
        "TUNER_POLL_SECONDS": "0.05",
        "TUNER_GRACE_SECONDS": str(grace_seconds),
    }
    place = LocalProcesses(database, count, environment)
    place.start()
    try:
        yield place
    finally:
        place.stop(grace_seconds)


def alive(database: Database) -> list[int]:
    return sorted(worker.pid for worker in workers.listed(database) if worker.alive)


def test_a_process_that_dies_is_replaced_and_its_trials_wait_for_nobody(database: Database) -> None:
    settings = {"seconds": 0.02}
    studies.create(
        database, definition("slow", "slow_bowl", settings=settings, search_space=fixed(0.1, 40), budget={"trials": 4})
    )
    with local_processes(database, 1) as place:
        eventually(lambda: study_of(database, "slow").trials["running"] == 4)
        [first] = place.pids
        os.kill(first, signal.SIGKILL)
        # The leases would last for a minute.
        eventually(lambda: study_of(database, "slow").state == "completed")
        assert place.pids != [first]
        assert alive(database) == place.pids

    assert {(trial.state, trial.attempt) for trial in trials_of(database, "slow")} == {(TrialState.COMPLETE, 2)}
    assert alive(database) == []


def test_a_process_that_does_not_end_is_killed_and_its_trials_are_given_back(database: Database) -> None:
    studies.create(
        database, definition("stuck", "slow_bowl", settings={"seconds": 0.02}, search_space=fixed(0.1, 10_000))
    )
    with local_processes(database, 1, grace_seconds=2.0) as place:
        eventually(lambda: study_of(database, "stuck").trials["running"] > 0)
        [process] = place.pids
        os.kill(process, signal.SIGSTOP)
        began = time.monotonic()
        place.stop(2.0)
        assert time.monotonic() - began < 2.0 + SLACK

    assert {trial.state for trial in trials_of(database, "stuck")} == {TrialState.WAITING}


def test_processes_have_the_environment_of_the_one_that_starts_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "kept")
    with local_processes(database, 1) as place:
        [pid] = place.pids
        eventually(lambda: b"PGPASSWORD=kept" in Path(f"/proc/{pid}/environ").read_bytes())
