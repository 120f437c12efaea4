"""PostgreSQL crashes and comes back while everybody works: nothing acknowledged is lost, and nobody need be told."""

import random
from contextlib import closing
from pathlib import Path

import httpx
import psycopg

from tests.faults.clients import event, running
from tests.faults.postgresql import crashing_postgresql
from tests.faults.records import acknowledged, all_trials, external, hold_what_was_acknowledged
from tests.faults.scale import LONGEST, times
from tests.faults.service import serving
from tests.faults.trainers import tell_on
from tests.worker.running import BOWLS, definition, eventually, fixed, study_of
from tuner.service import studies, workers
from tuner.storage.database import Database
from tuner.trial import TrialState

CRASHES = times(3, 20)
BETWEEN = times(300, 1_000)
"""Results acknowledged between two crashes."""

BOWL_TRIALS = 100 * CRASHES
"""Each of about a tenth of a second."""


def test_nothing_acknowledged_is_lost_by_a_postgresql_that_crashes(database_directory: Path, tmp_path: Path) -> None:
    """3 crashes under 8 clients, 2 API processes and a worker, with 300 results in between; in the long version 20
    and 1,000."""
    with crashing_postgresql(database_directory) as server, closing(Database(server.url)) as database:
        with psycopg.connect(server.url) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)
        external(database)
        # The service's own worker has something to do all the while.
        studies.create(
            database,
            definition(
                "bowl",
                "slow_bowl",
                settings={"seconds": 0.001},
                search_space=fixed(0.1, 50),
                budget={"trials": BOWL_TRIALS},
            ),
        )
        stop = event()
        with serving(server.url, tmp_path, "--workers", "1", "--processes", "2", "--objectives", BOWLS) as service:
            eventually(lambda: any(worker.alive for worker in workers.listed(database)))
            [worker] = workers.listed(database)
            with running(tmp_path, 8, tell_on, service.url, "resnet", stop) as crew:
                for crash in range(1, CRASHES + 1):
                    goal = (crash - random.random() / 2) * BETWEEN
                    eventually(lambda goal=goal: acknowledged(crew.logs) >= goal, within=LONGEST)  # type: ignore[misc]
                    server.crash()
                    away = httpx.get(f"{service.url}/v1/studies/resnet", timeout=60)
                    assert (away.status_code, away.json()["code"]) == (503, "database_unavailable")
                    server.start()
                    # Nobody tells the service.
                    eventually(service.is_ready)
                eventually(lambda: acknowledged(crew.logs) >= (CRASHES + 1) * BETWEEN, within=LONGEST)
                stop.set()
                crew.finish(within=LONGEST)
            eventually(lambda: study_of(database, "bowl").state == "completed", within=LONGEST)
            assert [found.id for found in workers.listed(database)] == [worker.id], "the worker outlived it"
        hold_what_was_acknowledged(database, crew.logs)
        bowls = all_trials(database, "bowl")
        assert len(bowls) == BOWL_TRIALS
        assert {(trial.state, trial.attempt) for trial in bowls} == {(TrialState.COMPLETE, 1)}
