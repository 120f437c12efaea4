"""The loss surface of a registered objective around the descents of some trials, or of rates that somebody tries.

Parameters are not stored, so the descents are run again, which gives the same paths; and every point of the grid is an
evaluation of the objective. What that takes is counted and said, and charged to no study: a study's budget is what its
search may spend, and looking at it must not end it. It is bounded by `MOST_EVALUATIONS` and the resolution.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tuner import objectives
from tuner.analysis import stability
from tuner.analysis.landscape import Landscape, Path, follow, landscape, turns_back
from tuner.analysis.telling_rates import telling_rates
from tuner.analysis.verdict import Name, judge
from tuner.definition import ObjectiveChoice
from tuner.descent import RULES, Method, Row
from tuner.errors import ExternalStudy, InvalidInput, NoResult
from tuner.limits import MOST_PATHS
from tuner.objectives import Array, KnownCurvature, KnownMinimum, Objective
from tuner.service.open_study import definition_of
from tuner.storage import ranked, studies, trials
from tuner.storage.database import Connection, Database
from tuner.storage.studies import StudyRecord
from tuner.storage.trials import TrialRecord
from tuner.trial import Outcome, ParameterValue, WireFloat

FIRST_TRIALS = 200
"""Trials of a study, its first ones, among which `telling_trials` looks."""

MOST_EVALUATIONS = 20_000
"""Gradient evaluations of all paths together, at most: longer ones are cut, each to an equal share."""


class LandscapeAxis(BaseModel):
    """One axis of the grid. ``explained`` is the share of the paths' squared length along it; null for a parameter."""

    label: str
    values: list[float]
    explained: float | None


class LandscapePath(BaseModel):
    """One descent: after ``steps[i]`` steps it was at ``coordinates[i]`` (one an axis), and the loss was ``losses[i]``.

    Points that are not finite are left out; ``outcome`` says how the descent ended. ``cut`` says that it was not run to
    its end here. ``turns_back`` is the share of its updates that go against the one before: near 1 it jumps to and
    fro. ``verdict`` and ``advice`` are the trial's; of a descent that is no trial, what its loss curve says.
    """

    number: int | None = Field(description="The trial's number; null for a descent that is no trial.")
    parameters: dict[str, ParameterValue]
    steps: list[int]
    coordinates: list[list[float]]
    losses: list[float]
    outcome: Outcome | None
    cut: bool
    turns_back: float | None
    verdict: str | None
    advice: str | None


class LandscapeMinimum(BaseModel):
    """What is known of the smallest loss. On a plane in more than two dimensions ``coordinates`` are a projection."""

    loss: float | None
    coordinates: list[float] | None


class LandscapeView(BaseModel):
    """Losses on a grid: ``values[i][j]`` at ``axes[1].values[i]`` and ``axes[0].values[j]``; one axis has a single row.

    ``minimum`` is null where nothing is known of it. ``gradient_evaluations`` is what it took to make; no study is
    charged with it.
    """

    model_config = ConfigDict(frozen=True)

    objective: str
    axes: list[LandscapeAxis]
    values: list[list[WireFloat]]
    paths: list[LandscapePath]
    minimum: LandscapeMinimum | None
    gradient_evaluations: int


class ObjectivePreview(LandscapeView):
    """Descents that are tried. ``limit`` is the rate from which on their method is unstable at the start.

    It is null where nothing bounds the rate, or where it could not be measured.
    """

    limit: float | None


@dataclass(frozen=True)
class _Wanted:
    """A descent to be drawn, and what has been said of it."""

    number: int | None
    parameters: Mapping[str, Any]
    steps: int
    verdict: str | None = None
    advice: str | None = None

    @property
    def shared(self) -> tuple[str, int]:
        """What descents that run together have in common; 0 is the full gradient."""
        return str(self.parameters.get("update_rule", "gradient_descent")), int(self.parameters.get("batch_size", 0))


