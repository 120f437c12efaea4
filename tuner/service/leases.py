"""How leases end without a result: given back, or taken back by the sweep, whether or not anybody asks.

A lease that is over is taken back and its trial waits again under the same number and parameters; what the lost
attempt has spent, as far as its reported curve shows, is the study's. A trial that has lost too many leases is
quarantined: it probably kills its worker. A study whose seconds are spent completes.

A worker that holds a whole study (`service.holds`) loses that in the same way, and with it the trials that it was
descending at. A study that was lost so often while there were none is stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tuner.errors import LeaseLost, StudyNotFound, TrialNotFound, TunerError
from tuner.service import idempotency
from tuner.service.open_study import OpenStudy, open_study
from tuner.storage import attempts, leases, studies, trials
from tuner.storage.database import Connection, Database, now
from tuner.storage.leases import MAX_LOST_LEASES
from tuner.storage.trials import TrialRecord
from tuner.trial import Trial

MAX_LOST_HOLDS = MAX_LOST_LEASES
"""A study that was lost so often, each time before any of its trials was at stake, is stopped."""

SWEEP_EVERY = 2.0
"""Seconds between sweeps; an expired lease waits at most 5."""


@dataclass(frozen=True)
class Release:
    """A running trial that whoever holds it gives back."""

    number: int
    attempt: int


def sweep(database: Database) -> int:
    """Requeue expired leases, complete studies whose time is up, forget old answers; how many leases were over."""
    due = database.read(_due)
    if due.answers:
        database.write(lambda connection: idempotency.forget(connection, now(connection)))
    return sum(database.write(partial(_sweep_study, study_id=study_id)) for study_id in due.studies)


def release(database: Database, name: str, held: Sequence[tuple[int, int]]) -> list[int]:
    """Give running trials (number, attempt) back without charging them a lost lease; the numbers of those given back.

    Lost ones are passed over.
    """

    def work(connection: Connection) -> list[int]:
        with open_study(connection, name) as study:
            answers = give_back(study, [Release(number, attempt) for number, attempt in held])
        return [answer.number for answer in answers if isinstance(answer, Trial)]

    return database.write(work)


def give_back(study: OpenStudy, releases: Sequence[Release]) -> list[Trial | TunerError]:
    """`release` within a transaction that has opened the study, each judged on its own.

    What the attempts have spent, as far as they have reported, is the study's.
    """
    known = trials.get_many(study.connection, study.record.id, list({one.number for one in releases}))
    answers: list[Trial | TunerError] = []
    given_back: dict[int, TrialRecord] = {}
    for one in releases:
        record = known.get(one.number)
        if record is None:
            answers.append(TrialNotFound(f"study {study.record.name!r} has no trial {one.number}"))
        elif record.state != "running" or record.attempt != one.attempt:
            standing = f"trial {one.number} is {record.state} at attempt {record.attempt}"
            answers.append(LeaseLost(f"{standing}, and attempt {one.attempt} is over"))
        else:
            given_back[one.number] = record._replace(**_returned(study, record))
            answers.append(given_back[one.number].view())
    trials.change_many(
        study.connection, [_returned(study, known[number]) | {"id": known[number].id} for number in given_back]
    )
    attempts.record_ends(study.connection, [known[number] for number in given_back], "released", study.moment)
    study.has_waiting = study.has_waiting or bool(given_back)
    study.add(spent_evaluations=sum(study.reported_evaluations(known[number]) for number in given_back))
    return answers


def _returned(study: OpenStudy, record: TrialRecord) -> dict[str, Any]:
    """The columns of a trial that is given back. Without a term there is no lease that a late report could take up."""
    return {
        "state": "waiting",
        "gradient_evaluations": record.gradient_evaluations + study.reported_evaluations(record),
        "lease_expires_at": None,
        "lease_seconds": None,
        "worker": None,
        "updated_at": study.moment,
        "sequence": study.sequence,
    }


@dataclass(frozen=True)
class _Due:
    """What a sweep would change: these studies, and whether there are answers to forget."""

    studies: list[int]
    answers: bool


def _due(connection: Connection) -> _Due:
    """Looking takes no lock, so an idle service writes nothing."""
    moment = now(connection)
    due = set(leases.studies_with_expired(connection, moment)) | set(studies.with_lapsed_hold(connection, moment))
    for study in studies.active_and_started(connection):
        if study.definition is not None and study.definition.budget.seconds is not None:
            due.add(study.id)
    return _Due(sorted(due), idempotency.any_over(connection, moment))


def _sweep_study(connection: Connection, study_id: int) -> int:
    try:
        with open_study(connection, f"~{study_id}") as study:
            lost = leases.expired(connection, study_id, study.moment)
            holder, held_until = study.record.holder, study.record.held_until
            if holder is not None and held_until is not None and held_until < study.moment:
                lost += _lose_hold(study, holder)
            if lost:
                _requeue(study, lost)
            study.complete_if_spent()
            return len(lost)
    except StudyNotFound:  # deleted since it was found due
        return 0


def _lose_hold(study: OpenStudy, holder: str) -> list[TrialRecord]:
    """End the hold of a study; the trials that are lost with it. Those that nobody descended at are given back."""
    followed = leases.held(study.connection, study.record.id, holder)
    lost = [record for record in followed if record.reserved_evaluations]
    give_back(study, [Release(record.number, record.attempt) for record in followed if not record.reserved_evaluations])
    study.change(holder=None, held_until=None)
    if not lost:
        study.add(lost_holds=1)
        if study.record.lost_holds >= MAX_LOST_HOLDS and study.record.state == "active":
            study.stop(f"its objective has ended {MAX_LOST_HOLDS} workers before any trial was begun")
    return lost


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
                # A planner decides anew how far a trial is followed.
                "reserved_evaluations": 0 if quarantined or record.followed else record.reserved_evaluations,
                "finished_at": study.moment if quarantined else None,
                "updated_at": study.moment,
                "sequence": study.sequence,
            }
        )
    attempts.record_ends(study.connection, lost, "lost", study.moment)
    trials.change_many(study.connection, changes)
    given_up = sum(bool(change["quarantined"]) for change in changes)
    study.add(
        spent_evaluations=sum(change["gradient_evaluations"] for change in changes)
        - sum(record.gradient_evaluations for record in lost),
        reserved_evaluations=sum(change["reserved_evaluations"] for change in changes)
        - sum(record.reserved_evaluations for record in lost),
        failed_trials=given_up,
    )
