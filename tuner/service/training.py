"""What a planner knows of a study whose rates clients train, and which of them it has stopped.

It is shown a bounded part of the study: the latest trials, the best ones and those under way, each with the curve of
the goal's metric. Trials that failed are among them: a rate at which a client's program fails is not proposed again.

A trial under way is judged when a report takes it to a rung: four to each doubling of its steps.
"""

import math
from collections.abc import Sequence

import numpy as np

from tuner.search import proposer_of
from tuner.search.trajectory import Trained
from tuner.search.trajectory.sampler import proposal_task
from tuner.service.open_study import OpenStudy
from tuner.storage import curves, ranked, trials
from tuner.storage.trials import TrialRecord

LATEST, BEST, RUNNING = 200, 30, 128
"""Trials that proposals are based on."""

RIVALS = 10
"""The best trials that one under way is compared with, and the latest; and all others under way, up to `RUNNING`."""

RUNGS = 4
"""Rungs to each doubling of the steps."""


def trained(study: OpenStudy) -> list[Trained]:
    """What new rates are chosen by."""
    return _read(study, latest=LATEST, best=BEST)


def hopeless(study: OpenStudy, advances: Sequence[tuple[TrialRecord, int | None]]) -> dict[int, str]:
    """Which trials that have just reported should stop: trial id and why, in words. Their curves are stored.

    Args:
        study: the study.
        advances: trials as they were before their reports, and the last step of each now.
    """
    planner = proposer_of(study.definition)
    if planner is None:
        return {}
    due = [record for record, last in advances if record.stop_reason is None and _crossed(record, last)]
    if not due:
        return {}
    known = _read(study, latest=RIVALS, best=RIVALS, also=due)
    task = proposal_task(study.definition)
    found = {record.id: planner.hopeless(task, known, record.number) for record in due}
    return {trial_id: reason for trial_id, reason in found.items() if reason is not None}


def _crossed(record: TrialRecord, last: int | None) -> bool:
    """Whether a report took a trial to a rung, before its last step: then there is nothing left to save."""
    steps = record.parameters["steps"]
    return last is not None and last < steps and _rung(last) > _rung(record.last_step)


def _rung(step: int | None) -> int:
    return -1 if step is None or step < 1 else math.floor(RUNGS * math.log2(step))


def _read(study: OpenStudy, *, latest: int, best: int, also: Sequence[TrialRecord] = ()) -> list[Trained]:
    goal, study_id = study.definition.goal, study.record.id
    [(_, direction)] = goal.aims
    records = {
        record.number: record
        for part in (
            trials.latest_begun(study.connection, study_id, latest),
            trials.latest_begun(study.connection, study_id, RUNNING, only_running=True),
            ranked.best_told(study.connection, study_id, direction, best),
            also,
        )
        for record in part
    }
    shown = [records[number] for number in sorted(records)]
    stored = curves.sample(study.connection, [(record.id, record.attempt) for record in shown], metric=goal.metric)
    sign = 1.0 if goal.direction == "minimize" else -1.0
    found = []
    for record in shown:
        curve = stored.get(record.id, {}).get(goal.metric)
        value = (record.metrics or {}).get(goal.metric) if record.state == "complete" else None
        step = record.result_step
        found.append(
            Trained(
                number=record.number,
                learning_rate=float(record.parameters["learning_rate"]),
                steps=int(record.parameters["steps"]),
                running=record.state in {"running", "waiting"},
                failed=record.state == "failed",
                seen=(np.empty(0, dtype=np.int64), np.empty(0))
                if curve is None
                else (curve.steps, sign * curve.values),
                told=None if value is None or step is None else (step, sign * value),
            )
        )
    return found
