"""Worker processes killed by SIGKILL: nothing is lost, and a study does not show it."""

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
