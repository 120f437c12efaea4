"""Ask: lease trials, those that wait and new ones that the sampler chooses.

The budget is the study's and is never passed, however many ask at once: an ask holds the study's row until its trials
and their reservations are written.
"""

from collections.abc import Sequence
from typing import Any

from tuner.search import SAMPLERS, History, Suggestions, suggest
from tuner.service import budget
from tuner.service.budget import Allowance
from tuner.service.open_study import OpenStudy, open_study
from tuner.storage import studies, trials
from tuner.storage.database import Connection, Database
from tuner.storage.frozen import distributions, frozen_trial
from tuner.storage.trials import TrialRecord
from tuner.trial import Asked, Lease

Point = tuple[dict[str, Any], dict[str, Any]]
"""A trial's parameters, and its sampler's notes."""

RETRY_AFTER = 1.0
"""Seconds after which to ask again while others hold what is left of the budget."""


def ask(
    database: Database, name: str, *, count: int = 1, worker: str | None = None, lease_seconds: float = 60.0
) -> Asked:
    """Lease up to ``count`` trials.

    A study of a registered objective gives waiting trials *or* new ones. A batch that lost its worker is thus run
    again whole before the sampler goes on, and one worker's trials are the same whether it was killed or not.

    Raises:
        StudyNotFound, ReadOnlyStudy: there is nothing to ask of.
    """

    def work(connection: Connection) -> Asked:
        return ask_of(open_study(connection, name), count, worker, lease_seconds)

    return database.write(work)


def ask_of(study: OpenStudy, count: int, worker: str | None, lease_seconds: float) -> Asked:
    """`ask` within a transaction that has opened the study."""
    leased: list[TrialRecord] = []
    if study.record.state == "active":
        leased = _lease(study, _choose(study, count), worker, lease_seconds)
        if not leased:
            study.complete_if_spent()
    state = studies.get_by_id(study.connection, study.record.id).state
    waits = state == "active" and not leased
    return Asked(
        trials=[_as_lease(record) for record in leased],
        study_state=state,
        retry_after_seconds=RETRY_AFTER if waits else None,
    )


def _choose(study: OpenStudy, count: int) -> list[TrialRecord]:
    """The trials to lease, waiting ones first; new ones are created."""
    # Counted only where it matters: an ask must not get slower as the study grows.
    limited = study.definition.budget.parallel_trials is not None
    running = trials.count_running(study.connection, study.record.id) if limited else 0
    allowed = budget.allowance(study.definition, study.record, running)
    wanted = count if allowed.running is None else min(count, allowed.running)
    over = budget.exhausted(study.definition, study.record, study.moment) is not None
    if over:
        allowed = Allowance(trials=0, evaluations=0, running=allowed.running)
    chosen = _choose_waiting(study, allowed, wanted)
    if not over and (study.definition.objective is None or not chosen):
        chosen += _choose_new(study, _after(allowed, study, chosen), wanted - len(chosen))
    return chosen


def _choose_waiting(study: OpenStudy, allowed: Allowance, wanted: int) -> list[TrialRecord]:
    """Waiting trials to lease. One that was begun before is paid for already; a first attempt needs the budget."""
    chosen: list[TrialRecord] = []
    for record in trials.waiting(study.connection, study.record.id, wanted) if wanted > 0 else []:
        if record.attempt == 0:
            room = _after(allowed, study, chosen)
            if room.trials == 0:
                continue
            if room.evaluations is not None and budget.cost(study.definition, record.parameters) > room.evaluations:
                continue
        chosen.append(record)
    return chosen


def _choose_new(study: OpenStudy, room: Allowance, wanted: int) -> list[TrialRecord]:
    """Create trials at points that the sampler chooses, as many as the budget has room for."""
    if room.trials is not None:
        wanted = min(wanted, room.trials)
    if wanted <= 0 or room.evaluations == 0:
        return []
    numbers = range(study.record.next_number, study.record.next_number + wanted)
    history = _history(study)
    suggestions = suggest(study.definition, history, numbers)
    points = _within_budget(study, suggestions, room.evaluations)
    if len(points) < len(suggestions.trials):
        # A grid counts the points that it gives out: those that the budget refused are not among them.
        suggestions = suggest(study.definition, history, numbers[: len(points)])
    if suggestions.system_attrs:
        attributes = {**study.record.system_attrs, **suggestions.system_attrs}
        studies.change(study.connection, study.record.id, system_attrs=attributes)
    if suggestions.exhausted and not points and not trials.any_open(study.connection, study.record.id):
        study.complete("every point of the grid has been tried")
    return study.create_trials(points)


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


def _after(allowed: Allowance, study: OpenStudy, chosen: Sequence[TrialRecord]) -> Allowance:
    """What is left of an allowance when the chosen trials are begun."""
    begun = [record for record in chosen if record.attempt == 0]
    left = None if allowed.trials is None else allowed.trials - len(begun)
    evaluations = allowed.evaluations
    if evaluations is not None:
        evaluations -= sum(budget.cost(study.definition, record.parameters) for record in begun)
    return Allowance(left, evaluations, allowed.running)


def _history(study: OpenStudy) -> History:
    if not SAMPLERS[study.definition.sampler.name].learns:
        return History([], study.record.system_attrs)
    space = distributions(study.definition.search_space)
    records = trials.page(study.connection, study.record.id, states=["complete", "pruned", "running"])
    return History(
        trials=[frozen_trial(record, study.record, space) for record in records if not record.excluded],
        system_attrs=study.record.system_attrs,
    )


def _lease(
    study: OpenStudy, chosen: Sequence[TrialRecord], worker: str | None, lease_seconds: float
) -> list[TrialRecord]:
    """Give the chosen trials out, and set aside what their first attempts will spend."""
    if not chosen:
        return []
    ids = [record.id for record in chosen]
    leased = trials.lease(study.connection, ids, worker=worker, seconds=lease_seconds, moment=study.moment)
    reservations = [
        {"id": record.id, "reserved_evaluations": budget.cost(study.definition, record.parameters)}
        for record in leased
        if record.attempt == 1
    ]
    trials.change_many(study.connection, reservations)
    studies.increase(
        study.connection,
        study.record.id,
        started_trials=len(reservations),
        reserved_evaluations=sum(reservation["reserved_evaluations"] for reservation in reservations),
    )
    started_at = study.record.started_at or study.moment
    studies.change(study.connection, study.record.id, started_at=started_at, asked_at=study.moment)
    return leased


def _as_lease(record: TrialRecord) -> Lease:
    assert record.lease_expires_at is not None  # noqa: S101 (it has just been leased)
    return Lease(
        number=record.number,
        attempt=record.attempt,
        lease_expires_at=record.lease_expires_at,
        parameters=record.parameters,
    )