def of_study(
    database: Database, name: str, *, numbers: Sequence[int] | None = None, resolution: int = 41
) -> LandscapeView:
    """The landscape around the descents of these trials; without any, around the best one's.

    Raises:
        StudyNotFound, ObjectiveNotFound: there is none.
        ReadOnlyStudy, ExternalStudy: the service cannot evaluate the study's objective.
        NoResult: no trials are named, and there is no best one.
        InvalidInput: at ``trials``: one does not exist or is no descent, or they are too many.
        ObjectiveFailed: the objective raised or answered wrong shapes.
    """
    choice, records = database.read(partial(_chosen, name=name, numbers=numbers))
    wanted = [_Wanted(one.number, one.parameters, _steps(one), one.verdict, one.advice) for one in records]
    objective = objectives.create(choice.name, choice.settings)
    return LandscapeView(**_view(objective, choice, wanted, resolution)[0])


def telling_trials(database: Database, name: str) -> list[int]:
    """Trials whose descents side by side show what the rate does: the best, and up to one of each that went wrong.

    Of those that creep it is the slowest, of those that swing the fastest, of those that diverge the slowest, among the
    first trials of the study: those look far apart. Where there are none of these and no best one, the first finished.

    Raises:
        StudyNotFound: there is none.
        ReadOnlyStudy, ExternalStudy: the service cannot evaluate the study's objective.
        NoResult: no trial is finished.
    """

    def work(connection: Connection) -> list[int]:
        study, _ = _registered(connection, name)
        first = trials.page(connection, study.id, states=None, updated_after=None, after=None, size=FIRST_TRIALS)
        found = [one for one in first if one.steps_run and {"learning_rate", "steps"} <= one.parameters.keys()]
        found.sort(key=lambda one: float(one.parameters["learning_rate"]))
        best = ranked.best_of(connection, study) if len(study.directions) == 1 else _best_value(study, found)
        creeping = [one for one in found if one.verdict == Name.TOO_SLOW]
        swinging = [one for one in found if one.verdict in {Name.OSCILLATING, Name.PLATEAUED}]
        diverging = [one for one in found if one.verdict == Name.DIVERGED]
        chosen = [best, *creeping[:1], *swinging[-1:], *diverging[:1]] if best else found[:1]
        numbers = [one.number for one in chosen if one is not None]
        if not numbers:
            raise NoResult(f"study {study.name!r} has no finished trial to look at")
        return list(dict.fromkeys(numbers))

    return database.read(work)


def _best_value(study: StudyRecord, found: Sequence[TrialRecord]) -> TrialRecord | None:
    """Of a trade-off no trial is the best; that of the best value shows as well what a rate does."""
    sign = -1.0 if study.curve_direction == "maximize" else 1.0
    values = [(one.metrics or {}).get(study.curve_metric, math.nan) for one in found]
    order = [
        (sign * value, one.number, one)
        for value, one in zip(values, found, strict=True)
        if math.isfinite(value) and one.state == "complete" and not one.excluded
    ]
    return min(order)[-1] if order else None


def preview(
    choice: ObjectiveChoice,
    rates: Sequence[float] | None,
    *,
    steps: int,
    method: Mapping[str, Any],
    resolution: int | None = 41,
) -> ObjectivePreview:
    """The landscape around a few descents that are no trials, all of the same method.

    Without rates, those that show what a learning rate does (`TellingRates`), the right one first. ``method`` is as a
    trial's parameters have it; resolution None: no grid, the descents alone.

    Raises:
        ObjectiveNotFound: there is none of that name.
        InvalidInput: at ``settings.<name>`` of the objective, ``update_rule``, or a setting that the rule has not; at
            ``learning_rates``, where none are named and nothing bounds them.
        ObjectiveFailed: the objective raised or answered wrong shapes.
    """
    moves = _method(method)
    objective = objectives.create(choice.name, choice.settings)
    limit, spent = _limit(objective, choice.initial_seed, moves)
    if rates is None:
        if limit is None:
            raise InvalidInput.at("learning_rates", "must be named: nothing bounds the rate, so none can be chosen")
        telling, more = telling_rates(objective, limit, steps, method=moves, initial_seed=choice.initial_seed)
        rates, spent = [rate for rate in telling if rate is not None], spent + more
    wanted = [_Wanted(None, {"learning_rate": rate, "steps": steps, **moves.parameters}, steps) for rate in rates]
    view, paths = _view(objective, choice, wanted, resolution)
    for rate, shown, path in zip(rates, view["paths"], paths, strict=True):
        verdict = judge(
            path.curve.values,
            learning_rate=rate,
            limit=limit,
            plain=moves.update_rule == "gradient_descent",
            stochastic=False,
        )
        shown.verdict, shown.advice = str(verdict.name), verdict.advice
    view["gradient_evaluations"] += spent
    return ObjectivePreview(**view, limit=limit)


