"""Pruning: which of the trials that have just reported should stop, and why.

A study's pruner decides when a report comes, never by itself. What it compares is kept at rungs (``storage/rungs.py``),
so a report that crosses none costs nothing here, and one that does costs the same in a study of any size.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.goal import Goal
from tuner.search.pruners import (
    PEERS,
    Comparison,
    Patient,
    Progress,
    Reference,
    ReportPruner,
    RungPruner,
    pruner_of,
)
from tuner.service.open_study import OpenStudy
from tuner.storage import rungs
from tuner.storage.rungs import RungValue
from tuner.storage.trials import TrialRecord


@dataclass(frozen=True)
class Advance:
    """One running trial's report, before the trial's row is written.

    record: the row as it was: its last step and best are of the points before, its stop reason is set where the trial
        has been told to stop.
    steps, values: the goal's metric (n,) at the steps (n,) of the report where it was measured; steps ascend, distinct.
    last_step: the highest step of the report in any metric; None: that of ``steps``.
    """

    record: TrialRecord
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    last_step: int | None = None


def judge(study: OpenStudy, advances: Sequence[Advance]) -> dict[int, str]:
    """Which trials should stop: trial id → why, in words. Writes the rungs that the reports crossed.

    One report a trial. A trial that was told to stop is told again, and the reason stays the first one; one that has
    reported its last step is not told any more: there is nothing left to save.
    """
    definition = study.definition
    if definition.pruner is None or not advances:
        return {}
    pruner = pruner_of(definition.pruner)
    told = {
        advance.record.id: advance.record.stop_reason for advance in advances if advance.record.stop_reason is not None
    }
    reports = [_Report(advance.record.id, _progress(definition.goal, advance)) for advance in advances]
    undecided = {
        advance.record.id
        for advance, report in zip(advances, reports, strict=True)
        if advance.record.id not in told and not _is_over(advance.record, report.progress.upto)
    }
    match pruner:
        case RungPruner():
            crossings = _cross(study, pruner, reports)
            questions = [
                _Question(report, step, crossed[step])
                for report, crossed in crossings
                if report.trial_id in undecided and crossed
                for step in pruner.decisive(list(crossed))
            ]
            found = _compare(study, pruner, questions)
        case ReportPruner():
            found = _by_report(pruner, reports)
        case Patient():
            found = _by_patience(study, pruner, reports, undecided)
        case _:
            raise AssertionError(f"no way to ask {pruner}")
    return told | {trial_id: reason for trial_id, reason in found.items() if trial_id in undecided}


def _progress(goal: Goal, advance: Advance) -> Progress:
    """A report as pruners see it."""
    record = advance.record
    sign = 1 if goal.direction == "minimize" else -1
    reached = [step for step in (record.last_step, advance.last_step, *advance.steps[-1:].tolist()) if step is not None]
    return Progress(
        number=record.number,
        sign=sign,
        after=-1 if record.last_step is None else record.last_step,
        upto=max(reached, default=-1),
        best=math.inf if record.best_value is None else sign * record.best_value,
        best_step=record.best_step,
        steps=advance.steps,
        values=advance.values,
    )


@dataclass(frozen=True)
class _Report:
    trial_id: int
    progress: Progress


@dataclass(frozen=True)
class _Question:
    """Should this trial, which is worth so much at this rung, stop?"""

    report: _Report
    step: int
    value: float


def _is_over(record: TrialRecord, upto: int) -> bool:
    """Whether the trial has run all its steps."""
    steps = record.parameters.get("steps")
    return isinstance(steps, int) and upto >= steps


def _cross(study: OpenStudy, pruner: RungPruner, reports: Sequence[_Report]) -> list[tuple[_Report, dict[int, float]]]:
    """Write the rungs that the reports crossed: each report with its rungs and what the trial is worth there."""
    crossings = []
    values = []
    for report in reports:
        seen = report.progress
        bracket = pruner.bracket(seen.number)
        crossed = seen.crossed(pruner.rungs(bracket))
        crossings.append((report, crossed))
        values += [RungValue(report.trial_id, bracket, step, seen.sign * value) for step, value in crossed.items()]
    rungs.write(study.connection, study.record.id, values)
    return crossings


def _compare(study: OpenStudy, pruner: RungPruner, questions: Sequence[_Question]) -> dict[int, str]:
    """Ask the pruner, at each rung, with the peers that reached it; the first reason is the trial's."""
    places = [(pruner.bracket(question.report.progress.number), question.step) for question in questions]
    reached = rungs.read(study.connection, study.record.id, dict.fromkeys(places), limit=PEERS)
    found: dict[int, str] = {}
    for question, place in zip(questions, places, strict=True):
        sign = question.report.progress.sign
        others = reached[place].values[reached[place].trial_ids != question.report.trial_id]
        peers = np.where(np.isfinite(others), sign * others, math.inf)
        reason = pruner.decide(Comparison(question.step, question.value, peers, sign))
        if reason is not None:
            found.setdefault(question.report.trial_id, reason)
    return found


