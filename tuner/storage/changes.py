"""What has changed since: of one study by its sequence, of all studies by the numbers of transactions."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, or_, select

from tuner.storage.tables import deleted_study, study, trial
from tuner.storage.trials import TrialRecord

_TRIALS = (
    select(trial)
    .where(
        trial.c.study_id == bindparam("of_study"),
        # The first condition alone lets the index serve; the second cuts within one transaction's trials.
        trial.c.sequence >= bindparam("after_sequence"),
        or_(
            trial.c.sequence > bindparam("after_sequence"),
            and_(trial.c.sequence == bindparam("after_sequence"), trial.c.number > bindparam("after_number")),
        ),
    )
    .order_by(trial.c.sequence, trial.c.number)
    .limit(bindparam("size"))
)

_SEQUENCES = select(study.c.id, study.c.sequence).where(study.c.id.in_(bindparam("ids", expanding=True)))

_CHANGED = select(study.c.id, study.c.sequence).where(study.c.transaction_number >= bindparam("since"))

_DELETED = select(deleted_study.c.id, deleted_study.c.name).where(
    deleted_study.c.transaction_number >= bindparam("since")
)


@dataclass(frozen=True)
class DeletedStudy:
    """A study that is gone."""

    id: int
    name: str


def trials_after(connection: Connection, study_id: int, sequence: int, number: int, size: int) -> list[TrialRecord]:
    """Up to ``size`` trials that were last written after (sequence, trial number), in that order."""
    values = {"of_study": study_id, "after_sequence": sequence, "after_number": number, "size": size}
    return [TrialRecord._make(row) for row in connection.execute(_TRIALS, values)]


def sequences(connection: Connection, study_ids: Collection[int]) -> dict[int, int]:
    """The sequence of each of these studies that exists, by id."""
    return {row.id: row.sequence for row in connection.execute(_SEQUENCES, {"ids": list(study_ids)})}


def studies_since(connection: Connection, number: int) -> dict[int, int]:
    """The sequence of each study that a transaction of this number or a higher one wrote, by id, oldest study first."""
    return {row.id: row.sequence for row in connection.execute(_CHANGED.order_by(study.c.id), {"since": number})}


def deleted_since(connection: Connection, number: int) -> list[DeletedStudy]:
    """The studies that a transaction of this number or a higher one deleted, oldest study first."""
    found = connection.execute(_DELETED.order_by(deleted_study.c.id), {"since": number})
    return [DeletedStudy(row.id, row.name) for row in found]
