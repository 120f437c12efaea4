"""What the tests of workers share: definitions, workers in this process, and real worker processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tuner.definition import Study, StudyDefinition
from tuner.objectives import load_module
from tuner.service import gradient_check, search, studies, trials
from tuner.storage import measurements
from tuner.storage import studies as studies_stored
from tuner.storage.database import Connection, Database
from tuner.trial import Curve, Trial
from tuner.worker import Worker

BOWLS = str(Path(__file__).parent / "bowls.py")
load_module(BOWLS)

SLACK = 10.0
"""Seconds by which a busy machine may be late with what is promised in seconds. What these tests interrupt would go on
for minutes."""


def definition(name: str = "line-fit", objective: str = "line_fit", **changes: Any) -> StudyDefinition:
    """The tutorial study; ``settings`` are the objective's."""
    settings = changes.pop("settings", {})
    document = {
        "name": name,
        "objective": {"name": objective, "settings": settings},
        "search_space": {
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
            "steps": {"type": "int", "low": 1, "high": 200},
        },
        "sampler": {"name": "random"},
        **changes,
    }
    return StudyDefinition.model_validate(document)


def fixed(learning_rate: float, steps: int) -> dict[str, Any]:
    """A search space of one point."""
    return {
        "learning_rate": {"type": "float", "low": learning_rate, "high": learning_rate},
        "steps": {"type": "int", "low": steps, "high": steps},
    }


def work_off(database: Database, name: str) -> Study:
    """Run a study to its end with one worker in this process."""
    with Worker(database, studies=[name]) as worker:
        while worker.work_once():
            pass
    return study_of(database, name)


def study_of(database: Database, name: str) -> Study:
    return studies.get(database, name)[0]


def trials_of(database: Database, name: str) -> list[Trial]:
    return trials.page(database, name, page_size=1000).trials


def curves_of(database: Database, name: str) -> list[dict[str, Curve]]:
    return [trials.curve(database, name, trial.number) for trial in trials_of(database, name)]


def measuring(database: Database, name: str) -> int:
    """Gradient evaluations that measurements on a study took, beside its trials."""

    def work(connection: Connection) -> int:
        study_id = studies_stored.get(connection, name).id
        kinds = (gradient_check.KIND, search.START, search.CURVATURE)
        found = [one for kind in kinds for one in measurements.read(connection, study_id, kind)]
        return sum(one.gradient_evaluations for one in found)

    return database.read(work)


def eventually(condition: Callable[[], bool], within: float = 60.0) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


@contextmanager
def worker_process(database_url: str, *flags: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A real worker process that knows the bowls; killed at the end if it still runs."""
    command = [sys.executable, "-m", "tuner", "worker", "--objectives", BOWLS, "--log-level", "warning", *flags]
    environment = {**os.environ, "TUNER_DATABASE_URL": database_url}
    process = subprocess.Popen(command, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
