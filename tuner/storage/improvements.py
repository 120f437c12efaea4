"""The best so far, told cheaply: which trials of a study were better than all before them.

To know all of them takes reading every trial. The first few trials and the best few are found by indexes, at the same
cost in a study of any length; of them the improvements among the first and those among the best are exact, and the last
one is the best there is.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from tuner.storage.driver import Prepared
from tuner.storage.studies import StudyRecord
from tuner.storage.tables import trial as table

LOOKED_AT = 200
"""Trials that are looked at from either end."""

Improvement = tuple[int, float]
"""A trial's number, and the value that it is ranked by."""


def _statement(order: Sequence[Any], _: str) -> Select[Any]:
    return (
        select(table.c.number, table.c.objective_value)
        .where(
            table.c.study_id == bindparam("of_study"),
            table.c.state == "complete",
            table.c.objective_value.is_not(None),
            ~table.c.excluded,
        )
        .order_by(*order)
        .limit(LOOKED_AT)
    )


_FIRST = Prepared(partial(_statement, (table.c.number,)))
# Both columns in one direction: an index gives the rows in that order.
_BEST = {
    "minimize": Prepared(partial(_statement, (table.c.objective_value, table.c.number))),
    "maximize": Prepared(partial(_statement, (table.c.objective_value.desc(), table.c.number.desc()))),
}


def read(connection: Connection, study: StudyRecord) -> list[Improvement]:
    """The improvements of a study, by number; empty where its trials are not ranked, or none has a finite value."""
    if len(study.directions) != 1:
        return []
    sign = -1.0 if study.directions[0] == "maximize" else 1.0
    values = {"of_study": study.id}
    best = _BEST[study.directions[0]].rows(connection, values)
    first = _FIRST.rows(connection, values) if len(best) == LOOKED_AT else []
    found: list[Improvement] = []
    for number, value in sorted({(number, value) for number, value in [*first, *best]}):
        if not found or sign * value < sign * found[-1][1]:
            found.append((number, value))
    return found
