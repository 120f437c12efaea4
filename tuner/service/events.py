"""Use cases of the event streams: what has changed since, in one snapshot of the database.

Events are level-triggered. None is stored: an event says how a trial or a study *is*, not what happened to it, so
what changes several times between two looks is told once, and telling a thing twice does no harm. What is promised is
that whoever follows ends up knowing the latest state of everything.

A study's stream is numbered by its sequence, which counts up under the study's lock: a snapshot that shows one number
shows all lower ones. The stream of all studies is numbered by transactions (`storage.transactions`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from tuner.definition import Spent
from tuner.errors import StudyNotFound
from tuner.service import budget
from tuner.service.studies import address_of
from tuner.storage import changes, ranked, studies, trials
from tuner.storage.database import Connection, Database, now
from tuner.storage.studies import StudyRecord
from tuner.storage.transactions import horizon
from tuner.storage.trials import TrialRecord
from tuner.trial import ParameterValue, WireFloat

AT_ONCE = 1000
"""Trials that are read at once."""

STUDIES_AT_ONCE = 100
"""Studies that are read at once."""

LAST = 2**31 - 1
"""No trial has a higher number."""

GONE = 2**63 - 1
"""The sequence of what a deleted study comes to: nothing comes after it."""


class TrialEvent(BaseModel):
    """How a trial is. ``last_step``, ``best_value`` and ``best_step`` are what its present attempt has reported."""

    model_config = ConfigDict(frozen=True)

    number: int
    sequence: int
    state: str
    attempt: int
    parameters: dict[str, ParameterValue]
    values: dict[str, WireFloat] | None
    objective_value: float | None
    last_step: int | None
    best_value: float | None
    best_step: int | None
    steps_run: int | None
    gradient_evaluations: int
    outcome: str | None
    reason: str | None
    quarantined: bool
    excluded: bool
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime


class BestSoFar(BaseModel):
    """The best trial's number, and what makes it the best: its ``objective_value``."""

    number: int
    value: float


class StudyEvent(BaseModel):
    """How a study is; its definition is read by itself, and again when ``version`` has changed."""

    model_config = ConfigDict(frozen=True)

    name: str
    address: str
    sequence: int
    version: int
    state: str
    state_reason: str | None
    trials: dict[str, int]
    spent: Spent
    best: BestSoFar | None


class DeletedEvent(BaseModel):
    """A study is gone, with all that was in it."""

    model_config = ConfigDict(frozen=True)

    name: str
    address: str


class Located(NamedTuple):
    """A study that is to be followed, and where it stands."""

    study_id: int
    name: str
    sequence: int


class Place(NamedTuple):
    """How far a study's stream has been told: all up to trial ``number`` of the writes numbered ``sequence``."""

    sequence: int
    number: int = LAST


@dataclass(frozen=True)
class Event:
    """One event. ``complete`` says that a reader who has this one and those before it has all up to its sequence."""

    kind: Literal["trial", "study", "deleted"]
    data: BaseModel
    study_id: int
    sequence: int
    complete: bool


@dataclass(frozen=True)
class StudyChanges:
    """What has changed in one study, and the place that is reached so; ``whole``: nothing more had changed."""

    events: list[Event]
    place: Place
    whole: bool


@dataclass(frozen=True)
class AllChanges:
    """What has changed among all studies, and the number to go on from.

    ``told`` are the sequences, by study id, of what the next look may find again.
    """

    events: list[Event]
    since: int
    told: dict[int, int]


@dataclass(frozen=True)
class Followed:
    """What `follow` found: by study what changed (None: it is gone); of all studies, where that was asked."""

    studies: dict[int, StudyChanges | None]
    everything: AllChanges | None


def locate(database: Database, name: str) -> Located:
    """The study of that name, and where it stands.

    Raises:
        StudyNotFound: there is none.
    """

    def work(connection: Connection) -> Located:
        record = studies.get(connection, name)
        return Located(record.id, record.name, record.sequence)

    return database.read(work)


def present(database: Database) -> int:
    """The number that the stream of all studies goes on from at present."""
    return database.read(horizon)


def study_changes(database: Database, study_id: int, place: Place) -> StudyChanges | None:
    """What has changed in a study since; None where it is gone. Where that is all, it ends with a study event."""

    def work(connection: Connection) -> StudyChanges | None:
        try:
            record = studies.get_by_id(connection, study_id)
        except StudyNotFound:
            return None
        return _study_changes(connection, record, place)

    return database.read(work)


