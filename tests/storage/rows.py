"""Rows that the tests of the records start from, and what has become of them."""

from datetime import UTC, datetime
from typing import Any

from tuner.storage import studies, trials
from tuner.storage.database import Database
from tuner.storage.studies import StudyRecord
from tuner.storage.trials import TrialRecord

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def add_study(database: Database, name: str = "s", **columns: Any) -> StudyRecord:
    """An active study, created at `MOMENT`."""
    row = {"definition": None, "directions": ["minimize"], "metrics": ["loss"], "objective": None} | columns
    return database.write(lambda connection: studies.create(connection, name=name, moment=MOMENT, **row))


def add_trials(database: Database, study_id: int, count: int, first: int = 0, **columns: Any) -> list[TrialRecord]:
    """Trials numbered from ``first``, waiting unless told otherwise, created at `MOMENT`."""
    row = {"study_id": study_id, "state": "waiting", "parameters": {}, "user_attrs": {}, "system_attrs": {}}
    row |= {"created_at": MOMENT, "updated_at": MOMENT} | columns
    rows = [row | {"number": number} for number in range(first, first + count)]
    return database.write(lambda connection: trials.create(connection, rows))


def stored_study(database: Database, study_id: int) -> StudyRecord:
    """A study's row as it is now."""
    return database.read(lambda connection: studies.get_by_id(connection, study_id))


def stored_trial(database: Database, trial_id: int) -> TrialRecord:
    """A trial's row as it is now."""
    return database.read(lambda connection: trials.get_by_id(connection, trial_id))
