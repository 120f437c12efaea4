"""Several API processes, workers and clients, all on one study: one budget, and nobody does another's trials."""

import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.clients import read, running
from tests.faults.records import all_trials
from tests.faults.scale import LONGEST, times
from tests.faults.service import serving
from tests.faults.trainers import run_bowls
from tests.worker.running import BOWLS, definition, eventually, measuring, study_of, worker_process
from tuner.service import studies, workers
from tuner.storage.database import Database
from tuner.trial import TrialState

TRIALS = times(400, 4_000)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_2_api_processes_2_workers_and_4_clients_share_one_study(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """400 trials; in the long version 4,000."""
    log = tmp_path / "evaluations"
    space = {
        "learning_rate": {"type": "float", "low": 1e-3, "high": 0.5, "scale": "log"},
        "steps": {"type": "int", "low": 1, "high": 50},
    }
    studies.create(
        database,
        definition(
            "bowl",
            "slow_bowl",
            settings={"seconds": 0.001, "log": str(log)},
            search_space=space,
            sampler={"name": "random", "seed": 3, "batch_size": 5},
            budget={"trials": TRIALS},
        ),
    )
    soon = ("--poll-seconds", "0.05")
    with (
        serving(database_url, tmp_path, "--processes", "2", "--workers", "0", "--objectives", BOWLS) as service,
        worker_process(database_url, *soon),
        worker_process(database_url, *soon),
    ):
        eventually(lambda: len([worker for worker in workers.listed(database) if worker.alive]) == 2)
        with running(tmp_path, 4, run_bowls, service.url, "bowl") as crew:
            crew.finish(within=LONGEST)
            eventually(lambda: study_of(database, "bowl").state == "completed", within=60)
    found = all_trials(database, "bowl")

    assert [trial.number for trial in found] == list(range(TRIALS))
    assert {(trial.state, trial.attempt) for trial in found} == {(TrialState.COMPLETE, 1)}
    assert len({tuple(trial.parameters.values()) for trial in found}) == TRIALS
    study = study_of(database, "bowl")
    assert study.spent.trials == TRIALS
    # The gradient is checked where a worker comes first.
    of_check = measuring(database, "bowl")
    assert study.spent.gradient_evaluations == sum(trial.gradient_evaluations for trial in found) + of_check
    # Whoever ran a trial is whom it was leased to.
    told = {result["number"]: result for line in read(crew.logs) for result in line.get("told", ())}
    assert {result["status"] for result in told.values()} == {200}
    by_worker = Counter(trial.worker for trial in found)
    by_clients = sum(number for worker, number in by_worker.items() if worker and worker.startswith("client "))
    assert by_clients == len(told)
    assert len(by_worker) == 6, "everybody had a share"
    # What the workers evaluated is what they were told to.
    of_workers = [trial for trial in found if trial.number not in told]
    in_trials = sum(trial.gradient_evaluations for trial in of_workers)
    assert sum(map(int, log.read_text().split())) == in_trials + of_check


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_api_processes_end_with_the_one_that_started_them(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Otherwise they would hold the port, and the service could not be started again."""
    with serving(database_url, tmp_path, "--processes", "2", "--workers", "1") as service:
        os.kill(service.pid, signal.SIGKILL)
        assert service.process is not None
        service.process.wait()
        eventually(lambda: not group_lives(service.pid), within=30)


def group_lives(leader: int) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(leader, 0)
        return True
    return False
