"""Many who claim at once: nobody gets what another has, and a shared seed gives nobody the same point."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.clients import Crew, barrier, read, running
from tests.faults.records import all_trials, external
from tests.faults.scale import LONGEST, times
from tests.faults.service import api_processes, serving
from tests.faults.trainers import LEASE, claim, claim_in_process
from tuner.service import studies
from tuner.service.ask import ask
from tuner.service.leases import release
from tuner.storage.database import Database

CLAIMERS = 16
TRIALS = 2_000


def study_of_trials(database: Database, trials: int, sampler: dict[str, Any]) -> None:
    """A study of so many trials, the first half of which wait: they were begun before, and given back."""
    external(database, sampler=sampler, budget={"trials": trials})
    begun = [
        (lease.number, lease.attempt)
        for _ in range(0, trials // 2, 1000)
        for lease in ask(database, "resnet", count=min(1000, trials // 2), lease_seconds=LEASE).trials
    ]
    assert len(release(database, "resnet", begun)) == trials // 2


def everybody_has_his_own(database: Database, crew: Crew, trials: int) -> None:
    crew.finish(within=LONGEST)
    leases = [lease for line in read(crew.logs) for lease in line["leased"]]
    assert sorted(lease["number"] for lease in leases) == list(range(trials))
    assert all(lease["attempt"] == (2 if lease["number"] < trials // 2 else 1) for lease in leases)
    points = {tuple(sorted(lease["parameters"].items())) for lease in leases}
    assert len(points) == trials
    assert sum(bool(read([log])) for log in crew.logs) >= CLAIMERS / 4, "it was no race"
    stored = all_trials(database)
    assert {trial.number: trial.parameters for trial in stored} == {
        lease["number"]: lease["parameters"] for lease in leases
    }
    assert studies.get(database, "resnet")[0].spent.trials == trials


def test_16_clients_claim_2000_trials_over_http(
    database: Database, database_url: str, backend: str, tmp_path: Path
) -> None:
    """Of 1 API process on SQLite, 2 on PostgreSQL."""
    study_of_trials(database, TRIALS, {"name": "random", "seed": 7})
    with (
        serving(database_url, tmp_path, "--workers", "0", *api_processes(backend)) as service,
        running(tmp_path, CLAIMERS, claim, service.url, "resnet", barrier(CLAIMERS)) as crew,
    ):
        everybody_has_his_own(database, crew, TRIALS)


@pytest.mark.parametrize(
    ("sampler", "trials"),
    [
        ({"name": "qmc", "seed": 7}, times(500, TRIALS)),
        # What a learner takes for a suggestion is its own time.
        ({"name": "tpe", "seed": 7, "settings": {"n_startup_trials": 10}}, times(200, TRIALS)),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else str(value),
)
def test_16_processes_with_databases_of_their_own_claim(
    database: Database, database_url: str, tmp_path: Path, sampler: dict[str, Any], trials: int
) -> None:
    """500 trials of a design, 200 of a learner; in the long version 2,000 of each."""
    study_of_trials(database, trials, sampler)
    with running(tmp_path, CLAIMERS, claim_in_process, database_url, "resnet", barrier(CLAIMERS)) as crew:
        everybody_has_his_own(database, crew, trials)
