"""Tell: settle trials, each exactly once.

A write of a lost lease changes nothing; an identical tell again answers the first result; a late one is taken as long
as nobody has begun the trial anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from tuner.errors import AlreadyTold, InvalidInput, LeaseLost, TrialNotFound, TunerError
from tuner.service import budget, verdicts
from tuner.service.open_study import OpenStudy, open_study
from tuner.service.ranking import Told, objective_values
from tuner.service.report import NewPoints
from tuner.storage import curves, trials
from tuner.storage.curves import CurveBlock
from tuner.storage.database import Connection, Database
from tuner.storage.trials import TrialRecord
from tuner.trial import Outcome, Trial, descent_of, encode_float


class Ending(NamedTuple):
    """How one attempt at a trial ended.

    The service's workers know what they ran; for a training client ``steps_run`` and ``gradient_evaluations`` may be
    None: then the trial's own steps are taken, or, of one that did not run them all, those that it has reported.

    ``steps``: the step count that a trial stands for from now on, whose values these are, where it was followed beyond.
    """

    number: int
    attempt: int
    state: Literal["complete", "failed", "pruned"]
    values: Mapping[str, float] = MappingProxyType({})
    reason: str | None = None
    steps_run: int | None = None
    gradient_evaluations: int | None = None
    outcome: Outcome | None = None
    curves: Sequence[NewPoints] = ()
    steps: int | None = None


@dataclass(frozen=True)
class Tell:
    """One ending, whose teller wants the trial as it then stands."""

    ending: Ending


@dataclass(frozen=True)
class TellMany:
    """Several endings, each judged on its own."""

    endings: Sequence[Ending]


class Judgement(BaseModel):
    """What became of one of several results."""

    model_config = ConfigDict(frozen=True)

    number: int
    code: str | None
    detail: str | None


class Judgements(BaseModel):
    """What became of each of several results, in their order."""

    model_config = ConfigDict(frozen=True)

    results: list[Judgement]


def tell(database: Database, name: str, endings: Sequence[Ending]) -> list[Trial | TunerError]:
    """Settle trials, each judged on its own: the trial as it now stands, or why it was refused.

    Raises:
        StudyNotFound, ReadOnlyStudy: there is nothing to tell.
    """

    def work(connection: Connection) -> list[Trial | TunerError]:
        with open_study(connection, name) as study:
            return [_view(answer) for answer in settle(study, endings)]

    return database.write(work)


def settle(study: OpenStudy, endings: Sequence[Ending]) -> list[TrialRecord | TunerError]:
    """`tell` within a transaction that has opened the study: the trials' rows, or why they were refused."""
    numbers = [ending.number for ending in endings]
    known = trials.get_many(study.connection, study.record.id, list(set(numbers)))
    refusals: dict[int, TunerError] = {}
    settled: dict[int, tuple[TrialRecord, Ending]] = {}
    for position, ending in enumerate(endings):
        try:
            record = _judge(study, known.get(ending.number), ending, settled)
        except TunerError as error:
            refusals[position] = error
            continue
        if record.state not in trials.FINISHED:
            settled.setdefault(record.number, (record, ending))
    stored = known | _settle(study, list(settled.values()))
    return [refusals.get(position) or stored[number] for position, number in enumerate(numbers)]


def settle_all(study: OpenStudy, actions: Sequence[Tell | TellMany]) -> list[Trial | Judgements | TunerError]:
    """What comes in at once, settled as one."""
    endings = [ending for action in actions for ending in _endings(action)]
    answers = iter(settle(study, endings))
    return [
        _view(next(answers))
        if isinstance(action, Tell)
        else Judgements(results=[_judgement(ending.number, next(answers)) for ending in action.endings])
        for action in actions
    ]


def _endings(action: Tell | TellMany) -> Sequence[Ending]:
    return [action.ending] if isinstance(action, Tell) else action.endings


def _view(answer: TrialRecord | TunerError) -> Trial | TunerError:
    return answer if isinstance(answer, TunerError) else answer.view()


def _judgement(number: int, answer: TrialRecord | TunerError) -> Judgement:
    refusal = answer if isinstance(answer, TunerError) else None
    return Judgement(number=number, code=refusal and refusal.code, detail=None if refusal is None else str(refusal))


def _settle(study: OpenStudy, settled: Sequence[tuple[TrialRecord, Ending]]) -> dict[int, TrialRecord]:
    """Write the results, move what they took from reserved to spent, and complete the study if that was the last.

    Returns:
        The trials as they now stand, by number.
    """
    if not settled:
        return {}
    judged = _verdicts(study, settled)
    curves.append(
        study.connection,
        [
            CurveBlock(record.id, record.attempt, points.metric, points.steps, points.values)
            for record, ending in settled
            for points in ending.curves
        ],
    )
    changes = [change | judged[change["id"]] for change in _settlements(study, settled)]
    trials.change_many(study.connection, changes)
    records = [record for record, _ in settled]
    study.add(
        spent_evaluations=sum(change["gradient_evaluations"] for change in changes)
        - sum(record.gradient_evaluations for record in records),
        reserved_evaluations=-sum(record.reserved_evaluations for record in records),
        failed_trials=sum(ending.state == "failed" for _, ending in settled),
    )
    study.complete_if_spent()
    return {record.number: record._replace(**change) for record, change in zip(records, changes, strict=True)}


