"""Holds: a study that one worker has to itself, until a moment of the database's clock.

What a worker does to a study as a whole is done under a hold: checking its gradient, measuring its curvature, carrying
out its plan. While a study is held nobody else is given anything of it.
The trials that a plan follows have no leases of their own: the hold is the lease of them all. One with evaluations set
aside is being descended at, and lost with the hold; the others just wait again.
"""

from datetime import timedelta
from functools import partial

from tuner.errors import LeaseLost
from tuner.service.leases import Release, give_back
from tuner.service.open_study import OpenStudy, open_study
from tuner.storage import leases, studies, trials
from tuner.storage.database import Connection, Database, now


def hold(study: OpenStudy, worker: str, seconds: float) -> None:
    """Give a study that nobody holds to a worker."""
    study.change(holder=worker, held_until=study.moment + timedelta(seconds=seconds), asked_at=study.moment)


def require(study: OpenStudy, worker: str) -> None:
    """Refuse what a worker that does not hold the study wants to write.

    Raises:
        LeaseLost: it does not.
    """
    if study.record.holder != worker:
        raise LeaseLost(f"study {study.record.name!r} is no longer held by {worker}")


def let_go(study: OpenStudy) -> None:
    """End the hold; trials that are still followed under it wait again, not charged a lost lease."""
    holder = study.record.holder
    if holder is not None:
        followed = leases.held(study.connection, study.record.id, holder)
        give_back(study, [Release(record.number, record.attempt) for record in followed])
        trials.change_many(study.connection, [{"id": record.id, "reserved_evaluations": 0} for record in followed])
        study.add(reserved_evaluations=-sum(record.reserved_evaluations for record in followed))
    study.change(holder=None, held_until=None)


def renew(database: Database, name: str, worker: str, seconds: float) -> bool:
    """Hold a study for so many seconds from now; whether the worker still holds it.

    Raises:
        StudyNotFound: it is gone.
    """

    def work(connection: Connection) -> bool:
        study_id = studies.get(connection, name).id
        return studies.extend_hold(connection, study_id, worker, now(connection) + timedelta(seconds=seconds))

    return database.write(work)


def release(database: Database, name: str, worker: str) -> None:
    """Give a study back; no matter if it is held no longer.

    Raises:
        StudyNotFound: it is gone.
    """
    database.write(partial(_release, name=name, worker=worker))


def _release(connection: Connection, *, name: str, worker: str) -> None:
    with open_study(connection, name) as study:
        if study.record.holder == worker:
            let_go(study)
