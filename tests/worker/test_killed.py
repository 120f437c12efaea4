"""Worker processes killed by SIGKILL: nothing is lost, and a study does not show it."""

from pathlib import Path
from typing import Any

import pytest

from tests.worker.running import (
    curves_of,
    definition,
    eventually,
    fixed,
    study_of,
    trials_of,
    work_off,
    worker_process,
)
from tuner.service import studies
from tuner.service.leases import sweep
from tuner.storage import studies as studies_stored
from tuner.storage.database import Database
from tuner.trial import TrialState

SHORT_LEASE = ("--poll-seconds", "0.05", "--lease-seconds", "1")


def test_a_worker_killed_in_a_batch_loses_nothing(database: Database) -> None:
    sampler = {"name": "random", "batch_size": 4}
    settings = {"seconds": 0.03}
    studies.create(
        database,
        definition(
            "slow", "slow_bowl", settings=settings, search_space=fixed(0.1, 30), sampler=sampler, budget={"trials": 8}
        ),
    )
    with worker_process(database.url, *SHORT_LEASE) as first:
        eventually(lambda: study_of(database, "slow").trials["running"] == 4)
        first.kill()
        first.wait()
    with worker_process(database.url, *SHORT_LEASE):
        eventually(lambda: study_of(database, "slow").state == "completed")
    found = trials_of(database, "slow")

    assert [trial.number for trial in found] == list(range(8))
    assert {trial.state for trial in found} == {TrialState.COMPLETE}
    assert [trial.attempt for trial in found[:4]] == [2, 2, 2, 2]
    assert [trial.attempt for trial in found[4:]] == [1, 1, 1, 1]
    assert study_of(database, "slow").spent.trials == 8
    assert all(curve["loss"].steps == list(range(31)) for curve in curves_of(database, "slow"))


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_worker_killed_in_between_leaves_the_same_trials(database: Database) -> None:
    """The lost batch is run again whole before the sampler goes on, so that it knows what it would have known."""

    def one(name: str) -> None:
        studies.create(
            database,
            definition(
                name,
                "slow_bowl",
                settings={"seconds": 0.002},
                sampler={"name": "tpe", "seed": 3, "settings": {"n_startup_trials": 5}},
                budget={"trials": 20},
            ),
        )

    one("whole")
    work_off(database, "whole")
    one("torn")
    with worker_process(database.url, *SHORT_LEASE) as first:
        eventually(lambda: study_of(database, "torn").trials["complete"] >= 5)
        eventually(lambda: study_of(database, "torn").trials["running"] > 0)
        first.kill()
        first.wait()
    lost = study_of(database, "torn").trials["running"]
    eventually(lambda: sweep(database) > 0 or lost == 0)
    work_off(database, "torn")

    whole, torn = trials_of(database, "whole"), trials_of(database, "torn")
    assert [trial.parameters for trial in torn] == [trial.parameters for trial in whole]
    assert [trial.values for trial in torn] == [trial.values for trial in whole]
    assert curves_of(database, "torn") == curves_of(database, "whole")


MOMENTUM: dict[str, Any] = {
    "update_rule": {"type": "categorical", "choices": ["gradient_descent", "heavy_ball"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99},
}


def by_trajectory(
    database: Database, name: str, seconds: float, further: dict[str, Any] | None = None, **settings: Any
) -> None:
    studies.create(
        database,
        definition(
            name,
            "slow_bowl",
            settings={"seconds": seconds, **settings},
            sampler={"name": "trajectory"},
            search_space={
                "learning_rate": {"type": "float", "low": 1e-4, "high": 10.0, "scale": "log"},
                "steps": {"type": "int", "low": 1, "high": 200},
                **(further or {}),
            },
            budget={"trials": None, "gradient_evaluations": 700 if further else 400},
        ),
    )


@pytest.mark.parametrize(
    ("backend", "further"), [("sqlite", MOMENTUM), ("postgresql", {})], indirect=["backend"], ids=["arms", "rates"]
)
def test_a_search_whose_workers_are_killed_finds_what_an_undisturbed_one_finds(
    database: Database, tmp_path: Path, further: dict[str, Any]
) -> None:
    by_trajectory(database, "whole", 0.0, further)
    whole = work_off(database, "whole")
    log = tmp_path / "evaluations"
    by_trajectory(database, "torn", 0.004, further, log=str(log))
    for _ in range(3):
        with worker_process(database.url, *SHORT_LEASE) as worker:
            enough = study_of(database, "torn").spent.gradient_evaluations + (150 if further else 20)
            eventually(lambda enough=enough: study_of(database, "torn").spent.gradient_evaluations > enough)  # type: ignore[misc]
            worker.kill()
            worker.wait()
        eventually(lambda: sweep(database) > 0 or study_of(database, "torn").trials["running"] == 0)
    torn = work_off(database, "torn")

    found = trials_of(database, "torn")
    assert [trial.parameters for trial in found] == [trial.parameters for trial in trials_of(database, "whole")]
    assert [trial.values for trial in found] == [trial.values for trial in trials_of(database, "whole")]
    assert curves_of(database, "torn") == curves_of(database, "whole")
    assert max(trial.attempt for trial in found) > 1
    # What the dead ones had not reported is lost with them, and charged to nobody; all else is charged once.
    assert torn.spent.gradient_evaluations == whole.spent.gradient_evaluations
    assert torn.spent.gradient_evaluations <= sum(map(int, log.read_text().split()))


def test_a_worker_killed_while_it_holds_a_study_loses_it_to_another(database: Database) -> None:
    """In the midst of the check, when no trial has begun."""
    by_trajectory(database, "slow", 0.7)
    with worker_process(database.url, *SHORT_LEASE) as first:
        eventually(lambda: holder_of(database, "slow") is not None)
        holder = holder_of(database, "slow")
        first.kill()
        first.wait()
    with worker_process(database.url, *SHORT_LEASE):
        eventually(lambda: holder_of(database, "slow") not in {None, holder})
        eventually(lambda: study_of(database, "slow").spent.gradient_evaluations >= 2)


def holder_of(database: Database, name: str) -> str | None:
    return database.read(lambda connection: studies_stored.get(connection, name).holder)
