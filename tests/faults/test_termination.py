"""SIGTERM in the midst of everything: the service ends in time, whoever still listens to it, and nothing is lost."""

import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.faults.clients import Client, event, running
from tests.faults.records import acknowledged, external, hold_what_was_acknowledged
from tests.faults.scale import LONG, times
from tests.faults.service import serving
from tests.faults.streams import hanging_on, reading
from tests.faults.trainers import LEASE, tell_on
from tests.worker.running import BOWLS, SLACK, definition, eventually, fixed, study_of, trials_of
from tuner.service import studies
from tuner.service.ask import ask
from tuner.storage.database import Database
from tuner.trial import TrialState

GRACE = 10.0
"""Seconds, what operators get who say nothing."""

STREAMS = times(10, 100)
"""Open streams of each kind."""


@pytest.mark.parametrize("processes", ["1", "2"])
def test_it_ends_within_its_grace_period_and_nothing_is_lost(
    database: Database, database_url: str, backend: str, tmp_path: Path, processes: str
) -> None:
    """With 8 clients that tell, trials that run, open streams, and connections on which nothing happens.

    1 API process on SQLite and 2 on PostgreSQL, 20 streams; in the long version both on both, 200.
    """
    if not LONG and (backend == "sqlite") != (processes == "1"):
        pytest.skip("in the long version only")
    external(database)
    external(database, "held")
    [held] = ask(database, "held", lease_seconds=LEASE).trials
    studies.create(
        database,
        definition(
            "slow", "slow_bowl", settings={"seconds": 0.02}, search_space=fixed(0.01, 10_000), budget={"trials": 2}
        ),
    )
    stop = event()
    flags = ["--processes", processes, "--workers", "1", "--objectives", BOWLS, "--grace-seconds", str(GRACE)]
    # All of them come from one address.
    flags += ["--event-streams-per-client", str(2 * STREAMS)]
    with serving(database_url, tmp_path, *flags) as service:
        streams = [f"{service.url}/v1/events", f"{service.url}/v1/studies/resnet/events"] * STREAMS
        with running(tmp_path, 8, tell_on, service.url, "resnet", stop) as crew:
            with reading(streams) as readers, hanging_on(service.port):
                eventually(lambda: all(reader.lines for reader in readers), within=60)
                assert {reader.status for reader in readers} == {200}
                eventually(lambda: study_of(database, "slow").trials["running"] == 2)
                eventually(lambda: acknowledged(crew.logs) >= 100)
                assert not any(reader.ended.is_set() for reader in readers)
                began = time.monotonic()
                os.kill(service.pid, signal.SIGTERM)
                assert service.process is not None
                assert service.process.wait(timeout=60) == 0
                assert time.monotonic() - began < GRACE + SLACK
            # Given back, and not charged.
            for trial in trials_of(database, "slow"):
                assert (trial.state, trial.attempt, trial.reason) == (TrialState.WAITING, 1, None)
            # Whoever ran a trial of his own still does.
            [trial] = trials_of(database, "held")
            assert (trial.state, trial.attempt) == (TrialState.RUNNING, 1)
            assert_nobody_listens(service.url)
            before = acknowledged(crew.logs)
            service.start()
            eventually(lambda: acknowledged(crew.logs) >= before + 100)
            stop.set()
            crew.finish(within=60)
        with Client(service.url) as client:
            told = client.post(
                f"/v1/studies/held/trials/{held.number}:tell",
                {"attempt": held.attempt, "state": "complete", "values": {"loss": 1.0}},
            )
            assert told.status_code == 200
        hold_what_was_acknowledged(database, crew.logs)


def assert_nobody_listens(url: str) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")
