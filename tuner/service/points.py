"""A study's trials as columns, and what it takes to draw them: what they are worth, the best, the rate's limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuner.definition import StudyDefinition
from tuner.goal import Direction
from tuner.service import stability
from tuner.service.studies import address_of
from tuner.space import Choices, FloatRange, IntRange
from tuner.storage import improvements, points, studies, trials
from tuner.storage.database import Connection, Database
from tuner.storage.points import Floats, Points
from tuner.storage.studies import StudyRecord

STEPS, RATE = "steps", "learning_rate"

SHARPER = 0.98
"""Below which share of the limit at the start that along the best run is another: nearer ones are the same measured
twice."""


class Limit(NamedTuple):
    """The rate from which on descent is unstable, and how that is known, in words."""

    rate: float
    source: str


class Standing(NamedTuple):
    """Which study an address means, and by which number of its writes it is as it is."""

    study_id: int
    sequence: int
    active: bool


@dataclass(frozen=True)
class StudyPoints:
    """The trials of a study, as of ``sequence``. ``definition`` is None where an Optuna program made the study.

    ``metric`` and ``direction`` are what ``points.value`` is of, and which way it is better; ``ranked`` says whether
    one trial can be the best, as none is of a trade-off. ``began`` is when the first trial started, in seconds since
    1970. ``limits``: the rate's, as far as they are known, that at the start first.
    """

    address: str
    sequence: int
    active: bool
    definition: StudyDefinition | None
    metric: str
    direction: Direction
    ranked: bool
    began: float | None
    points: Points
    limits: Sequence[Limit] = ()

    @property
    def limit(self) -> Limit | None:
        """The rate's limit that counts from the first step on, or what is known instead."""
        return self.limits[0] if self.limits else None

    @property
    def target(self) -> float | None:
        """The value of the metric that is to be reached in the fewest steps, where that is the goal."""
        return None if self.definition is None else self.definition.goal.target

    @property
    def rising(self) -> bool:
        """Whether a greater value is the better one. Fewer steps to a target are, whichever way its metric goes."""
        return self.direction == "maximize" and self.target is None

    @cached_property
    def worth(self) -> Floats:
        """What each trial is worth: its value, or of one that was stopped before it told one the best it reported."""
        value = self.points.value
        if self.target is not None:
            return value
        stopped = (self.points.state == "pruned") & np.isnan(value)
        return np.where(stopped, self.points.best_value, value)

    @cached_property
    def judged(self) -> NDArray[np.bool_]:
        """The trials that have a result, if one that is not finite, and are not excluded."""
        state = self.points.state
        told: NDArray[np.bool_] = (state == "complete") | ((state == "pruned") & np.isfinite(self.worth))
        return told & ~self.points.excluded

    @cached_property
    def ranks(self) -> Floats:
        """A key for each trial, smaller the better; infinite where it cannot be the best."""
        counts = (self.points.state == "complete") & ~self.points.excluded & np.isfinite(self.points.value)
        return np.where(counts, -self.points.value if self.rising else self.points.value, np.inf)

    @property
    def best(self) -> int | None:
        """The place of the best trial, the earliest among equals; None where there is none."""
        if not self.ranked or not np.isfinite(self.ranks).any():
            return None
        return int(np.argmin(self.ranks))

    @property
    def rate(self) -> str | None:
        """The parameter that stands for the rate: ``learning_rate``, or what comes nearest to it."""
        names = [name for name in self.points.parameters if name != STEPS]
        if RATE in names or not names:
            return RATE if RATE in names else None
        alike = [name for name in names if {"lr", "eta", "rate"} & set(name.lower().replace("-", "_").split("_"))]
        floats = [name for name in names if isinstance(self._space.get(name), FloatRange)]
        return (alike or floats or names)[0]

    @property
    def steps(self) -> Floats:
        """The steps of each trial: those it was to run, or those it has; NaN where neither is known."""
        return np.where(np.isnan(self.points.of(STEPS)), self.points.steps_run, self.points.of(STEPS))

    def logarithmic(self, parameter: str) -> bool:
        """Whether a parameter is searched on a log scale; of one that no search space knows, whether it spans tens."""
        match self._space.get(parameter):
            case FloatRange(scale=scale) | IntRange(scale=scale):
                return scale == "log"
            case _:
                return spans_decades(self.points.of(parameter))

    @property
    def _space(self) -> Mapping[str, FloatRange | IntRange | Choices]:
        return {} if self.definition is None else self.definition.search_space


def spans_decades(values: Floats) -> bool:
    """Whether finite values are all positive and their largest is more than ten times their smallest."""
    known = values[np.isfinite(values)]
    return bool(known.size and known.min() > 0 and known.max() / 10 > known.min())


def standing(database: Database, name: str) -> Standing:
    """Where a study stands: as long as that is the same, so is all that is read of its trials.

    Raises:
        StudyNotFound: there is none.
    """

    def work(connection: Connection) -> Standing:
        record = studies.get(connection, name)
        return Standing(record.id, record.sequence, record.state == "active")

    return database.read(work)


def read(database: Database, name: str) -> StudyPoints:
    """The trials of a study.

    Raises:
        StudyNotFound: there is none.
    """
    return database.read(partial(_read, name=name))


def _read(connection: Connection, *, name: str) -> StudyPoints:
    record = studies.get(connection, name)
    found = points.read(connection, record)
    return StudyPoints(
        address=address_of(record.id, record.name),
        sequence=record.sequence,
        active=record.state == "active",
        definition=record.definition,
        metric=record.curve_metric,
        direction=record.curve_direction,
        ranked=len(record.directions) == 1,
        began=None if record.started_at is None else record.started_at.timestamp(),
        points=found,
        limits=_limits(connection, record, found),
    )


def _limits(connection: Connection, record: StudyRecord, found: Points) -> list[Limit]:
    """As they were measured; or else as the diverged trial of the lowest rate, which is the nearest to it, tells."""
    at_start, along_best = stability.measured_limits(connection, record)
    measured = [] if at_start is None else [Limit(at_start, "measured at the start")]
    if along_best is not None and (at_start is None or along_best < SHARPER * at_start):
        measured.append(Limit(along_best, "measured along the best run"))
    if measured:
        return measured
    rates = np.where(found.verdict == "diverged", found.of(RATE), np.nan)
    if np.isnan(rates).all():
        return []
    number = int(found.number[np.nanargmin(rates)])
    evidence = trials.get(connection, record.id, number).evidence or {}
    return [Limit(evidence["limit"], f"told by how trial {number} diverged")] if "limit" in evidence else []


def improvements_of(database: Database, names: Sequence[str]) -> dict[str, list[tuple[int, float]]]:
    """The best so far of some studies, by their address: each trial that was better than those before it.

    Told cheaply of studies of any length: see `storage.improvements`. A study that is gone is left out.
    """

    def work(connection: Connection) -> dict[str, Any]:
        found = {address_of(one.id, one.name): one for one in studies.of_addresses(connection, names)}
        return {name: improvements.read(connection, found[name]) for name in names if name in found}

    return database.read(work)
