"""Trial rows: reading and writing them, and nothing about what they mean.

Apart from it stand who has a trial (`storage.leases`) and which is the best (`storage.ranked`).
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Select,
    bindparam,
    func,
    insert,
    select,
    union_all,
    update,
)

from tuner.errors import TrialNotFound
from tuner.storage import bulk
from tuner.storage.driver import Prepared, among
from tuner.storage.studies import StudyRecord
from tuner.storage.tables import trial as table
from tuner.trial import Outcome, Trial, TrialState, decode_float

_DESCENTS_AT_ONCE = 50
"""Descents that are looked for in one statement."""

FINISHED = ("complete", "failed", "pruned")

FOLLOWED = "trajectory:followed"
"""The note on trials that a planner follows. The hold of their study is their lease: they have none of their own."""


class TrialRecord(NamedTuple):
    """A trial's row, whole. ``values`` are as stored: non-finite ones as strings."""

    id: int
    study_id: int
    number: int
    state: str
    parameters: dict[str, Any]
    distributions: dict[str, str] | None
    values: dict[str, float | str] | None
    objective_value: float | None
    steps_run: int | None
    descent: str | None
    gradient_evaluations: int
    reserved_evaluations: int
    outcome: str | None
    verdict: str | None
    evidence: dict[str, float] | None
    advice: str | None
    reason: str | None
    quarantined: bool
    excluded: bool
    attempt: int
    lost_leases: int
    worker: str | None
    token_id: int | None
    lease_expires_at: datetime | None
    lease_seconds: float | None
    last_step: int | None
    best_value: float | None
    best_step: int | None
    stop_reason: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    sequence: int
    user_attrs: dict[str, Any]
    system_attrs: dict[str, Any]

    @property
    def metrics(self) -> dict[str, float] | None:
        """The values as floats."""
        return None if self.values is None else {name: decode_float(value) for name, value in self.values.items()}

    @property
    def followed(self) -> bool:
        """Whether a planner follows it: then it is followed beyond the steps that it comes to stand for."""
        return FOLLOWED in self.system_attrs

    @property
    def result_step(self) -> int | None:
        """The step that the values are of, as far as it is known."""
        steps = self.parameters.get("steps")
        if self.followed and self.state == "complete" and self.steps_run is not None and isinstance(steps, int):
            return min(self.steps_run, steps)
        return self.steps_run

    def view(self) -> Trial:
        """The trial as it is read."""
        return Trial(
            number=self.number,
            state=TrialState(self.state),
            attempt=self.attempt,
            parameters=self.parameters,
            values=self.metrics,
            objective_value=self.objective_value,
            steps_run=self.steps_run,
            gradient_evaluations=self.gradient_evaluations,
            outcome=None if self.outcome is None else Outcome(self.outcome),
            verdict=self.verdict,
            evidence=self.evidence,
            advice=self.advice,
            reason=self.reason,
            quarantined=self.quarantined,
            excluded=self.excluded,
            worker=self.worker,
            created_at=self.created_at,
            updated_at=self.updated_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
        )


# Making a statement takes longer than running one like these: what every ask and tell runs is made once.
_INSERT = insert(table).returning(table, sort_by_parameter_order=True)

_OF_STUDY = select(table).where(table.c.study_id == bindparam("of_study"))

_MANY = Prepared(lambda dialect: _OF_STUDY.where(among(table.c.number, "numbers", dialect)))

_SELECT_DESCENTS = (
    select(table.c.descent)
    .where(
        table.c.study_id == bindparam("of_study"),
        table.c.descent.in_(bindparam("descents", expanding=True)),
        table.c.descent.is_not(None),
    )
    .distinct()
)

_ONE = Prepared(lambda _: _OF_STUDY.where(table.c.number == bindparam("number")))


_COUNT_UNLESS_COMPLETE = (
    select(table.c.study_id, table.c.state, func.count())
    .where(
        table.c.study_id.in_(bindparam("ids", expanding=True)),
        # Each named, so that the index leads to them.
        table.c.state.in_([str(state) for state in TrialState if state != TrialState.COMPLETE]),
    )
    .group_by(table.c.study_id, table.c.state)
)


@cache
def _select_page(*, by_state: bool, updated: bool, after: bool, sized: bool) -> Select[Any]:
    statement = _OF_STUDY.order_by(table.c.number)
    if by_state:
        statement = statement.where(table.c.state.in_(bindparam("states", expanding=True)))
    if updated:
        statement = statement.where(table.c.updated_at > bindparam("updated_after"))
    if after:
        statement = statement.where(table.c.number > bindparam("after"))
    return statement.limit(bindparam("size")) if sized else statement


@cache
def _select_longest(count: int) -> CompoundSelect[Any]:
    """The longest trial of each of so many descents, one below the other: each is found at the end of an index."""
    parts = [
        _OF_STUDY.where(
            table.c.descent == bindparam(f"descent_{place}"), table.c.descent.is_not(None), ~table.c.excluded
        )
        .order_by(table.c.steps_run.desc())
        .limit(1)
        .subquery()
        for place in range(count)
    ]
    return union_all(*(select(part) for part in parts))


