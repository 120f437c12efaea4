"""Use case: the attempts at a trial, from two places.

An attempt that ended without a result left a row when it did. The latest attempt is the trial's own row: it runs, or
ended as the trial did. Where both tell of the same attempt, the trial's row is right: a lease that was lost and taken
up again, before anybody else began the trial, is not lost.
"""

from collections.abc import Sequence

from tuner.storage import attempts as ended_attempts
from tuner.storage import studies, trials
from tuner.storage.attempts import AttemptRecord
from tuner.storage.database import Connection, Database
from tuner.storage.trials import FINISHED, TrialRecord
from tuner.trial import Attempt


def attempts(database: Database, name: str, number: int) -> list[Attempt]:
    """The attempts at a trial, in order; none where it was never leased.

    Raises:
        StudyNotFound, TrialNotFound: there is none.
    """

    def work(connection: Connection) -> list[Attempt]:
        record = trials.get(connection, studies.get(connection, name).id, number)
        return attempts_of(record, ended_attempts.ended(connection, [record.id]).get(record.id, ()))

    return database.read(work)


def attempts_of(record: TrialRecord, ended: Sequence[AttemptRecord]) -> list[Attempt]:
    """The attempts at a trial, given those that ended without a result."""
    known = {
        each.attempt: Attempt.model_validate(
            {
                "attempt": each.attempt,
                "worker": each.worker,
                "started_at": each.started_at,
                "ended_at": each.ended_at,
                "end": each.end,
            }
        )
        for each in ended
    }
    # Quarantine ends a trial, and not by its last attempt's result.
    by_itself = record.state == "running" or (record.state in FINISHED and not record.quarantined)
    if record.attempt and (by_itself or (record.state in FINISHED and record.attempt not in known)):
        known[record.attempt] = Attempt.model_validate(
            {
                "attempt": record.attempt,
                "worker": record.worker,
                "started_at": record.started_at,
                "ended_at": record.finished_at,
                "end": record.state if record.state in FINISHED else None,
            }
        )
    return [known[number] for number in sorted(known)]
