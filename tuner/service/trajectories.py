"""Trials as trajectories: what each was worth after every number of steps, as far as it is stored.

A run of n steps contains every shorter one, so one stored curve answers for as many step counts as it has points, at no
further gradient evaluation. What is read here are the complete and the pruned trials, but not excluded ones; of a long
study an even part of them, so that reading stays within bounds.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tuner.goal import Direction
from tuner.storage import curves, points, studies, trials
from tuner.storage.curves import Curve
from tuner.storage.database import Connection, Database
from tuner.storage.studies import StudyRecord
from tuner.trial import ParameterValue

MOST_TRIALS = 5000
MOST_POINTS = 50_000_000
"""Trials that are looked at, and points of their curves, together."""

_REPORTED = 10_000
"""Points that a training client's curve is taken to have at most, however many steps it was of."""

_POINTS_AT_ONCE = 2_000_000
_TRIALS_AT_ONCE = 200


@dataclass(frozen=True)
class Trajectory:
    """The metric of a trial: values (n,) after steps (n,), which ascend; n ≥ 1."""

    number: int
    parameters: Mapping[str, ParameterValue]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Survey:
    """Which trajectories of a study are looked at.

    metric, direction: what they are of, and which way it is better. numbers: of their trials, ascending; ``finished``
    is how many there are to choose from. lengths: their steps.
    """

    study: StudyRecord
    metric: str
    direction: Direction
    numbers: Sequence[int]
    lengths: Sequence[int]
    finished: int

    @property
    def most_steps(self) -> int:
        """The steps of the longest of them; 0 where there is none."""
        return max(self.lengths, default=0)


def survey(database: Database, name: str) -> Survey:
    """The trajectories of a study that are looked at: all, or as many as the bounds allow, evenly over their numbers.

    Raises:
        StudyNotFound: there is none.
    """
    return database.read(partial(_survey, name=name))


def _survey(connection: Connection, name: str) -> Survey:
    study = studies.get(connection, name)
    found = points.read(connection, study)
    finished = found.at(((found.state == "complete") | (found.state == "pruned")) & ~found.excluded)
    count = len(finished)
    lengths = np.nan_to_num(finished.steps_run).astype(np.int64)
    size = float(_sizes(study, lengths).sum())
    most = min(MOST_TRIALS, int(count * min(1.0, MOST_POINTS / max(size, 1))) or 1, count)
    chosen = np.linspace(0, count - 1, most).astype(int)
    return Survey(
        study=study,
        metric=study.curve_metric,
        direction=study.curve_direction,
        numbers=finished.number[chosen].tolist(),
        lengths=lengths[chosen].tolist(),
        finished=count,
    )


def chosen(database: Database, name: str, numbers: Sequence[int]) -> Survey:
    """The trajectories of these trials, those that exist, whatever their state.

    Raises:
        StudyNotFound: there is none.
    """

    def work(connection: Connection) -> Survey:
        study = studies.get(connection, name)
        found = sorted(trials.get_many(connection, study.id, numbers).values(), key=lambda record: record.number)
        return Survey(
            study=study,
            metric=study.curve_metric,
            direction=study.curve_direction,
            numbers=[record.number for record in found],
            lengths=[record.steps_run or record.last_step or 0 for record in found],
            finished=len(found),
        )

    return database.read(work)


def values_of(database: Database, seen: Survey, parameter: str) -> dict[int, float]:
    """The number that each trial has for a parameter, by the trial's own; those that have none are missing."""

    def work(connection: Connection) -> dict[int, float]:
        found = points.read(connection, studies.get_by_id(connection, seen.study.id))
        values = dict(zip(found.number.tolist(), found.of(parameter).tolist(), strict=True))
        return {number: values[number] for number in seen.numbers if math.isfinite(values.get(number, math.nan))}

    return database.read(work)


def read(database: Database, seen: Survey) -> Iterator[Trajectory]:
    """The trajectories, by number; those without a single point are passed over.

    Each part is a snapshot of its own: one that is held for long would keep the database from cleaning up, and finished
    trials do not change.
    """
    for numbers in _parts(seen):
        yield from database.read(partial(_read, study_id=seen.study.id, numbers=numbers, metric=seen.metric))


def _parts(seen: Survey) -> Iterator[list[int]]:
    part: list[int] = []
    together = 0
    sizes = _sizes(seen.study, np.array(seen.lengths, dtype=np.int64)).tolist()
    for number, size in zip(seen.numbers, sizes, strict=True):
        if part and (len(part) == _TRIALS_AT_ONCE or together + size > _POINTS_AT_ONCE):
            yield part
            part, together = [], 0
        part.append(number)
        together += size
    if part:
        yield part


def _sizes(study: StudyRecord, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """About how many points curves of so many steps have."""
    return steps + 1 if study.objective is not None else np.minimum(steps + 1, _REPORTED)


def _read(connection: Connection, *, study_id: int, numbers: Sequence[int], metric: str) -> list[Trajectory]:
    records = trials.get_many(connection, study_id, numbers)
    stored = curves.read_many(connection, [(one.id, one.attempt) for one in records.values()], metric=metric)
    found = []
    for number in numbers:
        if number in records:
            record = records[number]
            value = None if record.metrics is None else record.metrics.get(metric)
            curve = ending_at(stored.get(record.id, {}).get(metric), record.result_step, value)
            if curve is not None and len(curve.steps):
                found.append(Trajectory(number, record.parameters, curve.steps, curve.values))
    return found


def ending_at(curve: Curve | None, step: int | None, value: float | None) -> Curve | None:
    """A curve with the value that was told of a step, most often its last, which is of that step the latest word."""
    if step is None or value is None:
        return curve
    if curve is None:
        return Curve(np.array([step]), np.array([value]))
    place = int(np.searchsorted(curve.steps, step))
    if place < len(curve.steps) and curve.steps[place] == step:
        values = curve.values.copy()
        values[place] = value
        return Curve(curve.steps, values)
    return Curve(np.insert(curve.steps, place, step), np.insert(curve.values, place, value))