def _by_report(pruner: ReportPruner, reports: Iterable[_Report]) -> dict[int, str]:
    decisions = ((report.trial_id, pruner.decide(report.progress)) for report in reports)
    return {trial_id: reason for trial_id, reason in decisions if reason is not None}


def _by_patience(study: OpenStudy, pruner: Patient, reports: Sequence[_Report], undecided: set[int]) -> dict[int, str]:
    """Those whose patience is over, and of whom the pruner within, where there is one, says the same."""
    improvements = _improvements(study, pruner, reports)
    over = {
        report.trial_id: reason
        for report in reports
        if (reason := pruner.decide(improvements[report.trial_id], report.progress)) is not None
    }
    if pruner.pruner is None:
        return over
    impatient = over.keys() & undecided
    match within := pruner_of(pruner.pruner):
        case RungPruner():
            crossings = _cross(study, within, reports)
            asked = [(report, crossed) for report, crossed in crossings if report.trial_id in impatient]
            found = _compare(study, within, _latest_rungs(within, asked))
        case ReportPruner():
            found = _by_report(within, [report for report in reports if report.trial_id in impatient])
        case _:
            raise AssertionError(f"no way to ask {within}")
    return {trial_id: f"{over[trial_id]}; {reason}" for trial_id, reason in found.items()}


def _latest_rungs(pruner: RungPruner, crossings: Iterable[tuple[_Report, dict[int, float]]]) -> list[_Question]:
    """Each trial at the last rung it crossed: patience rarely ends on one."""
    questions = []
    for report, crossed in crossings:
        seen = report.progress
        step = pruner.rungs(pruner.bracket(seen.number)).latest(seen.upto)
        if step is not None:
            # What it was worth there need not be read: it can only have become better since.
            questions.append(_Question(report, step, crossed.get(step, seen.best_now)))
    return questions


def _improvements(study: OpenStudy, pruner: Patient, reports: Sequence[_Report]) -> dict[int, Reference | None]:
    """The last improvement of each trial: where every gain counts, the best that the trial's row knows."""
    if not pruner.min_delta:
        return {report.trial_id: pruner.improved(_best(report.progress), report.progress) for report in reports}
    begun = [report.trial_id for report in reports if report.progress.after >= 0]
    stored = rungs.read_improvements(study.connection, begun) if begun else {}
    after: dict[int, Reference | None] = {}
    changed: dict[int, tuple[int, float] | None] = {}
    for trial_id, seen in ((report.trial_id, report.progress) for report in reports):
        before = None
        if trial_id in stored:
            step, value = stored[trial_id]
            before = Reference(seen.sign * value, step)
        reference = after[trial_id] = pruner.improved(before, seen)
        # At its first report an attempt also forgets what an earlier one has left.
        if reference != before or seen.after < 0:
            changed[trial_id] = None if reference is None else (reference.step, seen.sign * reference.value)
    rungs.write_improvements(study.connection, study.record.id, changed)
    return after


def _best(seen: Progress) -> Reference | None:
    return None if seen.best_step is None else Reference(seen.best, seen.best_step)