@cache
def _select_latest(*, only_running: bool) -> Select[Any]:
    begun = table.c.state == "running" if only_running else table.c.attempt > 0
    return _OF_STUDY.where(begun, ~table.c.excluded).order_by(table.c.number.desc()).limit(bindparam("size"))


def insert_many(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert trials (all with the same columns); who knows their numbers need not read them back."""
    bulk.insert(connection, table, rows)


def create(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[TrialRecord]:
    """Insert trials (all with the same columns), in order."""
    if not rows:
        return []
    return [TrialRecord._make(row) for row in connection.execute(_INSERT, list(rows))]


def get(connection: Connection, study_id: int, number: int) -> TrialRecord:
    """One trial.

    Raises:
        TrialNotFound: the study has no trial of that number.
    """
    found = get_many(connection, study_id, [number])
    if not found:
        raise TrialNotFound(f"the study has no trial {number}")
    return found[number]


def get_by_id(connection: Connection, trial_id: int, *, lock: bool = False) -> TrialRecord:
    """The trial of that id. ``lock`` holds its row until the transaction ends.

    Raises:
        TrialNotFound: there is none.
    """
    statement = select(table).where(table.c.id == trial_id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise TrialNotFound(f"there is no trial of id {trial_id}")
    return TrialRecord._make(row)


def get_many(connection: Connection, study_id: int, numbers: Sequence[int]) -> dict[int, TrialRecord]:
    """The trials of those numbers that exist, by number."""
    if len(numbers) == 1:
        rows = _ONE.rows(connection, {"of_study": study_id, "number": numbers[0]})
    else:
        rows = _MANY.rows(connection, {"of_study": study_id, "numbers": list(numbers)})
    return {record.number: record for record in map(TrialRecord._make, rows)}


def page(
    connection: Connection,
    study_id: int,
    *,
    states: Sequence[str] | None = None,
    updated_after: datetime | None = None,
    after: int | None = None,
    size: int | None = None,
) -> list[TrialRecord]:
    """Trials by number, those after the number ``after``; all of them where no ``size`` is given."""
    values = {"states": states and list(states), "updated_after": updated_after, "after": after, "size": size}
    given = {name: value for name, value in values.items() if value is not None}
    statement = _select_page(
        by_state=states is not None,
        updated=updated_after is not None,
        after=after is not None,
        sized=size is not None,
    )
    return [TrialRecord._make(row) for row in connection.execute(statement, {"of_study": study_id, **given})]


def longest(connection: Connection, study_id: int, descents: Sequence[str]) -> dict[str, TrialRecord]:
    """Of each of these descents the complete trial that ran it furthest, and is not excluded; by the descent."""
    found = {}
    # Most are new, and that is soon seen.
    present = sorted(connection.scalars(_SELECT_DESCENTS, {"of_study": study_id, "descents": list(descents)}))
    for start in range(0, len(present), _DESCENTS_AT_ONCE):
        part = present[start : start + _DESCENTS_AT_ONCE]
        values = {f"descent_{place}": descent for place, descent in enumerate(part)}
        for row in connection.execute(_select_longest(len(part)), {"of_study": study_id, **values}):
            record = TrialRecord._make(row)
            found[str(record.descent)] = record
    return found


def latest_update(connection: Connection, study_id: int) -> datetime | None:
    """When a trial of the study was last written; None where it has none.

    Whoever writes a trial holds its study's row, so what is written later is never marked with an earlier time.
    """
    statement = select(table.c.updated_at).where(table.c.study_id == study_id)
    # Where the last transaction wrote several trials, they carry the same time.
    return connection.execute(statement.order_by(table.c.sequence.desc()).limit(1)).scalar_one_or_none()


def counts(connection: Connection, studies: Sequence[StudyRecord]) -> dict[int, dict[str, int]]:
    """Trials by state: study id → state → how many; every state is there.

    The studies' rows must be of this transaction's snapshot, or held by it. Complete trials, most of a large study's,
    are not counted: they are those that are in no other state.
    """
    result = {study.id: dict.fromkeys(map(str, TrialState), 0) for study in studies}
    for study_id, state, count in connection.execute(_COUNT_UNLESS_COMPLETE, {"ids": list(result)}):
        result[study_id][state] = count
    for study in studies:
        result[study.id]["complete"] = study.next_number - sum(result[study.id].values())
    return result


def latest_begun(connection: Connection, study_id: int, size: int, *, only_running: bool = False) -> list[TrialRecord]:
    """The trials of the greatest numbers that were ever begun and are not excluded, descending."""
    found = connection.execute(_select_latest(only_running=only_running), {"of_study": study_id, "size": size})
    return [TrialRecord._make(row) for row in found]


def change(connection: Connection, trial_id: int, **columns: Any) -> None:
    """Set columns of one trial."""
    connection.execute(update(table).where(table.c.id == trial_id).values(**columns))


def change_many(connection: Connection, changes: Sequence[dict[str, Any]]) -> None:
    """Set the same columns of several trials in one statement; each change names its trial by ``id``."""
    bulk.update(connection, table, changes, by=("id",))
