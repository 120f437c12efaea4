"""Report: what a running trial has seen so far, and that it is still being run.

A report renews the lease; one without points is a heartbeat. A lease that has run out is taken up again as long as
nobody else has begun the trial: whoever reports is at work on it.

Steps may come in any order and may come again: of a step the latest value counts. Each attempt has a curve of its own,
and a trial shows that of its latest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict

from tuner.analysis.reaching import first_reached
from tuner.analysis.verdict import Verdict
from tuner.errors import LeaseLost, TrialNotFound, TrialState, TunerError
from tuner.service import training, verdicts
from tuner.service.open_study import OpenStudy, open_study
from tuner.service.pruning import Advance, judge
from tuner.storage import attempts, curves, leases, trials
from tuner.storage.curves import Curve, CurveBlock
from tuner.storage.database import Connection, Database
from tuner.storage.trials import TrialRecord


@dataclass(frozen=True)
class NewPoints:
    """Points of a trial's curve: ``values[i]`` is the metric after ``steps[i]`` updates."""

    metric: str
    steps: Any
    values: Any


@dataclass(frozen=True)
class Report:
    """New points of the curves of one attempt at a trial; none is a heartbeat."""

    number: int
    attempt: int
    points: Sequence[NewPoints] = ()


class Reported(BaseModel):
    """The answer to a report: whether to go on, and until when the lease now lasts.

    ``verdict`` and ``advice`` are the latest on the trial's curve so far; it is judged again as it grows.
    """

    model_config = ConfigDict(frozen=True)

    should_stop: bool
    reason: str | None
    verdict: str | None
    advice: str | None
    lease_expires_at: AwareDatetime


def report(database: Database, name: str, reports: Sequence[Report]) -> list[Reported | TunerError]:
    """Append points to running trials and renew their leases, each report judged on its own.

    Raises:
        StudyNotFound, ReadOnlyStudy: there is nothing to report on.
    """

    def work(connection: Connection) -> list[Reported | TunerError]:
        with open_study(connection, name) as study:
            return take_reports(study, reports)

    return database.write(work)


def append_points(database: Database, name: str, reports: Sequence[Report]) -> list[int]:
    """`report` for those who only want to know what they still hold: the numbers of these trials."""
    answers = report(database, name, reports)
    return [one.number for one, answer in zip(reports, answers, strict=True) if isinstance(answer, Reported)]


def take_reports(study: OpenStudy, reports: Sequence[Report]) -> list[Reported | TunerError]:
    """What comes in at once, of several trials or of one, in the order of arrival."""
    known = trials.get_many(study.connection, study.record.id, list({one.number for one in reports}))
    answers: dict[int, TunerError] = {}
    progress: dict[int, _Progress] = {}
    for place, one in enumerate(reports):
        try:
            record = _held(study, known.get(one.number), one)
        except TunerError as error:
            answers[place] = error
            continue
        progress.setdefault(record.number, _Progress(study, record)).add(one.points)
    _write(study, list(progress.values()))
    return [answers.get(place) or progress[one.number].answer() for place, one in enumerate(reports)]


def _held(study: OpenStudy, record: TrialRecord | None, one: Report) -> TrialRecord:
    """The trial, if this attempt holds it, or held it last and nobody has it now.

    Raises:
        TrialNotFound, LeaseLost, TrialState: it does not.
    """
    if record is None:
        raise TrialNotFound(f"study {study.record.name!r} has no trial {one.number}")
    if one.attempt != record.attempt or record.attempt == 0:
        raise LeaseLost(f"trial {record.number} is at attempt {record.attempt}; {one.attempt} is over")
    if record.state in trials.FINISHED:
        raise TrialState(f"trial {record.number} is {record.state}: nothing more can be reported")
    if record.lease_seconds is None:
        # It was given back, or an Optuna program runs it.
        raise LeaseLost(f"nobody holds a lease of trial {record.number}, which is {record.state}")
    if record.state == "waiting" and not _may_go_on(study):
        raise LeaseLost(f"the lease of trial {record.number} is over, and others run in its place")
    return record


def _may_go_on(study: OpenStudy) -> bool:
    """Whether one more trial may run at once."""
    most = study.definition.budget.parallel_trials
    return most is None or leases.count_running(study.connection, study.record.id) < most


