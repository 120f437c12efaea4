"""What time does to leases and budgets, whether or not anybody asks: the sweep.

A lease that is over is taken back and its trial waits again under the same number and parameters; what the lost
attempt has spent, as far as its reported curve shows, is the study's. A trial that has lost too many leases is
quarantined: it probably kills its worker. A study whose seconds are spent completes.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tuner.errors import StudyNotFound
from tuner.service.open_study import OpenStudy, definition_of, open_study
from tuner.storage import studies, trials
from tuner.storage.database import Connection, Database, now
from tuner.storage.trials import MAX_LOST_LEASES, TrialRecord

SWEEP_EVERY = 2.0
"""Seconds between sweeps; an expired lease waits at most 5."""


def sweep(database: Database) -> int:
    """Requeue expired leases and complete studies whose time is up; how many leases were over."""
    return sum(database.write(partial(_sweep_study, study_id=study_id)) for study_id in database.read(_due))


def _due(connection: Connection) -> list[int]:
    """The studies that a sweep would change. Looking takes no lock, so an idle service writes nothing."""
    moment = now(connection)
    due = set(trials.studies_with_expired(connection, moment))
    for study in studies.active_and_started(connection):
        seconds = definition_of(study).budget.seconds if study.definition is not None else None
        if seconds is not None:
            due.add(study.id)
    return sorted(due)


def _sweep_study(connection: Connection, study_id: int) -> int:
    try:
        study = open_study(connection, f"~{study_id}")
    except StudyNotFound:  # deleted since it was found due
        return 0
    lost = trials.expired(connection, study_id, study.moment)
    if lost:
        _requeue(study, lost)
    study.complete_if_spent()
    return len(lost)


def _requeue(study: OpenStudy, lost: Sequence[TrialRecord]) -> None:
    changes: list[dict[str, Any]] = []
    for record in lost:
        quarantined = record.lost_leases + 1 >= MAX_LOST_LEASES
        changes.append(
            {
                "id": record.id,
                "state": "failed" if quarantined else "waiting",
                "lost_leases": record.lost_leases + 1,
                "lease_expires_at": None,
                "quarantined": quarantined,
                "reason": f"quarantined: it lost its lease {MAX_LOST_LEASES} times" if quarantined else None,
                "gradient_evaluations": record.gradient_evaluations + study.reported_evaluations(record),
                "reserved_evaluations": 0 if quarantined else record.reserved_evaluations,
                "finished_at": study.moment if quarantined else None,
                "updated_at": study.moment,
            }
        )
    trials.end_attempts(study.connection, lost, "lost", study.moment)
    trials.change_many(study.connection, changes)
    given_up = [record for record, change in zip(lost, changes, strict=True) if change["quarantined"]]
    studies.increase(
        study.connection,
        study.record.id,
        spent_evaluations=sum(change["gradient_evaluations"] for change in changes)
        - sum(record.gradient_evaluations for record in lost),
        reserved_evaluations=-sum(record.reserved_evaluations for record in given_up),
        failed_trials=len(given_up),
    )