def all_changes(database: Database, since: int) -> Iterator[AllChanges]:
    """What has changed among all studies since that number, in parts; the last one says where to go on.

    A number that is still to come is that of another database, or of this one before it was restored: then all
    studies are told.
    """

    def begin(connection: Connection) -> tuple[int, dict[int, int], list[Event]]:
        reached = horizon(connection)
        first = since if since <= reached else 0
        return reached, changes.studies_since(connection, first), _deleted(connection, first)

    reached, changed, deleted = database.read(begin)
    ids = list(changed)
    for start in range(0, len(ids), STUDIES_AT_ONCE):
        some = ids[start : start + STUDIES_AT_ONCE]
        yield AllChanges(database.read(partial(_study_events, study_ids=some)), since, {})
    yield AllChanges(deleted, reached, changed)


def follow(
    database: Database, places: Mapping[int, Place], since: int | None = None, told: Mapping[int, int] | None = None
) -> Followed:
    """One look at everything that is followed, in one snapshot.

    Args:
        database: where it is.
        places: how far each study's stream has come, by study id; studies that stand still are passed over.
        since: how far the stream of all studies has come; None where nobody follows it.
        told: what the last look said that this one may find again.
    """

    def work(connection: Connection) -> Followed:
        found: dict[int, StudyChanges | None] = {}
        sequences = changes.sequences(connection, places) if places else {}
        for study_id, place in places.items():
            if study_id not in sequences:
                found[study_id] = None
            elif place != Place(sequences[study_id]):
                found[study_id] = _study_changes(connection, studies.get_by_id(connection, study_id), place)
        return Followed(found, None if since is None else _all_changes(connection, since, told or {}))

    return database.read(work)


def _study_changes(connection: Connection, record: StudyRecord, place: Place) -> StudyChanges:
    read = changes.trials_after(connection, record.id, place.sequence, place.number, AT_ONCE + 1)
    found = read[:AT_ONCE]
    # A place between two trials of one transaction cannot be resumed from by its number.
    ends = [each.sequence < following.sequence for each, following in pairwise(read)]
    events = [
        Event("trial", _trial_event(each), record.id, each.sequence, complete)
        for each, complete in zip(found, [*ends, False], strict=False)
    ]
    if len(read) > AT_ONCE:
        return StudyChanges(events, Place(found[-1].sequence, found[-1].number), whole=False)
    study = Event("study", _study_event(connection, record, now(connection)), record.id, record.sequence, True)
    return StudyChanges([*events, study], Place(record.sequence), whole=True)


def _all_changes(connection: Connection, since: int, told: Mapping[int, int]) -> AllChanges:
    changed = changes.studies_since(connection, since)
    news = [study_id for study_id, sequence in changed.items() if told.get(study_id) != sequence]
    deleted = _deleted(connection, since)
    return AllChanges(
        _study_events(connection, news) + [event for event in deleted if told.get(event.study_id) != GONE],
        horizon(connection),
        changed | {event.study_id: GONE for event in deleted},
    )


def _study_events(connection: Connection, study_ids: Sequence[int]) -> list[Event]:
    moment = now(connection)
    return [
        Event("study", _study_event(connection, record, moment), record.id, record.sequence, complete=False)
        for record in studies.get_many(connection, study_ids)
    ]


def _deleted(connection: Connection, since: int) -> list[Event]:
    return [
        Event("deleted", deleted_event(gone.id, gone.name), gone.id, GONE, complete=False)
        for gone in changes.deleted_since(connection, since)
    ]


def deleted_event(study_id: int, name: str) -> DeletedEvent:
    """That the study is gone."""
    return DeletedEvent(name=name, address=address_of(study_id, name))


def _study_event(connection: Connection, record: StudyRecord, moment: datetime) -> StudyEvent:
    best = ranked.best_of(connection, record)
    return StudyEvent(
        name=record.name,
        address=address_of(record.id, record.name),
        sequence=record.sequence,
        version=record.version,
        state=record.state,
        state_reason=record.state_reason,
        trials=trials.counts(connection, [record])[record.id],
        spent=budget.spent(record, moment),
        best=None if best is None else BestSoFar(number=best.number, value=best.objective_value),
    )


def _trial_event(record: TrialRecord) -> TrialEvent:
    return TrialEvent(
        number=record.number,
        sequence=record.sequence,
        state=record.state,
        attempt=record.attempt,
        parameters=record.parameters,
        values=record.metrics,
        objective_value=record.objective_value,
        last_step=record.last_step,
        best_value=record.best_value,
        best_step=record.best_step,
        steps_run=record.steps_run,
        gradient_evaluations=record.gradient_evaluations,
        outcome=record.outcome,
        reason=record.reason,
        quarantined=record.quarantined,
        excluded=record.excluded,
        worker=record.worker,
        started_at=record.started_at,
        finished_at=record.finished_at,
        updated_at=record.updated_at,
    )
