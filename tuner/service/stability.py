"""Use cases of stability: a study's curvature at its start and along its best run, and how near the edge trials sat.

Measuring takes gradient evaluations and is asked for; reading what was measured takes none.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tuner import objectives
from tuner.analysis import stability
from tuner.definition import StudyDefinition
from tuner.descent import Descent, Method, Row
from tuner.errors import BudgetSpent, ExternalStudy, InvalidInput, ObjectiveFailed
from tuner.objectives import Array, Objective
from tuner.service import budget
from tuner.service.idempotency import Key
from tuner.service.measuring import measure as measured_on
from tuner.service.open_study import definition_of
from tuner.service.paging import page_number
from tuner.storage import measurements, ranked, studies, trials
from tuner.storage.database import Connection, Database
from tuner.storage.measurements import Measurement
from tuner.storage.studies import StudyRecord
from tuner.storage.trials import TrialRecord
from tuner.strict import Choice, Seed, Strict
from tuner.trial import ParameterValue, WireFloat

KIND = "curvature"
"""What a measured curvature is among a study's measurements."""

LEAST_EVALUATIONS = 4
"""Gradient evaluations a point of which something can be told: two products in single precision."""


class StabilityEffort(Strict):
    """How much to measure.

    ``points`` along the best run, each after twice the steps of the one before: where there are four, after an eighth,
    a quarter, a half and all of them. ``evaluations_per_point``: gradient evaluations that a point may take.
    """

    points: Annotated[int, Field(ge=0, le=16)] = 4
    evaluations_per_point: Annotated[int, Field(ge=LEAST_EVALUATIONS, le=1000)] = stability.MOST_EVALUATIONS


class StabilityProbe(Strict):
    """Where and for which method to measure a registered objective: at its start, as ``initial_seed`` draws it."""

    settings: dict[str, Any] = Field(default_factory=dict)
    initial_seed: Seed = 0
    parameters: dict[str, Choice] = Field(default_factory=dict)
    evaluations: Annotated[int, Field(ge=LEAST_EVALUATIONS, le=10_000)] = stability.MOST_EVALUATIONS


class Curvature(BaseModel):
    """The curvature at one point: the largest Hessian eigenvalue L, and what is known of its error.

    ``smallest`` is the smallest eigenvalue that was seen, an upper bound of the true one. ``reason`` says why
    ``largest`` is null or has not converged.
    """

    model_config = ConfigDict(frozen=True)

    step: int
    largest: float | None
    smallest: float | None
    relative_error: WireFloat | None
    converged: bool
    gradient_evaluations: int
    reason: str | None


class MeasuredCurvature(BaseModel):
    """Curvatures of a study: at the start x_0, and along a run of its best trial at that time.

    ``gradient_evaluations`` are all that it took: to measure, and to run the trial once more to each point.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    created_at: datetime
    at_start: Curvature
    trial: int | None
    along_best: list[Curvature]
    gradient_evaluations: int


class TrialStability(BaseModel):
    """How far a trial sat from the limit of its update rule: below a ratio of 1 it is stable there.

    ``limit`` is that at the start, ``limit_along_best`` the smallest met along the best run. Null where nothing bounds
    the rate: the curvature is not positive or not measured, or the rule scales its steps by past gradients.
    """

    number: int
    learning_rate: float
    limit: float | None
    ratio: float | None
    limit_along_best: float | None
    ratio_along_best: float | None


class Stability(BaseModel):
    """What was measured last of a study's curvature, the limits that it sets, and how far each trial sat from them.

    ``limit`` and ``limit_along_best`` are for the method that the study fixes; null where it searches it.
    """

    measured: MeasuredCurvature | None
    limit: float | None
    limit_along_best: float | None
    statement: str
    trials: list[TrialStability]
    next_page_token: str | None


class ObjectiveStability(BaseModel):
    """The curvature of a registered objective at its start, and the limit that it sets to a method's rate."""

    curvature: Curvature
    parameters: dict[str, ParameterValue]
    limit: float | None
    statement: str


def of_objective(name: str, probe: StabilityProbe) -> ObjectiveStability:
    """Measure the curvature of a registered objective at its start.

    Raises:
        ObjectiveNotFound: there is none of that name.
        InvalidInput: something of it cannot be; the field is named.
        ObjectiveFailed: the objective raised or answered wrong shapes.
    """
    objective = objectives.create(name, probe.settings)
    method = _method(probe.parameters)
    found = stability.measure(
        objective, objectives.start(objective, probe.initial_seed), most_evaluations=probe.evaluations
    )
    limit = _limit(method, found.largest)
    return ObjectiveStability(
        curvature=_curvature(0, found),
        parameters=method.parameters,
        limit=limit,
        statement=_statement(method, found.largest, limit, found.reason),
    )


