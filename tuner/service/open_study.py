"""A study whose row this transaction holds: what every use case that spends or settles works on.

Such a use case opens the study first and touches its trials afterwards: one order of locks, so that writers wait for
each other and never deadlock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tuner.definition import StudyDefinition
from tuner.errors import ReadOnlyStudy
from tuner.service import budget
from tuner.storage import curves, studies, trials
from tuner.storage.database import Connection, now
from tuner.storage.studies import StudyRecord
from tuner.storage.trials import TrialRecord

Point = tuple[dict[str, Any], dict[str, Any]]
"""A new trial's parameters, and its sampler's notes."""


@dataclass(frozen=True)
class OpenStudy:
    """A locked study as it was when it was opened, and the moment of that by the database's clock."""

    connection: Connection
    record: StudyRecord
    definition: StudyDefinition
    moment: datetime

    def create_waiting(self, point: Point) -> TrialRecord:
        """Add a trial that waits to be leased."""
        created = self._create([point], state="waiting")
        studies.increase(self.connection, self.record.id, next_number=1)
        return created[0]

    def create_running(self, points: Sequence[Point], *, worker: str | None, lease_seconds: float) -> list[TrialRecord]:
        """Add trials that are leased already, with what they will spend set aside. The asker counts them."""
        return self._create(
            points,
            state="running",
            attempt=1,
            worker=worker,
            lease_seconds=lease_seconds,
            lease_expires_at=self.moment + timedelta(seconds=lease_seconds),
            started_at=self.moment,
        )

    def _create(self, points: Sequence[Point], *, state: str, **columns: Any) -> list[TrialRecord]:
        """Insert trials, numbered on from the study's last."""
        begun = state == "running"
        return trials.create(
            self.connection,
            [
                {
                    "study_id": self.record.id,
                    "number": number,
                    "state": state,
                    "parameters": parameters,
                    "reserved_evaluations": budget.cost(self.definition, parameters) if begun else 0,
                    "created_at": self.moment,
                    "updated_at": self.moment,
                    "user_attrs": {},
                    "system_attrs": system_attrs,
                    **columns,
                }
                for number, (parameters, system_attrs) in enumerate(points, start=self.record.next_number)
            ],
        )

    def reported_evaluations(self, record: TrialRecord) -> int:
        """What the trial's present attempt has spent, as far as its reported curve shows."""
        last_step = curves.last_step(self.connection, record.id, record.attempt)
        return 0 if last_step is None else budget.cost_of_steps(self.definition, last_step)

    def complete_if_spent(self) -> None:
        """Complete the study when a limit of its budget is reached and no started trial is still open."""
        current = studies.get_by_id(self.connection, self.record.id)
        if current.state != "active":
            return
        reason = budget.exhausted(self.definition, current, self.moment)
        if reason is not None and not trials.any_open(self.connection, current.id):
            self.complete(reason)

    def complete(self, reason: str) -> None:
        """The study has come to its end by itself."""
        studies.change(
            self.connection,
            self.record.id,
            state="completed",
            state_reason=reason,
            finished_at=self.moment,
            plus={"version": 1},
        )


def open_study(connection: Connection, name: str) -> OpenStudy:
    """Lock a study to act on it; ``~{id}`` also names one.

    Raises:
        StudyNotFound: there is none.
        ReadOnlyStudy: an Optuna program made it.
    """
    record = studies.get(connection, name, lock=True)
    return OpenStudy(connection, record, definition_of(record), now(connection))


def definition_of(record: StudyRecord) -> StudyDefinition:
    """The study's definition.

    Raises:
        ReadOnlyStudy: an Optuna program made the study.
    """
    if record.definition is None:
        raise ReadOnlyStudy(f"study {record.name!r} was made by an Optuna program: it has no definition to act on")
    return StudyDefinition.model_validate(record.definition)