class _Progress:
    """What one trial has got from the reports that came at once."""

    def __init__(self, study: OpenStudy, record: TrialRecord) -> None:
        assert record.lease_seconds is not None  # noqa: S101 (it is held)
        self.record = record
        self.expires_at: datetime = study.moment + timedelta(seconds=record.lease_seconds)
        self.last_step, self.best_value, self.best_step = record.last_step, record.best_value, record.best_step
        self.stop_reason = record.stop_reason
        self.verdict: Verdict | None = None
        self._study = study
        self._points: dict[str, list[NewPoints]] = {}

    def add(self, points: Sequence[NewPoints]) -> None:
        goal = self._study.definition.goal
        for one in points:
            steps = np.asarray(one.steps, dtype=np.int64)
            if not steps.size:
                continue
            values = np.asarray(one.values, dtype=np.float64)
            self._points.setdefault(one.metric, []).append(NewPoints(one.metric, steps, values))
            self.last_step = max(int(steps.max()), -1 if self.last_step is None else self.last_step)
            if one.metric == goal.metric:
                self._follow(steps, values)

    def _follow(self, steps: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Keep the goal's metric at its best so far, and see whether it is still a number."""
        finite = np.isfinite(values)
        if finite.any():
            sign = 1.0 if self._study.definition.goal.direction == "minimize" else -1.0
            ranked = np.where(finite, sign * values, np.inf)
            best = int(ranked.argmin())
            if self.best_value is None or ranked[best] < sign * self.best_value:
                self.best_value, self.best_step = float(values[best]), int(steps[best])
        latest = int(steps.argmax())
        definition = self._study.definition
        if not finite[latest] and self.stop_reason is None and definition.stop_diverging:
            metric = definition.goal.metric
            self.stop_reason = f"{metric} is {values[latest]} at step {steps[latest]}: it has left the finite numbers"
        if self.stop_reason is None:
            self.stop_reason = self._arrival(steps, values)

    def _arrival(self, steps: NDArray[np.int64], values: NDArray[np.float64]) -> str | None:
        """That the goal's target is reached, where it has one: no further step is wanted."""
        goal = self._study.definition.goal
        if goal.target is None:
            return None
        order = np.argsort(steps)
        step = first_reached(steps[order], values[order], goal.target, rising=goal.direction == "maximize")
        return None if step is None else f"{goal.metric} has reached its target {goal.target:g} at step {step}"

    def advance(self) -> Advance:
        """What a pruner has to know; of a step the latest value."""
        points = self._points.get(self._study.definition.goal.metric, [])
        steps = np.concatenate([one.steps for one in points] or [np.empty(0, dtype=np.int64)])
        values = np.concatenate([one.values for one in points] or [np.empty(0)])
        # np.unique keeps the first of equal steps: reversed, that is the latest.
        distinct, latest = np.unique(steps[::-1], return_index=True)
        return Advance(self.record, distinct, values[::-1][latest], last_step=self.last_step)

    def is_due(self) -> bool:
        """Whether the trial is to be judged now."""
        points = self._points.get(verdicts.training_metric(self._study.definition))
        if points is None:
            return False
        step, latest = max((int(one.steps.max()), float(one.values[one.steps.argmax()])) for one in points)
        return verdicts.is_due(self._study.definition, self.record, step, latest)

    def first_curves(self) -> dict[str, Curve] | None:
        """The trial's curves where these points are all there are; None where others came before."""
        if self.record.last_step is not None:
            return None
        return {
            metric: curves.merge([(one.steps, one.values) for one in points]) for metric, points in self._points.items()
        }

    def judge(self, found: Mapping[str, Curve]) -> None:
        """Judge the trial by its curves; who diverges may be told to stop."""
        definition = self._study.definition
        self.verdict = verdicts.judge_trial(definition, self.record.parameters, found)
        if self.verdict is not None and self.stop_reason is None and verdicts.stops(definition, self.verdict):
            self.stop_reason = self.verdict.advice

    def blocks(self) -> list[CurveBlock]:
        return [
            CurveBlock(
                self.record.id,
                self.record.attempt,
                metric,
                np.concatenate([one.steps for one in points]),
                np.concatenate([one.values for one in points]),
            )
            for metric, points in self._points.items()
        ]

    def row(self) -> dict[str, Any]:
        """The trial's columns. A lease that had run out is taken up again, and what its loss had settled is undone."""
        lost = self.record.state == "waiting"
        settled = self._study.reported_evaluations(self.record) if lost else 0
        return {
            "id": self.record.id,
            "state": "running",
            "gradient_evaluations": self.record.gradient_evaluations - settled,
            "lost_leases": self.record.lost_leases - lost,
            "lease_expires_at": self.expires_at,
            "last_step": self.last_step,
            "best_value": self.best_value,
            "best_step": self.best_step,
            "stop_reason": self.stop_reason,
            "updated_at": self._study.moment,
            "sequence": self._study.sequence,
            **({} if self.verdict is None else verdicts.columns(self.verdict)),
        }

    def answer(self) -> Reported:
        return Reported(
            should_stop=self.stop_reason is not None,
            reason=self.stop_reason,
            verdict=self.record.verdict if self.verdict is None else str(self.verdict.name),
            advice=self.record.advice if self.verdict is None else self.verdict.advice,
            lease_expires_at=self.expires_at,
        )


def _write(study: OpenStudy, progress: Sequence[_Progress]) -> None:
    if not progress:
        return
    curves.grow(study.connection, [block for one in progress for block in one.blocks()])
    _judge(study, [one for one in progress if one.is_due()])
    reasons = judge(study, [one.advance() for one in progress]) if study.definition.pruner is not None else {}
    reasons = training.hopeless(study, [(one.record, one.last_step) for one in progress]) | reasons
    for one in progress:
        one.stop_reason = one.stop_reason or reasons.get(one.record.id)
    rows = [one.row() for one in progress]
    # Most reports come without a new verdict, and write none.
    for judged in (False, True):
        trials.change_many(
            study.connection,
            [row for row, one in zip(rows, progress, strict=True) if (one.verdict is not None) is judged],
        )
    taken_up = [one.record for one in progress if one.record.state == "waiting"]
    attempts.resume(study.connection, taken_up)
    study.add(
        spent_evaluations=sum(row["gradient_evaluations"] for row in rows)
        - sum(one.record.gradient_evaluations for one in progress)
    )


def _judge(study: OpenStudy, due: Sequence[_Progress]) -> None:
    """Judge trials by their curves: of those whose points are not all at hand, they are read at once."""
    known = {one.record.id: one.first_curves() for one in due}
    unread = [(one.record.id, one.record.attempt) for one in due if known[one.record.id] is None]
    stored = curves.sample(study.connection, unread) if unread else {}
    for one in due:
        one.judge(known[one.record.id] or stored.get(one.record.id, {}))
