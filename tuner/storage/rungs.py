"""What trials were worth at the steps at which a pruner compares them: a row for each rung that a trial reached.

Reading goes along the primary key from the newest trial backwards and stops at the limit, so it costs the same in a
study of a hundred trials and of a hundred thousand.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import CompoundSelect, Connection, bindparam, delete, insert, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from tuner.storage.tables import rung as table
from tuner.storage.tables import trial as trial_table

IMPROVEMENTS = -1
"""The bracket of the rows that are no rungs: each a trial's last improvement, its step and its value."""

_AT_ONCE = 20
"""Rungs read in one statement."""

Rung = tuple[int, int]
"""A bracket and a step."""


@dataclass(frozen=True)
class RungValue:
    """What a trial was worth at a rung: the goal's metric at its best up to that step, infinite if never finite."""

    trial_id: int
    bracket: int
    step: int
    value: float


@dataclass(frozen=True)
class Reached:
    """The trials that reached a rung, the newest first: their ids (n,) and values (n,), NaN where never finite."""

    trial_ids: NDArray[np.int64]
    values: NDArray[np.float64]


def write(connection: Connection, study_id: int, values: Sequence[RungValue]) -> None:
    """Write rungs; a trial's value at a rung replaces the one it had there."""
    if values:
        connection.execute(_upsert(connection.dialect.name), [_row(study_id, value) for value in values])


def read(connection: Connection, study_id: int, rungs: Collection[Rung], limit: int) -> dict[Rung, Reached]:
    """Who reached each rung: the ``limit`` trials of the highest ids, passing over excluded and quarantined ones."""
    wanted = list(rungs)
    found: dict[Rung, tuple[list[int], list[float]]] = {rung: ([], []) for rung in wanted}
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        values: dict[str, Any] = {"of_study": study_id, "size": limit}
        for place, (bracket, step) in enumerate(part):
            values |= {f"bracket_{place}": bracket, f"step_{place}": step}
        for bracket, step, trial_id, value in connection.execute(_select(len(part)), values):
            trial_ids, worth = found[bracket, step]
            trial_ids.append(trial_id)
            worth.append(math.nan if value is None else value)
    return {
        rung: Reached(np.array(trial_ids, dtype=np.int64), np.array(worth, dtype=np.float64))
        for rung, (trial_ids, worth) in found.items()
    }


def read_improvements(connection: Connection, trial_ids: Sequence[int]) -> dict[int, tuple[int, float]]:
    """The last improvements that were written of these trials: trial id → step and value."""
    rows = connection.execute(_SELECT_IMPROVEMENTS, {"trial_ids": list(trial_ids)})
    return {trial_id: (step, value) for trial_id, step, value in rows}


def write_improvements(
    connection: Connection, study_id: int, improvements: Mapping[int, tuple[int, float] | None]
) -> None:
    """Write the last improvements of trials, trial id → step and value, in place of those before; None is none."""
    if not improvements:
        return
    connection.execute(_DELETE_IMPROVEMENTS, {"trial_ids": list(improvements)})
    rows = [
        _row(study_id, RungValue(trial_id, IMPROVEMENTS, *improvement))
        for trial_id, improvement in improvements.items()
        if improvement is not None
    ]
    if rows:
        connection.execute(_INSERT, rows)


def _row(study_id: int, value: RungValue) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "bracket": value.bracket,
        "step": value.step,
        "trial_id": value.trial_id,
        "value": value.value if math.isfinite(value.value) else None,
    }


# Making a statement takes longer than running one like these: each is made once.
_INSERT = insert(table)

# By the trial alone: the index on it is then the only way, and a trial has few rows.
_IMPROVEMENTS = (table.c.trial_id.in_(bindparam("trial_ids", expanding=True)), table.c.bracket == IMPROVEMENTS)
_SELECT_IMPROVEMENTS = select(table.c.trial_id, table.c.step, table.c.value).where(*_IMPROVEMENTS)
_DELETE_IMPROVEMENTS = delete(table).where(*_IMPROVEMENTS)


@cache
def _upsert(dialect: str) -> Any:
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    return statement.on_conflict_do_update(index_elements=table.primary_key, set_={"value": statement.excluded.value})


@cache
def _select(count: int) -> CompoundSelect[Any]:
    """The newest trials of ``count`` rungs, one below the other."""
    parts = []
    for place in range(count):
        newest = (
            select(table.c.bracket, table.c.step, table.c.trial_id, table.c.value)
            .join(trial_table, trial_table.c.id == table.c.trial_id)
            .where(
                table.c.study_id == bindparam("of_study"),
                table.c.bracket == bindparam(f"bracket_{place}"),
                table.c.step == bindparam(f"step_{place}"),
                ~trial_table.c.excluded,
                ~trial_table.c.quarantined,
            )
            .order_by(table.c.trial_id.desc())
            .limit(bindparam("size"))
            .subquery()
        )
        parts.append(select(newest))
    return union_all(*parts)
