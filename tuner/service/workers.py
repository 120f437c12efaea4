"""Use cases of workers: make themselves known, say what they do, find work, be listed."""

import os
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from tuner import __version__
from tuner.definition import StudyDefinition
from tuner.search import planner_of
from tuner.service import gradient_check, holds
from tuner.service.ask import Ask, lease_out
from tuner.service.leases import sweep
from tuner.service.open_study import OpenStudy, open_study
from tuner.storage import leases, studies, workers
from tuner.storage.database import Connection, Database, now
from tuner.storage.leases import MAX_LOST_LEASES
from tuner.trial import Lease

ALIVE_WITHIN = 15.0
"""Seconds since a worker was last seen within which it counts as alive; it reports every few."""

FORGOTTEN_AFTER = timedelta(days=1)
"""How long a worker that is gone stays listed."""


CHOSEN_AT_ONCE = 16
"""Enqueued trials in one batch, where the sampler has no batch size."""


class Worker(BaseModel):
    """A worker process as it is read."""

    model_config = ConfigDict(frozen=True)

    id: str
    host: str
    pid: int
    version: str
    alive: bool
    study: str | None
    trials: int
    started_at: AwareDatetime
    seen_at: AwareDatetime
    stopped_at: AwareDatetime | None


def enlist(database: Database) -> str:
    """Make this process known as a worker; its id, which no other worker ever has."""
    host, pid = socket.gethostname(), os.getpid()
    worker_id = f"{host[:40]}-{pid}-{secrets.token_hex(4)}"

    def work(connection: Connection) -> None:
        moment = now(connection)
        workers.forget(connection, moment - FORGOTTEN_AFTER)
        workers.create(
            connection, id=worker_id, host=host, pid=pid, version=__version__, started_at=moment, seen_at=moment
        )

    database.write(work)
    return worker_id


def seen(database: Database, worker_id: str, *, study: str | None, trials: int) -> None:
    """Say that the worker lives, and what it is busy with."""
    database.write(
        lambda connection: workers.change(connection, worker_id, seen_at=now(connection), study=study, trials=trials)
    )


def dismiss(database: Database, worker_id: str) -> None:
    """The worker has stopped, in order."""

    def work(connection: Connection) -> None:
        moment = now(connection)
        workers.change(connection, worker_id, seen_at=moment, stopped_at=moment, study=None, trials=0)

    database.write(work)


def listed(database: Database) -> list[Worker]:
    """The workers of the last day, the newest first."""

    def work(connection: Connection) -> list[Worker]:
        moment = now(connection)
        alive_since = moment - timedelta(seconds=ALIVE_WITHIN)
        return [
            Worker(
                id=record.id,
                host=record.host,
                pid=record.pid,
                version=record.version,
                alive=record.stopped_at is None and record.seen_at >= alive_since,
                study=record.study,
                trials=record.trials,
                started_at=record.started_at,
                seen_at=record.seen_at,
                stopped_at=record.stopped_at,
            )
            for record in workers.seen_since(connection, moment - FORGOTTEN_AFTER)
        ]

    return database.read(work)


@dataclass(frozen=True)
class Work:
    """What a worker has to do for a study, or nothing: ``task`` says what.

    trials: run these. check: the study is held for its gradient to be checked. search: it is held for its plan to be
    carried out. ``study`` is the address ``~{id}``: a name may be given to another study meanwhile.
    """

    study: str
    definition: StudyDefinition
    task: Literal["nothing", "trials", "check", "search"]
    trials: list[Lease]


def take(database: Database, name: str, *, worker: str, lease_seconds: float) -> Work:
    """Find something to do for a study, and lease it: a batch of trials, or the whole study.

    A batch has the size that the study's definition says. A trial that the next loss would quarantine comes alone: if
    it kills its worker, no other is lost with it. Of a study with a planner the trials that users enqueued come first.

    Raises:
        StudyNotFound, ReadOnlyStudy: there is nothing to take of.
    """

    def work(connection: Connection) -> Work:
        with open_study(connection, name) as study:
            address = f"~{study.record.id}"
            if study.record.holder is None and gradient_check.is_due(study):
                holds.hold(study, worker, lease_seconds)
                return Work(address, study.definition, "check", [])
            leases = _batch(study, worker, lease_seconds)
            if leases:
                return Work(address, study.definition, "trials", leases)
            if planner_of(study.definition) and study.record.holder is None and study.record.state == "active":
                holds.hold(study, worker, lease_seconds)
                return Work(address, study.definition, "search", [])
            return Work(address, study.definition, "nothing", [])

    return database.write(work)


def take_chosen(database: Database, name: str, *, worker: str, lease_seconds: float) -> Work:
    """Lease a batch of the trials that users enqueued in a study that this worker holds.

    Raises:
        StudyNotFound: the study is gone.
    """

    def work(connection: Connection) -> Work:
        with open_study(connection, name) as study:
            leases = _batch(study, worker, lease_seconds)
            return Work(f"~{study.record.id}", study.definition, "trials" if leases else "nothing", leases)

    return database.write(work)


def _batch(study: OpenStudy, worker: str, lease_seconds: float) -> list[Lease]:
    waiting = leases.waiting(study.connection, study.record.id, size=1) if study.has_waiting else []
    in_danger = any(record.lost_leases == MAX_LOST_LEASES - 1 for record in waiting)
    count = 1 if in_danger else study.definition.sampler.batch_size or CHOSEN_AT_ONCE
    [asked] = lease_out(study, [Ask(count, worker, lease_seconds)])
    return asked.trials


def crashed(database: Database, worker_id: str) -> None:
    """The worker has ended in disorder: its leases are over at once, and it is no longer listed as alive."""
    database.write(lambda connection: _take_leases(connection, worker_id))
    sweep(database)


def lost(database: Database, pid: int) -> None:
    """The worker process of this host and pid has died."""
    for worker_id in database.read(lambda connection: workers.running_as(connection, socket.gethostname(), pid)):
        crashed(database, worker_id)


def _take_leases(connection: Connection, worker_id: str) -> None:
    held = studies.held_by(connection, worker_id)
    for study_id in sorted({*leases.studies_of_worker(connection, worker_id), *held}):
        studies.get_by_id(connection, study_id, lock=True)
    moment = now(connection)
    for study_id in held:
        studies.extend_hold(connection, study_id, worker_id, moment)
    leases.end_all(connection, worker_id, moment)
    workers.change(connection, worker_id, stopped_at=moment, study=None, trials=0)


def work_to_do(database: Database, objectives: Collection[str]) -> list[str]:
    """The active studies of these objectives that nobody holds, the longest unserved first."""
    return database.read(lambda connection: studies.active_with_objective(connection, objectives))