def sketch(choice: ObjectiveChoice, *, steps: int, resolution: int, most_seconds: float) -> ObjectivePreview | None:
    """The landscape around the one rate that is right, small; None where that takes long or there is none.

    How long it takes is guessed from a few calls of the objective, which is all that a slow one costs.

    Raises:
        ObjectiveNotFound, InvalidInput, ObjectiveFailed: as `preview`.
    """
    objective = objectives.create(choice.name, choice.settings)
    origin = objectives.start(objective, choice.initial_seed)
    with np.errstate(all="ignore"):
        quickest = min(_seconds(objective, np.tile(origin, (resolution, 1))) for _ in range(3))
    # A row of the grid takes a call; finding a rate takes two a step, at most.
    if quickest * (resolution + 2 * steps) > most_seconds:
        return None
    limit, _ = _limit(objective, choice.initial_seed, Method())
    if limit is None:
        return None
    telling, _ = telling_rates(objective, limit, steps, initial_seed=choice.initial_seed)
    plain = {"update_rule": Method().update_rule}
    return preview(choice, [telling.right], steps=steps, method=plain, resolution=resolution)


def _seconds(objective: Objective, parameters: Array) -> float:
    """How long an evaluation takes."""
    begun = time.monotonic()
    objectives.evaluate(objective, parameters)
    return time.monotonic() - begun


def _method(parameters: Mapping[str, Any]) -> Method:
    """How descents that are tried move; refuses what their update rule does not know."""
    rule = RULES.get(parameters["update_rule"])
    if rule is None:
        raise InvalidInput.at("update_rule", f"{parameters['update_rule']!r} is none of {', '.join(RULES)}")
    for name in parameters.keys() - {"update_rule", *rule.settings}:
        raise InvalidInput.at(name, f"{rule.name} has none; it has {', '.join(rule.settings) or 'no settings'}")
    return Method.of(parameters)


def _limit(objective: Objective, initial_seed: int, method: Method) -> tuple[float | None, int]:
    """From which rate on a method is unstable at the start, and what it took to know."""
    if isinstance(objective, KnownCurvature):
        curvature, spent = float(objective.curvature[1]), 0
    else:
        measured = stability.measure(objective, objectives.start(objective, initial_seed))
        spent = measured.gradient_evaluations
        if measured.largest is None:
            return None, spent
        curvature = measured.largest
    limit = stability.limit(method.update_rule, method.settings, curvature)
    # Of a curvature next to nothing it is beyond every number.
    return limit if limit is not None and math.isfinite(limit) else None, spent


def _registered(connection: Connection, name: str) -> tuple[StudyRecord, ObjectiveChoice]:
    """A study whose objective the service can evaluate, and that objective."""
    study = studies.get(connection, name)
    choice = definition_of(study).objective
    if choice is None:
        raise ExternalStudy(f"study {study.name!r} has no registered objective: only who trains it can evaluate it")
    return study, choice