def measure(database: Database, name: str, effort: StabilityEffort, key: Key | None = None) -> MeasuredCurvature:
    """Measure a study's curvature at its start and along its best run, store it, and charge the study what it took.

    The best run is made once more, since parameters are not kept: as many gradient evaluations as it has steps. Of a
    trade-off there is none: the start alone is measured.

    Raises:
        ExternalStudy: the study has no registered objective.
        BudgetSpent: its budget does not afford it.
        ObjectiveFailed: the objective raised or answered wrong shapes.
    """

    def look(connection: Connection) -> tuple[StudyDefinition, _BestRun | None, int | None]:
        record = studies.get(connection, name)
        definition = definition_of(record)
        if definition.objective is None:
            raise ExternalStudy(f"study {name!r} has no registered objective: only who trains it can measure it")
        best = ranked.best_of(connection, record)
        run = None if best is None else _BestRun(best.number, best.parameters, _steps(definition, best))
        return definition, run, budget.allowance(definition, record).evaluations

    definition, best, left = database.read(look)
    choice = definition.objective
    assert choice is not None  # noqa: S101 (`look` saw to it)
    steps = [] if best is None else best.points(effort.points)
    rerun = steps[-1] + 1 if steps else 0
    each = effort.evaluations_per_point
    if left is not None:
        each = min(each, (left - rerun) // (len(steps) + 1))
        if each < LEAST_EVALUATIONS:
            least = rerun + LEAST_EVALUATIONS * (len(steps) + 1)
            raise BudgetSpent(f"this takes at least {least} gradient evaluations; the budget of {name!r} leaves {left}")
    objective = objectives.create(choice.name, choice.settings)

    def run() -> tuple[Any, int]:
        origin = objectives.start(objective, choice.initial_seed)
        points = [] if best is None else best.parameters_at(objective, choice.initial_seed, steps)
        found = stability.measure_all(objective, np.stack([origin, *points]), most_evaluations=each)
        taken = rerun + sum(one.gradient_evaluations for one in found)
        curvatures = [_curvature(step, one) for step, one in zip([0, *steps], found, strict=True)]
        document = {
            "at_start": curvatures[0].model_dump(mode="json"),
            "trial": None if best is None else best.number,
            "along_best": [one.model_dump(mode="json") for one in curvatures[1:]],
        }
        return document, taken

    most = rerun + each * (len(steps) + 1)
    return measured_on(database, name, KIND, most=most, run=run, view=_view, model=MeasuredCurvature, key=key)


def read(database: Database, name: str, *, page_size: int = 100, page_token: str | None = None) -> Stability:
    """What was measured last, and how far each trial sat from its limit, a page of trials by number at a time.

    Raises:
        ExternalStudy: the study has no registered objective.
        InvalidInput: the page token is none of ours.
    """
    after = page_number(page_token)

    def work(connection: Connection) -> Stability:
        record = studies.get(connection, name)
        definition = definition_of(record)
        if definition.objective is None:
            raise ExternalStudy(f"study {name!r} has no registered objective: only who trains it can measure it")
        found = [_view(one) for one in measurements.page(connection, record.id, KIND)]
        measured = found[0] if found else None
        records = trials.page(connection, record.id, states=None, updated_after=None, after=after, size=page_size + 1)
        more = len(records) > page_size
        records = records[:page_size]
        method = _fixed_method(definition)
        sharpest = _sharpest(measured)
        at_start = None if measured is None else measured.at_start.largest
        limit = None if method is None else _limit(method, at_start)
        if measured is None:
            statement = "The curvature has not been measured yet."
        elif method is None:
            statement = "The study searches the update rule or its settings: each trial has a limit of its own."
        else:
            statement = _statement(method, at_start, limit, measured.at_start.reason)
        return Stability(
            measured=measured,
            limit=limit,
            limit_along_best=None if method is None else _limit(method, sharpest),
            statement=statement,
            trials=[_of_trial(one.number, one.parameters, at_start, sharpest) for one in records],
            next_page_token=str(records[-1].number) if more else None,
        )

    return database.read(work)


def measured_limits(connection: Connection, record: StudyRecord) -> tuple[float | None, float | None]:
    """The limits of a study's rate as they were measured last: at the start, and the smallest met along its best run.

    By `measure`, or that at the start by the study's search. None where nobody has, where the study searches its method
    and each trial has its own, or where nothing bounds the rate.
    """
    if record.definition is None or record.objective is None:
        return None, None
    method = _fixed_method(record.definition)
    if method is None:
        return None, None
    found = [_view(one) for one in measurements.page(connection, record.id, KIND)]
    if found:
        return _limit(method, found[0].at_start.largest), _limit(method, _sharpest(found[0]))
    probes = measurements.page(connection, record.id, measurements.PROBE)
    return (_limit(method, probes[0].result.get("largest")) if probes else None), None


def _steps(definition: StudyDefinition, best: TrialRecord) -> int:
    """How far the best run is worth following: beyond the goal's target it may have left the finite numbers."""
    reached = best.objective_value if definition.goal.target is not None else best.result_step
    return int(reached or 0)


class _BestRun:
    """The run of a study's best trial, and where along it to look."""

    def __init__(self, number: int, parameters: Mapping[str, Any], steps: int) -> None:
        self.number = number
        self._parameters = parameters
        self._steps = steps

    def points(self, count: int) -> list[int]:
        """Up to so many steps, each twice as far as the one before, the last the run's own."""
        return sorted({self._steps >> halvings for halvings in range(count)} - {0})

    def parameters_at(self, objective: Objective, initial_seed: int, steps: list[int]) -> list[Array]:
        """The parameters at these steps, ascending, of the run made once more."""
        method = Method.of_trial(self._parameters)
        descent = Descent(
            objective,
            [Row(float(self._parameters["learning_rate"]), self._steps, method.settings)],
            update_rule=method.update_rule,
            batch_size=method.batch_size,
            initial_seed=initial_seed,
            seed=initial_seed,
        )
        found = []
        descent.advance(0)
        at = 0
        for step in steps:
            descent.advance(step - at)
            at = step
            checkpoint = descent.result(0).checkpoint
            # It was finite when it was told; an objective that is not the same twice may end elsewhere.
            if checkpoint is None:
                raise ObjectiveFailed(f"trial {self.number} does not run as it did: it left the finite numbers")
            found.append(checkpoint.parameters)
        return found


def _of_trial(
    number: int, parameters: Mapping[str, Any], at_start: float | None, sharpest: float | None
) -> TrialStability:
    rate = float(parameters["learning_rate"])
    method = Method.of_trial(parameters)
    limit, limit_along_best = _limit(method, at_start), _limit(method, sharpest)
    return TrialStability(
        number=number,
        learning_rate=rate,
        limit=limit,
        ratio=None if limit is None else rate / limit,
        limit_along_best=limit_along_best,
        ratio_along_best=None if limit_along_best is None else rate / limit_along_best,
    )


def _sharpest(measured: MeasuredCurvature | None) -> float | None:
    """The largest curvature met along the best run."""
    if measured is None:
        return None
    met = [one.largest for one in (measured.at_start, *measured.along_best) if one.largest is not None]
    return max(met, default=None) if measured.along_best else None


def _fixed_method(definition: StudyDefinition) -> Method | None:
    """How every trial of the study moves; None where that is searched."""
    fixed = definition.fixed_parameters
    searched = definition.search_space.keys() - fixed.keys() - {"learning_rate", "steps", "batch_size"}
    return None if searched else Method.of_trial(fixed)


def _method(parameters: Mapping[str, Any]) -> Method:
    try:
        return Method.of(parameters)
    except InvalidInput as error:
        raise error.within("parameters") from None


def _limit(method: Method, curvature: float | None) -> float | None:
    return None if curvature is None else stability.limit(method.update_rule, method.settings, curvature)


def _statement(method: Method, curvature: float | None, limit: float | None, reason: str | None) -> str:
    rule = method.update_rule.replace("_", " ")
    doubt = "" if reason is None else f" This has not converged: {reason}."
    if curvature is None:
        return f"The curvature could not be measured: {reason}."
    if curvature <= 0:
        return f"The loss curves nowhere upwards at the start: nothing there bounds the rate.{doubt}"
    if limit is None:
        return (
            f"The largest curvature is {curvature:.4g}. It sets no limit to {rule}, which scales its steps by past "
            f"gradients.{doubt}"
        )
    return (
        f"The largest curvature is {curvature:.4g}: {rule} is stable at the start below a rate of {limit:.4g}.{doubt}"
    )


def _curvature(step: int, found: stability.Curvature) -> Curvature:
    return Curvature(step=step, **vars(found))


def _view(measurement: Measurement) -> MeasuredCurvature:
    return MeasuredCurvature(
        **measurement.result,
        id=measurement.id,
        created_at=measurement.created_at,
        gradient_evaluations=measurement.gradient_evaluations,
    )