def _verdicts(study: OpenStudy, settled: Sequence[tuple[TrialRecord, Ending]]) -> dict[int, dict[str, Any]]:
    """What the curves of trials say, as columns, by trial id: what was reported and what comes with the result."""
    reported = [(record.id, record.attempt) for record, _ in settled if record.last_step is not None or record.followed]
    stored = curves.sample(study.connection, reported) if reported else {}
    curvature = verdicts.measured_curvature(study)
    found = {}
    for record, ending in settled:
        known = dict(stored.get(record.id, {}))
        for points in ending.curves:
            parts = [(np.asarray(points.steps, dtype=np.int64), np.asarray(points.values, dtype=np.float64))]
            if points.metric in known:
                parts.insert(0, (known[points.metric].steps, known[points.metric].values))
            known[points.metric] = curves.merge(parts)
        verdict = verdicts.judge_trial(study.definition, record.parameters, known, curvature) if known else None
        found[record.id] = verdicts.columns(verdict)
    return found


def _judge(
    study: OpenStudy,
    record: TrialRecord | None,
    ending: Ending,
    settled: Mapping[int, tuple[TrialRecord, Ending]],
) -> TrialRecord:
    """The trial that an ending may settle, or has settled before with the same result.

    Raises:
        TrialNotFound, LeaseLost, AlreadyTold, InvalidInput: it may not.
    """
    if record is None:
        raise TrialNotFound(f"study {study.record.name!r} has no trial {ending.number}")
    if ending.attempt != record.attempt or record.attempt == 0:
        raise LeaseLost(f"trial {record.number} is at attempt {record.attempt}, not {ending.attempt}")
    first = None
    if record.state in trials.FINISHED:
        first = (record.state, record.values or {}, record.reason)
    elif record.number in settled:
        first = _result(record, settled[record.number][1])
    if first is not None and first != _result(record, ending):
        raise AlreadyTold(f"trial {record.number} is {first[0]} already, with another result")
    goal = study.definition.goal
    if ending.state == "complete" and goal.metric not in ending.values:
        raise InvalidInput.at(f"values.{goal.metric}", "is missing: it is the study's goal")
    if ending.state == "complete" and goal.is_about_steps and _steps_run(record, ending) is None:
        raise InvalidInput.at(
            f"values.{goal.metric}", "after how many steps? Report it with its step before, or search over steps"
        )
    return record


def _settlements(study: OpenStudy, settled: Sequence[tuple[TrialRecord, Ending]]) -> list[dict[str, Any]]:
    """The columns that finished trials get. Their curves are stored already."""
    told = [
        Told(record, ending.values, _steps_run(record, ending) if ending.steps is None else ending.steps)
        for record, ending in settled
    ]
    ranked = objective_values(study.connection, study.definition.goal, told)
    changes = [
        _settlement(study, record, ending, value) for (record, ending), value in zip(settled, ranked, strict=True)
    ]
    if any(ending.steps is not None for _, ending in settled):
        for change, (record, ending) in zip(changes, settled, strict=True):
            steps = {} if ending.steps is None else {"steps": ending.steps}
            change["parameters"] = {**record.parameters, **steps}
    return changes


def _settlement(study: OpenStudy, record: TrialRecord, ending: Ending, objective_value: float | None) -> dict[str, Any]:
    steps_run = _steps_run(record, ending)
    # Only our own workers say how a descent ended, and report every step of it.
    by_a_worker = study.definition.objective is not None and ending.outcome is not None
    if ending.gradient_evaluations is not None:
        evaluations = ending.gradient_evaluations
    elif steps_run is not None:
        evaluations = budget.cost_of_steps(study.definition, steps_run)
    else:
        evaluations = 0
    if record.state == "waiting":
        # A late result: what its attempt had reported was counted when it lost the lease.
        evaluations = max(0, evaluations - study.reported_evaluations(record))
    return {
        "id": record.id,
        "state": ending.state,
        "values": _encoded(ending.values),
        "objective_value": objective_value,
        "steps_run": steps_run,
        "descent": descent_of(record.parameters) if by_a_worker and ending.state == "complete" else None,
        "gradient_evaluations": record.gradient_evaluations + evaluations,
        "reserved_evaluations": 0,
        "outcome": ending.outcome,
        "reason": _reason(record, ending),
        "lease_expires_at": None,
        "finished_at": study.moment,
        "updated_at": study.moment,
        "sequence": study.sequence,
    }


def _steps_run(record: TrialRecord, ending: Ending) -> int | None:
    """How many steps were run, as far as it is known: all of a complete trial that nobody asked to stop."""
    if ending.steps_run is not None:
        return ending.steps_run
    steps = record.parameters.get("steps")
    if ending.state == "complete" and record.stop_reason is None and isinstance(steps, int):
        return steps
    return record.last_step


def _result(record: TrialRecord, ending: Ending) -> tuple[str, dict[str, float | str], str | None]:
    """What makes two endings of a trial the same result."""
    return ending.state, _encoded(ending.values), _reason(record, ending)


def _reason(record: TrialRecord, ending: Ending) -> str | None:
    """Why it ended so: what its teller says, or what its teller was told."""
    return record.stop_reason if ending.reason is None and ending.state == "pruned" else ending.reason


def _encoded(values: Mapping[str, float]) -> dict[str, float | str]:
    return {metric: encode_float(float(value)) for metric, value in values.items()}