def _chosen(
    connection: Connection, *, name: str, numbers: Sequence[int] | None
) -> tuple[ObjectiveChoice, list[TrialRecord]]:
    study, choice = _registered(connection, name)
    if numbers is None:
        best = ranked.best_of(connection, study)
        if best is None:
            raise NoResult(f"study {study.name!r} has no best trial to look at: name some by trials=0,1")
        return choice, [best]
    distinct = list(dict.fromkeys(numbers))
    if len(distinct) > MOST_PATHS:
        raise InvalidInput.at("trials", f"at most {MOST_PATHS} at once")
    found = trials.get_many(connection, study.id, distinct)
    for number in distinct:
        if number not in found:
            raise InvalidInput.at("trials", f"the study has no trial {number}")
        if not {"learning_rate", "steps"} <= found[number].parameters.keys():
            raise InvalidInput.at("trials", f"trial {number} has no learning rate and steps")
    return choice, [found[number] for number in distinct]


def _steps(record: TrialRecord) -> int:
    """How far a trial went; one that is not finished, how far it is to go."""
    return int(record.parameters["steps"]) if record.steps_run is None else record.steps_run


def _view(
    objective: Objective, choice: ObjectiveChoice, wanted: Sequence[_Wanted], resolution: int | None
) -> tuple[dict[str, Any], list[Path]]:
    """The fields of a view, and the paths that it shows."""
    most_steps = MOST_EVALUATIONS // len(wanted) - 1
    paths, spent = _follow(objective, choice.initial_seed, wanted, most_steps)
    drawn = landscape(objective, paths, initial_seed=choice.initial_seed, resolution=resolution)
    shares = [None] * len(drawn.axes) if drawn.plane.explained is None else drawn.plane.explained.tolist()
    view = {
        "objective": choice.name,
        "axes": [
            LandscapeAxis(label=label, values=axis.tolist(), explained=share)
            for label, axis, share in zip(drawn.labels, drawn.axes, shares, strict=True)
        ],
        "values": [] if resolution is None else drawn.values.reshape(-1, resolution).tolist(),
        "paths": [
            LandscapePath(
                number=one.number,
                parameters=dict(one.parameters),
                steps=path.steps.tolist(),
                coordinates=on.tolist(),
                losses=path.losses.tolist(),
                outcome=path.outcome,
                cut=one.steps > most_steps and path.outcome is not Outcome.LEFT_FINITE_NUMBERS,
                turns_back=turns_back(path),
                verdict=one.verdict,
                advice=one.advice,
            )
            for one, path, on in zip(wanted, paths, drawn.coordinates, strict=True)
        ],
        "minimum": _minimum(objective, drawn),
        "gradient_evaluations": spent + drawn.gradient_evaluations,
    }
    return view, paths


def _minimum(objective: Objective, drawn: Landscape) -> LandscapeMinimum | None:
    loss = float(objective.minimum) if isinstance(objective, KnownMinimum) else math.nan
    coordinates = None if drawn.optimum is None or not np.isfinite(drawn.optimum).all() else drawn.optimum.tolist()
    known = math.isfinite(loss)
    return LandscapeMinimum(loss=loss if known else None, coordinates=coordinates) if known or coordinates else None


def _follow(
    objective: Objective, initial_seed: int, wanted: Sequence[_Wanted], most_steps: int
) -> tuple[list[Path], int]:
    """The paths of descents, in their order, and what they took."""
    found: dict[int, Path] = {}
    spent = 0
    places = sorted(range(len(wanted)), key=lambda place: wanted[place].shared)
    for (update_rule, batch_size), group in groupby(places, key=lambda place: wanted[place].shared):
        together = list(group)
        rows = [
            Row.of(wanted[place].parameters, RULES[update_rule], steps=min(wanted[place].steps, most_steps))
            for place in together
        ]
        # As the worker runs them: mini-batches come from the objective's seed.
        paths, took = follow(
            objective,
            rows,
            update_rule=update_rule,
            batch_size=batch_size or None,
            initial_seed=initial_seed,
            seed=initial_seed,
        )
        found |= dict(zip(together, paths, strict=True))
        spent += took
    return [found[place] for place in range(len(wanted))], spent
