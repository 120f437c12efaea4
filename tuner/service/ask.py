"""Ask: lease trials, those that wait and new ones that the sampler chooses.

The budget is the study's and is never passed, however many ask at once: an ask holds the study's row until its trials
and their reservations are written.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.search import Suggestions, suggest
from tuner.service import budget
from tuner.service.budget import Allowance
from tuner.service.history import history
from tuner.service.open_study import OpenStudy, Point, open_study
from tuner.storage import studies, trials
from tuner.storage.database import Connection, Database
from tuner.storage.trials import TrialRecord
from tuner.trial import Asked, Lease

WAITING_PAGE = 100
"""Waiting trials that are looked at in one query, at least."""

RETRY_AFTER = 1.0
"""Seconds after which to ask again while others hold what is left of the budget."""


@dataclass(frozen=True)
class Terms:
    """On which terms trials are leased: how many at most, to whom, for how long."""

    count: int = 1
    worker: str | None = None
    lease_seconds: float = 60.0


def ask(
    database: Database, name: str, *, count: int = 1, worker: str | None = None, lease_seconds: float = 60.0
) -> Asked:
    """Lease up to ``count`` trials.

    A study of a registered objective gives waiting trials *or* new ones. A batch that lost its worker is thus run
    again whole before the sampler goes on, and one worker's trials are the same whether it was killed or not.

    Raises:
        StudyNotFound, ReadOnlyStudy: there is nothing to ask of.
    """
    terms = Terms(count, worker, lease_seconds)

    def work(connection: Connection) -> Asked:
        return ask_of(open_study(connection, name), terms)

    return database.write(work)


def ask_of(study: OpenStudy, terms: Terms) -> Asked:
    """`ask` within a transaction that has opened the study."""
    leased = _lease(study, terms) if study.record.state == "active" else []
    if leased:
        return Asked(
            trials=[_as_lease(record) for record in leased], study_state=study.record.state, retry_after_seconds=None
        )
    study.complete_if_spent()
    state = studies.get_by_id(study.connection, study.record.id).state
    return Asked(trials=[], study_state=state, retry_after_seconds=RETRY_AFTER if state == "active" else None)


def _lease(study: OpenStudy, terms: Terms) -> list[TrialRecord]:
    """Trials that the budget allows: waiting ones, then new ones."""
    wanted = terms.count
    parallel = study.definition.budget.parallel_trials
    if parallel is not None:
        wanted = min(wanted, max(0, parallel - trials.count_running(study.connection, study.record.id)))
    over = budget.exhausted(study.definition, study.record, study.moment) is not None
    room = budget.NOTHING if over else budget.allowance(study.definition, study.record)
    chosen, room = _choose_waiting(study, room, wanted)
    leased = _lease_waiting(study, chosen, terms)
    if study.definition.objective is None or not leased:
        leased += _lease_new(study, room, wanted - len(leased), terms)
    _account(study, leased)
    return leased


def _choose_waiting(study: OpenStudy, room: Allowance, wanted: int) -> tuple[list[TrialRecord], Allowance]:
    """Waiting trials to lease, and what the budget then allows.

    Those that were begun before go first: they are paid for. A first attempt needs the budget; one that is too dear
    stands in nobody's way.
    """
    chosen: list[TrialRecord] = []
    size = max(wanted, WAITING_PAGE)
    page = trials.waiting(study.connection, study.record.id, size=size) if wanted else []
    while page:
        for record in page:
            paid = record.attempt > 0
            rest = room if paid else room.after(budget.cost(study.definition, record.parameters))
            if rest is not None and len(chosen) < wanted:
                chosen.append(record)
                room = rest
        if len(page) < size or len(chosen) == wanted or room.trials == 0:
            break
        page = trials.waiting(study.connection, study.record.id, size=size, after=page[-1].number)
    return chosen, room


def _lease_waiting(study: OpenStudy, chosen: Sequence[TrialRecord], terms: Terms) -> list[TrialRecord]:
    if not chosen:
        return []
    reservations = [
        {"id": record.id, "reserved_evaluations": budget.cost(study.definition, record.parameters)}
        for record in chosen
        if record.attempt == 0
    ]
    trials.change_many(study.connection, reservations)
    return trials.lease(
        study.connection,
        [record.id for record in chosen],
        worker=terms.worker,
        seconds=terms.lease_seconds,
        moment=study.moment,
    )


def _lease_new(study: OpenStudy, room: Allowance, wanted: int, terms: Terms) -> list[TrialRecord]:
    """Trials at points that the sampler chooses, as many as the budget has room for."""
    if room.trials is not None:
        wanted = min(wanted, room.trials)
    if wanted <= 0:
        return []
    numbers = range(study.record.next_number, study.record.next_number + wanted)
    known = history(study)
    suggestions = suggest(study.definition, known, numbers)
    points = _within_budget(study, suggestions, room.evaluations)
    if len(points) < len(suggestions.trials):
        # A grid counts the points that it gives out: those that the budget refused are not among them.
        suggestions = suggest(study.definition, known, numbers[: len(points)])
    if suggestions.system_attrs:
        attributes = suggestions.applied_to(study.record.system_attrs)
        studies.change(study.connection, study.record.id, system_attrs=attributes)
    if suggestions.exhausted and not points and not trials.any_open(study.connection, study.record.id):
        study.complete("every point of the grid has been tried")
    return study.create_running(points, worker=terms.worker, lease_seconds=terms.lease_seconds)


def _within_budget(study: OpenStudy, suggestions: Suggestions, evaluations: int | None) -> list[Point]:
    """The suggested points, the last one's steps shortened to what is left, up to the first that is too dear."""
    points: list[Point] = []
    for suggestion in suggestions.trials:
        parameters = budget.clip(study.definition, suggestion.parameters, evaluations)
        if parameters is None:
            break
        if evaluations is not None:
            evaluations -= budget.cost(study.definition, parameters)
        points.append((parameters, suggestion.system_attrs))
    return points


def _account(study: OpenStudy, leased: Sequence[TrialRecord]) -> None:
    """Count what has been begun, and set aside what it will spend."""
    if not leased:
        return
    begun = [record for record in leased if record.attempt == 1]
    studies.change(
        study.connection,
        study.record.id,
        started_at=study.record.started_at or study.moment,
        asked_at=study.moment,
        plus={
            "next_number": sum(record.number >= study.record.next_number for record in leased),
            "started_trials": len(begun),
            "reserved_evaluations": sum(record.reserved_evaluations for record in begun),
        },
    )


def _as_lease(record: TrialRecord) -> Lease:
    assert record.lease_expires_at is not None  # noqa: S101 (it has just been leased)
    return Lease(
        number=record.number,
        attempt=record.attempt,
        lease_expires_at=record.lease_expires_at,
        parameters=record.parameters,
    )
