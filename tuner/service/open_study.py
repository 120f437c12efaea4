"""A study whose row this transaction holds: what every use case that spends or settles works on.

Such a use case opens the study first and touches its trials afterwards: one order of locks, so that writers wait for
each other and never deadlock. What it changes of the study's row is gathered and written once, at the end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tuner.definition import StudyDefinition
from tuner.errors import ReadOnlyStudy
from tuner.service import budget
from tuner.storage import leases, studies
from tuner.storage.database import Connection
from tuner.storage.studies import StudyRecord
from tuner.storage.trials import TrialRecord

Point = tuple[dict[str, Any], dict[str, Any]]
"""A new trial's parameters, and its sampler's notes."""


class OpenStudy:
    """A locked study. ``record`` is its row with the changes so far, ``moment`` the database's time at its opening.

    ``has_waiting`` says whether any of its trials may wait to be leased.
    """

    def __init__(self, connection: Connection, record: StudyRecord, moment: datetime, has_waiting: bool) -> None:
        self.connection = connection
        definition_of(record)
        self.moment = moment
        self.record = record
        self.has_waiting = has_waiting
        self._changed: dict[str, Any] = {}

    @property
    def definition(self) -> StudyDefinition:
        """The study's definition."""
        return definition_of(self.record)

    @property
    def sequence(self) -> int:
        """The number of this write: each trial that it changes gets it."""
        if "sequence" not in self._changed:
            self.change(sequence=self.record.sequence + 1)
        return self.record.sequence

    def change(self, **columns: Any) -> None:
        """Set columns of the study's row."""
        self._changed |= columns
        self.record = self.record._replace(**columns)

    def add(self, **amounts: int) -> None:
        """Add to counting columns."""
        self.change(**{name: getattr(self.record, name) + amount for name, amount in amounts.items() if amount})

    def save(self) -> None:
        """Write what has changed."""
        if self._changed:
            studies.change(self.connection, self.record.id, sequence=self.sequence, **self._without_sequence())
            self._changed = {}

    def _without_sequence(self) -> dict[str, Any]:
        return {name: value for name, value in self._changed.items() if name != "sequence"}

    def row(self, number: int, point: Point, *, state: str, **columns: Any) -> dict[str, Any]:
        """The row of a new trial of the study."""
        parameters, system_attrs = point
        return {
            "study_id": self.record.id,
            "number": number,
            "state": state,
            "parameters": parameters,
            "created_at": self.moment,
            "updated_at": self.moment,
            "sequence": self.sequence,
            "user_attrs": {},
            "system_attrs": system_attrs,
            **columns,
        }

    def reported_evaluations(self, record: TrialRecord) -> int:
        """What the trial's present attempt has spent, as far as it has reported."""
        return 0 if record.last_step is None else budget.cost_of_steps(self.definition, record.last_step)

    def complete_if_spent(self) -> None:
        """Complete the study when a limit of its budget is reached and no started trial is still open."""
        if self.record.state != "active":
            return
        reason = budget.exhausted(self.definition, self.record, self.moment)
        if reason is not None and not leases.any_open(self.connection, self.record.id):
            self.complete(reason)

    def complete(self, reason: str) -> None:
        """The study has come to its end by itself."""
        self.change(state="completed", state_reason=reason, finished_at=self.moment, version=self.record.version + 1)

    def stop(self, reason: str) -> None:
        """The study cannot go on; a user may resume it."""
        self.change(state="stopped", state_reason=reason, finished_at=self.moment, version=self.record.version + 1)


@contextmanager
def open_study(connection: Connection, name: str) -> Iterator[OpenStudy]:
    """Lock a study to act on it; ``~{id}`` also names one. Its row is written when the block ends without an error.

    Raises:
        StudyNotFound: there is none.
        ReadOnlyStudy: an Optuna program made it.
    """
    study = OpenStudy(connection, *studies.hold(connection, name))
    yield study
    study.save()


def definition_of(record: StudyRecord) -> StudyDefinition:
    """The study's definition.

    Raises:
        ReadOnlyStudy: an Optuna program made the study.
    """
    if record.definition is None:
        raise ReadOnlyStudy(f"study {record.name!r} was made by an Optuna program: it has no definition to act on")
    return record.definition
