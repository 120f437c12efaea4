"""Trials by the value that they are ranked by: the best of a study, and those that have none."""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from tuner.storage.studies import StudyRecord
from tuner.storage.tables import trial as table
from tuner.storage.trials import TrialRecord

_COMPLETE = select(table).where(
    table.c.study_id == bindparam("of_study"), table.c.state == "complete", ~table.c.excluded
)
_RANKED = _COMPLETE.where(table.c.objective_value.is_not(None))
_UNRANKED = _COMPLETE.where(table.c.objective_value.is_(None))


@cache
def _select_best(direction: str) -> Select[Any]:
    # Both columns in one direction: an index gives the rows in that order.
    order = (table.c.objective_value, table.c.number)
    ordered = _RANKED.order_by(*(column.desc() if direction == "maximize" else column for column in order))
    return ordered.limit(bindparam("size"))


def best_of(connection: Connection, study: StudyRecord) -> TrialRecord | None:
    """A study's best trial, as `best`; None too where its goal is a trade-off, of which no trial is the best."""
    return best(connection, study.id, study.directions[0]) if len(study.directions) == 1 else None


def best(connection: Connection, study_id: int, direction: str) -> TrialRecord | None:
    """The complete trial of the best finite value that is not excluded; the earliest among equals."""
    value = table.c.objective_value
    ordered = _RANKED.order_by(value.desc() if direction == "maximize" else value, table.c.number)
    row = connection.execute(ordered.limit(1), {"of_study": study_id}).one_or_none()
    return None if row is None else TrialRecord._make(row)


def best_told(connection: Connection, study_id: int, direction: str, size: int) -> list[TrialRecord]:
    """The complete trials of the best finite values that are not excluded, the best first."""
    found = connection.execute(_select_best(direction), {"of_study": study_id, "size": size})
    return [TrialRecord._make(row) for row in found]


def first_unranked(
    connection: Connection, study_id: int, *, values: dict[str, float | str] | None = None
) -> TrialRecord | None:
    """The earliest complete trial that is not excluded and has no finite goal value; of those ``values``, if given."""
    statement = _UNRANKED.order_by(table.c.number).limit(1)
    if values is not None:
        statement = statement.where(table.c["values"] == values)
    row = connection.execute(statement, {"of_study": study_id}).one_or_none()
    return None if row is None else TrialRecord._make(row)
