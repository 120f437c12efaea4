"""Ask: lease trials, those that wait and new ones that the sampler chooses.

The budget is the study's and is never passed, however many ask at once: an ask holds the study's row until its trials
and their reservations are written. Those who ask at the same time are served as one: one look at the waiting trials,
one batch of points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tuner.errors import TunerError
from tuner.search import Suggestions, suggest
from tuner.service import budget
from tuner.service.budget import Allowance
from tuner.service.history import history
from tuner.service.open_study import OpenStudy, Point, open_study
from tuner.service.quotas import Quota, at_its_limit, open_trials_left
from tuner.storage import leases, trials
from tuner.storage.database import Connection, Database
from tuner.storage.trials import TrialRecord
from tuner.trial import Asked, Lease

WAITING_PAGE = 100
"""Waiting trials that are looked at in one query, at least."""

RETRY_AFTER = 1.0
"""Seconds after which to ask again while others hold what is left of the budget."""


@dataclass(frozen=True)
class Ask:
    """On which terms trials are leased: how many at most, to whom, for how long, and for which token."""

    count: int = 1
    worker: str | None = None
    lease_seconds: float = 60.0
    quota: Quota | None = None

    @property
    def limited(self) -> Quota | None:
        """The quota, where it limits what this may be given."""
        return self.quota if self.quota is not None and self.quota.open_trials else None


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
        with open_study(connection, name) as study:
            [answer] = lease_out(study, [Ask(count, worker, lease_seconds)])
            return answer

    return database.write(work)


def take_asks(study: OpenStudy, asks: Sequence[Ask]) -> list[Asked | TunerError]:
    """What comes in at once, each served as far as its token's quota goes.

    An ask is refused only where nothing is left to its token, and the study would go on.
    """
    allowed = _within_quotas(study, asks) if study.record.state == "active" else asks
    return [
        at_its_limit(ask.limited) if ask.limited and not within.count and answer.study_state == "active" else answer
        for ask, within, answer in zip(asks, allowed, lease_out(study, allowed), strict=True)
    ]


def _within_quotas(study: OpenStudy, asks: Sequence[Ask]) -> Sequence[Ask]:
    """The asks, each for no more than is left to its token."""
    left = open_trials_left(study.connection, [ask.limited for ask in asks if ask.limited])
    if not left:
        return asks
    allowed = []
    for ask in asks:
        if ask.limited:
            count = min(ask.count, left[ask.limited.token_id])
            left[ask.limited.token_id] -= count
            allowed.append(replace(ask, count=count))
        else:
            allowed.append(ask)
    return allowed


def lease_out(study: OpenStudy, asks: Sequence[Ask]) -> list[Asked]:
    """Serve those who ask at once, the first first. Of a study that is held only its holder is given anything."""
    if study.record.holder is not None:
        asks = [ask if ask.worker == study.record.holder else replace(ask, count=0) for ask in asks]
    leases = _lease(study, asks) if study.record.state == "active" else [[] for _ in asks]
    if not all(leases) and study.record.holder is None:
        study.complete_if_spent()
    state = study.record.state
    return [
        Asked(
            trials=given,
            study_state="active" if given else state,
            retry_after_seconds=RETRY_AFTER if state == "active" and not given else None,
        )
        for given in leases
    ]


def _lease(study: OpenStudy, asks: Sequence[Ask]) -> list[list[Lease]]:
    """Trials that the budget allows: waiting ones, then new ones."""
    wanted = sum(ask.count for ask in asks)
    parallel = study.definition.budget.parallel_trials
    if parallel is not None:
        wanted = min(wanted, max(0, parallel - leases.count_running(study.connection, study.record.id)))
    over = budget.exhausted(study.definition, study.record, study.moment) is not None
    room = budget.NOTHING if over else budget.allowance(study.definition, study.record)
    waiting, room = _choose_waiting(study, room, wanted)
    points: list[Point] = []
    if study.definition.objective is None or not waiting:
        points = _choose_new(study, room, wanted - len(waiting), alone=not waiting)
    given: list[list[Lease]] = []
    begun: list[tuple[Ask, datetime, Point]] = []
    for ask in asks:
        old, waiting = waiting[: ask.count], waiting[ask.count :]
        new, points = points[: ask.count - len(old)], points[ask.count - len(old) :]
        first, until = study.record.next_number + len(begun), _until(study, ask)
        begun += [(ask, until, point) for point in new]
        given.append(
            _lease_waiting(study, old, ask)
            + [_given(number, 1, until, point[0]) for number, point in enumerate(new, start=first)]
        )
    _begin(study, begun)
    if any(given):
        study.change(started_at=study.record.started_at or study.moment, asked_at=study.moment)
    return given


def _choose_waiting(study: OpenStudy, room: Allowance, wanted: int) -> tuple[list[TrialRecord], Allowance]:
    """Waiting trials to lease, and what the budget then allows.

    Those that were begun before go first: they are paid for. A first attempt needs the budget; one that is too dear
    stands in nobody's way. Those that a planner follows are no business of who asks.
    """
    chosen: list[TrialRecord] = []
    size = max(wanted, WAITING_PAGE)
    page = leases.waiting(study.connection, study.record.id, size=size) if wanted and study.has_waiting else []
    while page:
        for record in page:
            if record.followed:
                continue
            paid = record.attempt > 0
            rest = room if paid else room.after(budget.cost(study.definition, record.parameters))
            if rest is not None and len(chosen) < wanted:
                chosen.append(record)
                room = rest
        if len(page) < size or len(chosen) == wanted or room.trials == 0:
            break
        page = leases.waiting(study.connection, study.record.id, size=size, after=page[-1].number)
    return chosen, room


def _lease_waiting(study: OpenStudy, chosen: Sequence[TrialRecord], ask: Ask) -> list[Lease]:
    if not chosen:
        return []
    reservations = [
        {"id": record.id, "reserved_evaluations": budget.cost(study.definition, record.parameters)}
        for record in chosen
        if record.attempt == 0
    ]
    trials.change_many(study.connection, reservations)
    study.add(
        started_trials=len(reservations),
        reserved_evaluations=sum(reservation["reserved_evaluations"] for reservation in reservations),
    )
    leased = leases.give(
        study.connection,
        [record.id for record in chosen],
        worker=ask.worker,
        seconds=ask.lease_seconds,
        moment=study.moment,
        sequence=study.sequence,
        token_id=ask.quota and ask.quota.token_id,
    )
    until = _until(study, ask)
    return [_given(record.number, record.attempt, until, record.parameters) for record in leased]


def _choose_new(study: OpenStudy, room: Allowance, wanted: int, *, alone: bool) -> list[Point]:
    """Points that the sampler chooses, as many as the budget has room for. ``alone``: nothing else is given out."""
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
        study.change(system_attrs=suggestions.applied_to(study.record.system_attrs))
    if suggestions.exhausted and alone and not points and not leases.any_open(study.connection, study.record.id):
        study.complete("every point of the grid has been tried")
    return points


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


def _begin(study: OpenStudy, begun: Sequence[tuple[Ask, datetime, Point]]) -> None:
    """Add trials that are leased already, with what they will spend set aside."""
    rows = [
        study.row(
            number,
            point,
            state="running",
            reserved_evaluations=budget.cost(study.definition, point[0]),
            attempt=1,
            worker=ask.worker,
            token_id=ask.quota and ask.quota.token_id,
            lease_seconds=ask.lease_seconds,
            lease_expires_at=until,
            started_at=study.moment,
        )
        for number, (ask, until, point) in enumerate(begun, start=study.record.next_number)
    ]
    trials.insert_many(study.connection, rows)
    study.add(
        next_number=len(rows),
        started_trials=len(rows),
        reserved_evaluations=sum(row["reserved_evaluations"] for row in rows),
    )


def _until(study: OpenStudy, ask: Ask) -> datetime:
    """When the leases end that are given now."""
    return study.moment + timedelta(seconds=ask.lease_seconds)


def _given(number: int, attempt: int, until: datetime, parameters: dict[str, Any]) -> Lease:
    return Lease(number=number, attempt=attempt, lease_expires_at=until, parameters=parameters)
