"""Clients that are killed, or stopped for so long that others have taken their place."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.clients import Client, Crew, Log, read, running
from tests.faults.records import external
from tests.faults.service import Service, serving
from tests.faults.trainers import LEASE, SHORT_LEASE, hold, write_late
from tests.worker.running import eventually
from tuner.service import studies, trials
from tuner.storage.database import Database

TRIALS = "/v1/studies/resnet/trials"

WRITES = ["heartbeat", "report", "release", "tell", "tell", "tell", "tell several"]

SWEPT_WITHIN = 5.0
"""Seconds within which a lease that is over is noticed, though nobody asks."""


@pytest.fixture
def service(database: Database, database_url: str, tmp_path: Path) -> Iterator[Service]:
    with serving(database_url, tmp_path, "--workers", "0") as running_service:
        yield running_service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as another:
        yield another


def lease_kept(crew: Crew) -> dict[str, Any]:
    """The lease of a client that has held it for longer than it would have lasted by itself."""
    eventually(lambda: len(read(crew.logs)) > 0)
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > 1.5 * SHORT_LEASE and "renewed" in read(crew.logs)[-1])
    [lease] = read(crew.logs)[0]["leased"]
    return dict(lease)


def taken_over(client: Client) -> dict[str, Any]:
    """The trial that somebody else gets in the end, though the study has no other."""
    found: list[dict[str, Any]] = []

    def asked() -> bool:
        found.extend(client.post(f"{TRIALS}:ask", {"worker": "another", "lease_seconds": LEASE}).json()["trials"])
        return bool(found)

    assert not asked(), "it is still held"
    eventually(asked, within=SHORT_LEASE + SWEPT_WITHIN + 5)
    [lease] = found
    return lease


def begun_anew_after(database: Database, lost: dict[str, Any], lease: dict[str, Any], crew: Crew) -> None:
    """The lease is the next attempt at the same trial, and the former one was over by then."""
    assert (lease["number"], lease["attempt"]) == (lost["number"], lost["attempt"] + 1)
    assert lease["parameters"] == lost["parameters"]
    started_at = trials.get(database, "resnet", lost["number"]).started_at
    assert started_at is not None
    renewals = [datetime.fromisoformat(line["renewed"]) for line in read(crew.logs) if "renewed" in line]
    assert started_at >= renewals[-1]


def test_the_trial_of_a_killed_client_is_run_again(
    database: Database, service: Service, client: Client, tmp_path: Path
) -> None:
    """Its number and its point stay, and it is attempt 2."""
    external(database, budget={"trials": 1})
    with running(tmp_path, 1, hold, service.url, "resnet") as crew:
        lost = lease_kept(crew)
        [process] = crew.processes
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        lease = taken_over(client)
        begun_anew_after(database, lost, lease, crew)
        process.join()
        assert process.exitcode == -signal.SIGKILL
    answer = client.post(f"{TRIALS}/0:tell", {"attempt": 2, "state": "complete", "values": {"loss": 0.5}})
    assert answer.status_code == 200
    study = studies.get(database, "resnet")[0]
    assert (study.state, study.spent.trials) == ("completed", 1)


def test_a_client_that_slept_while_another_took_over_changes_nothing(
    database: Database, service: Service, client: Client, tmp_path: Path
) -> None:
    """Stopped by SIGSTOP; continued, every write of its is answered 409, while the other runs and after it is done."""
    external(database, budget={"trials": 1})
    with running(tmp_path, 1, hold, service.url, "resnet") as crew:
        lost = lease_kept(crew)
        [process] = crew.processes
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        lease = taken_over(client)
        begun_anew_after(database, lost, lease, crew)
        before = everything(service)
        os.kill(process.pid, signal.SIGCONT)
        crew.finish(within=60)
        late = [line for line in read(crew.logs) if "late" in line]
        assert [line["late"] for line in late] == WRITES
        assert {(line["status"], line["code"]) for line in late} == {(409, "lease_lost")}
        assert everything(service) == before

    result = {"attempt": 2, "state": "complete", "values": {"loss": 0.5}}
    assert client.post(f"{TRIALS}/0:tell", result).status_code == 200
    told = everything(service)
    again = tmp_path / "again.jsonl"
    write_late(Log(again), client, TRIALS, lost)
    late = read([again])
    assert [line["late"] for line in late] == WRITES
    assert {(line["status"], line["code"]) for line in late} == {(409, "lease_lost")}
    assert everything(service) == told


def everything(service: Service) -> list[Any]:
    """What can be read of the study, its trial and the trial's curve."""
    found = [
        httpx.get(f"{service.url}{path}", timeout=60).raise_for_status().json()
        for path in ("/v1/studies/resnet", f"{TRIALS}/0", f"{TRIALS}/0/curve")
    ]
    # Seconds that went by are no change.
    found[0]["spent"].pop("seconds")
    return found
