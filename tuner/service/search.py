"""Use cases of a worker that carries out a study's plan: what is stored of the search, and what the worker writes.

A rate is one trial. While the plan may continue it, the trial runs under the study's hold, its curve grows and its
checkpoint is kept. Once the plan is done with it, it is told: it then stands for the step count at which it was best,
so that whoever runs its point again gets its value again. Evaluations are charged as they are reported: what a lost
worker had not reported is lost, as with any trial.

Everything here is derived from trials, curves, checkpoints and measurements; no plan is stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tuner.definition import StudyDefinition
from tuner.service import budget, holds
from tuner.service.budget import Stretch
from tuner.service.open_study import OpenStudy, definition_of, open_study
from tuner.service.report import NewPoints
from tuner.service.tell import Ending, settle
from tuner.storage import checkpoints, curves, measurements, studies, trials
from tuner.storage.checkpoints import Stored as StoredCheckpoint
from tuner.storage.curves import Curve, CurveBlock
from tuner.storage.database import Connection, Database
from tuner.storage.trials import FOLLOWED, TrialRecord
from tuner.trial import ParameterValue

CURVATURE, START = measurements.PROBE, "start"
"""Kinds of measurements: what a probe found, and the loss and gradient at x_0, from which every rate goes on."""


@dataclass(frozen=True)
class Followed:
    """A trial that a plan has followed, or follows: where it stands, as far as it is stored."""

    number: int
    attempt: int
    state: str
    parameters: Mapping[str, Any]
    lost_leases: int
    curves: Mapping[str, Curve]
    checkpoint: bytes | None
    checkpoint_step: int

    @property
    def learning_rate(self) -> float:
        """The rate that it is followed at."""
        return float(self.parameters["learning_rate"])

    @property
    def is_open(self) -> bool:
        """Whether it can be followed further as this trial."""
        return self.state in {"running", "waiting"}


@dataclass(frozen=True)
class Search:
    """What is stored of a search.

    measured: the latest result of each kind, `CURVATURE` and `START`, where there is one. left: gradient evaluations
    that the budget still allows; None is no limit.
    """

    definition: StudyDefinition
    followed: Sequence[Followed]
    measured: Mapping[str, Any]
    left: int | None


def read(database: Database, name: str) -> Search:
    """What is known of a study's search.

    Raises:
        StudyNotFound, ReadOnlyStudy: there is none.
    """

    def work(connection: Connection) -> Search:
        study = studies.get(connection, name)
        known = [record for record in trials.page(connection, study.id) if record.followed]
        grown = curves.read_many(connection, [(record.id, record.attempt) for record in known])
        standing = checkpoints.read(connection, [record.id for record in known])
        measured = {
            kind: found[-1].result
            for kind in (CURVATURE, START)
            if (found := measurements.read(connection, study.id, kind))
        }
        definition = definition_of(study)
        return Search(
            definition,
            [_followed(record, grown.get(record.id, {}), standing.get(record.id)) for record in known],
            measured,
            budget.allowance(definition, study).evaluations,
        )

    return database.read(work)


def _followed(record: TrialRecord, grown: Mapping[str, Curve], standing: StoredCheckpoint | None) -> Followed:
    return Followed(
        number=record.number,
        attempt=record.attempt,
        state=record.state,
        parameters=record.parameters,
        lost_leases=record.lost_leases,
        curves=grown,
        checkpoint=None if standing is None else standing.state,
        checkpoint_step=0 if standing is None else standing.step,
    )


@dataclass(frozen=True)
class Progress:
    """What has become of a followed trial since it was last written: new points, what they took, where it stands.

    ``steps_run`` is how far it has been followed in all. ``checkpoint`` is its step and its bytes; None keeps the last.
    ``goes_on``: whether it has not come to the end of what it was granted.
    """

    number: int
    attempt: int
    steps_run: int
    gradient_evaluations: int
    points: Sequence[NewPoints] = ()
    checkpoint: tuple[int, bytes] | None = None
    goes_on: bool = False


@dataclass(frozen=True)
class Wanted:
    """A rate that is to be followed from one step to another, the most important first.

    number: its trial, where it has one that is open. after: the finished trial whose descent it continues, of the same
    rate, where it has one that stands at ``first_step``. ``opening`` evaluations it takes before its first step.
    further: the parameters of its trial beside rate, steps and those that are fixed.
    """

    learning_rate: float
    first_step: int
    last_step: int
    opening: int
    number: int | None = None
    after: int | None = None
    further: Mapping[str, ParameterValue] = field(default_factory=dict)

    def cost(self, last_step: int) -> int:
        """Gradient evaluations that following it to a step takes."""
        return self.opening + last_step - self.first_step


@dataclass(frozen=True)
class Granted:
    """What may be followed: up to this step, as this attempt at this trial."""

    number: int
    attempt: int
    last_step: int


@dataclass(frozen=True)
class Measured:
    """A measurement of one of the kinds, and what it took."""

    kind: str
    result: Mapping[str, Any]
    gradient_evaluations: int


@dataclass(frozen=True)
class Step:
    """What a worker writes of a search at once: what has been found, what is done with, and what is to come."""

    progress: Sequence[Progress] = ()
    endings: Sequence[Ending] = ()
    may_go_on: bool = False
    """Whether the endings are the study's and not the plan's: should the study be taken up again, so are the rates."""
    measured: Measured | None = None
    wanted: Sequence[Wanted] = ()
    completed: str | None = None
    """Why the search is over; None while it is not."""
    stopped: str | None = None
    """Why the study cannot be searched; None while it can."""
    let_go: bool = False
    """Whether the hold ends, with the trials that are still followed waiting again."""


@dataclass(frozen=True)
class Standing:
    """Where the study stands after a step.

    granted: for each rate that was wanted what may be followed, None where the budget has no room for it.
    over: which limit ends what is being followed, in words. left: gradient evaluations; None is no limit.
    gone: the numbers of trials that somebody else has settled. chosen: whether trials that users enqueued wait.
    """

    state: Literal["active", "paused", "stopped", "completed"]
    over: str | None
    left: int | None
    granted: Sequence[Granted | None] = ()
    gone: frozenset[int] = field(default_factory=frozenset)
    chosen: bool = False


def advance(database: Database, name: str, worker: str, step: Step) -> Standing:
    """Write a step of the search that this worker carries out, in one transaction.

    Raises:
        StudyNotFound: the study is gone.
        LeaseLost: the worker holds it no longer; nothing is written.
    """

    def work(connection: Connection) -> Standing:
        with open_study(connection, name) as study:
            holds.require(study, worker)
            study.change(lost_holds=0)
            gone = _write_progress(study, step.progress)
            endings = [ending for ending in step.endings if ending.number not in gone]
            _settle(study, endings, may_go_on=step.may_go_on)
            if step.measured is not None:
                _write_measured(study, step.measured)
            granted: list[Granted | None] = [None] * len(step.wanted)
            over = budget.ends_all(study.definition, study.record, study.moment)
            if step.wanted and study.record.state == "active" and over is None:
                granted = _grant(study, worker, step.wanted)
            if step.completed is not None and study.record.state == "active":
                study.complete(step.completed)
            if step.stopped is not None and study.record.state == "active":
                study.stop(step.stopped)
            if step.let_go:
                holds.let_go(study)
            return Standing(
                state=study.record.state,
                over=over,
                left=budget.allowance(study.definition, study.record).evaluations,
                granted=granted,
                gone=frozenset(gone),
                chosen=study.has_waiting and _any_chosen(study),
            )

    return database.write(work)


def _write_progress(study: OpenStudy, progress: Sequence[Progress]) -> set[int]:
    """Write it, and charge what it took; the trials that are no longer followed by whoever writes."""
    known = trials.get_many(study.connection, study.record.id, [one.number for one in progress])
    kept = [
        (known[one.number], one)
        for one in progress
        if one.number in known and (known[one.number].state, known[one.number].attempt) == ("running", one.attempt)
    ]
    # What somebody else has settled meanwhile has been run all the same.
    study.add(spent_evaluations=sum(one.gradient_evaluations for one in progress))
    curves.grow(
        study.connection,
        [
            CurveBlock(record.id, record.attempt, points.metric, points.steps, points.values)
            for record, one in kept
            for points in one.points
        ],
    )
    checkpoints.write(
        study.connection,
        [StoredCheckpoint(record.id, *one.checkpoint) for record, one in kept if one.checkpoint is not None],
    )
    changes: list[dict[str, Any]] = [
        {
            "id": record.id,
            "gradient_evaluations": record.gradient_evaluations + one.gradient_evaluations,
            # Whoever goes on has at least one evaluation set aside: it is what shows that.
            "reserved_evaluations": max(1, record.reserved_evaluations - one.gradient_evaluations)
            if one.goes_on
            else 0,
            # One that gets on does not kill its worker.
            "lost_leases": 0 if one.steps_run > (record.steps_run or 0) else record.lost_leases,
            "steps_run": one.steps_run,
            "updated_at": study.moment,
            "sequence": study.sequence,
        }
        for record, one in kept
    ]
    trials.change_many(study.connection, changes)
    study.add(
        reserved_evaluations=sum(change["reserved_evaluations"] for change in changes)
        - sum(record.reserved_evaluations for record, _ in kept)
    )
    return {one.number for one in progress} - {record.number for record, _ in kept}


def _settle(study: OpenStudy, endings: Sequence[Ending], *, may_go_on: bool) -> None:
    """Tell trials, whose checkpoints are of no further use unless others may go on from them."""
    if not endings:
        return
    settle(study, endings)
    if not may_go_on:
        settled = trials.get_many(study.connection, study.record.id, [ending.number for ending in endings])
        checkpoints.forget(study.connection, [record.id for record in settled.values()])


def _write_measured(study: OpenStudy, measured: Measured) -> None:
    measurements.add(
        study.connection,
        study.record.id,
        measured.kind,
        dict(measured.result),
        gradient_evaluations=measured.gradient_evaluations,
        moment=study.moment,
    )
    study.add(spent_evaluations=measured.gradient_evaluations)


def _grant(study: OpenStudy, worker: str, wanted: Sequence[Wanted]) -> list[Granted | None]:
    """Open as many trials as there may be, each to follow as far as the evaluations reach."""
    room = budget.allowance(study.definition, study.record)
    begun: list[int] = []
    new = 0
    for place, one in enumerate(wanted):
        if one.number is not None or room.trials is None or new < room.trials:
            begun.append(place)
            new += one.number is None
    steps = budget.shortened(
        [Stretch(wanted[place].last_step - wanted[place].first_step, wanted[place].opening) for place in begun],
        room.evaluations,
    )
    allowed = {
        place: wanted[place].first_step + further for place, further in zip(begun, steps, strict=True) if further
    }
    if not allowed:
        return [None] * len(wanted)
    study.change(started_at=study.record.started_at or study.moment, asked_at=study.moment)
    again = {one.number: (one, last) for place, last in allowed.items() if (one := wanted[place]).number is not None}
    opened = _open_again(study, worker, again)
    fresh = [place for place in allowed if wanted[place].number is None]
    granted = dict(zip(fresh, _open_new(study, worker, [(wanted[p], allowed[p]) for p in fresh]), strict=True))
    return [granted.get(place) if one.number is None else opened.get(one.number) for place, one in enumerate(wanted)]


def _open_again(study: OpenStudy, worker: str, wanted: Mapping[int, tuple[Wanted, int]]) -> dict[int, Granted]:
    """Follow open trials further, each to its step: those that wait are leased, and go on as another attempt."""
    known = trials.get_many(study.connection, study.record.id, list(wanted))
    changes: list[dict[str, Any]] = []
    granted: dict[int, Granted] = {}
    for number, record in known.items():
        if record.state == "waiting":
            attempt = record.attempt + 1
            curves.hand_over(study.connection, record.id, attempt, of=record.attempt)
        elif record.state == "running" and record.worker == worker:
            attempt = record.attempt
        else:
            continue
        one, last = wanted[number]
        changes.append(
            {
                "id": record.id,
                "state": "running",
                "attempt": attempt,
                "worker": worker,
                "token_id": None,
                "parameters": {**record.parameters, "steps": last},
                "reserved_evaluations": one.cost(last),
                "started_at": study.moment if attempt != record.attempt else record.started_at,
                "updated_at": study.moment,
                "sequence": study.sequence,
            }
        )
        granted[number] = Granted(number, attempt, last)
    trials.change_many(study.connection, changes)
    study.add(
        reserved_evaluations=sum(change["reserved_evaluations"] for change in changes)
        - sum(known[number].reserved_evaluations for number in granted)
    )
    return granted


def _open_new(study: OpenStudy, worker: str, wanted: Sequence[tuple[Wanted, int]]) -> list[Granted]:
    """Begin trials, each to be followed to its step; one that goes on from another trial has what that one has."""
    fixed = study.definition.fixed_parameters
    first = study.record.next_number
    rows = [
        study.row(
            number,
            (
                {
                    name: _value(name, one.learning_rate, last, {**fixed, **one.further})
                    for name in study.definition.search_space
                },
                {FOLLOWED: True},
            ),
            state="running",
            attempt=1,
            worker=worker,
            started_at=study.moment,
            reserved_evaluations=one.cost(last),
        )
        for number, (one, last) in enumerate(wanted, start=first)
    ]
    created = trials.create(study.connection, rows)
    study.add(
        next_number=len(rows),
        started_trials=len(rows),
        reserved_evaluations=sum(row["reserved_evaluations"] for row in rows),
    )
    sources = trials.get_many(
        study.connection, study.record.id, [one.after for one, _ in wanted if one.after is not None]
    )
    for record, (one, _) in zip(created, wanted, strict=True):
        if one.after is not None and one.after in sources:
            source = sources[one.after]
            curves.copy(study.connection, (source.id, source.attempt), (record.id, record.attempt))
            checkpoints.move(study.connection, source.id, record.id)
    return [Granted(record.number, record.attempt, last) for record, (_, last) in zip(created, wanted, strict=True)]


def _value(name: str, rate: float, steps: int, others: Mapping[str, Any]) -> Any:
    return {"learning_rate": rate, "steps": steps}.get(name, others.get(name))


def _any_chosen(study: OpenStudy) -> bool:
    """Whether a trial waits that the plan knows nothing of."""
    known = trials.page(study.connection, study.record.id, states=["waiting"])
    return any(not record.followed for record in known)
