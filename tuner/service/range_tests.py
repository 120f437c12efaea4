"""Use cases of range tests: on a study, on an objective alone, of a client's curve, and to set a study's range."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tuner import objectives
from tuner.analysis import range_test
from tuner.analysis.decimation import decimate
from tuner.analysis.range_test import Finding, analyse
from tuner.definition import StudyDefinition
from tuner.descent import Method
from tuner.errors import ExternalStudy, FieldError, InvalidInput
from tuner.limits import LARGEST_FLOAT, LARGEST_TEST_STEPS
from tuner.service.idempotency import Key
from tuner.service.measuring import measure
from tuner.service.open_study import definition_of
from tuner.service.paging import page_number
from tuner.space import RangeTested
from tuner.storage import measurements, studies
from tuner.storage.database import Connection, Database
from tuner.storage.measurements import Measurement
from tuner.strict import Choice, Strict
from tuner.trial import ParameterValue, WireFloat

KIND = "range_test"
"""What a range test is among a study's measurements."""

RATE = Annotated[float, Field(gt=0, le=LARGEST_FLOAT)]


class RangeTestPlan(Strict):
    """A range test to run: rates growing geometrically from ``low`` to ``high``, one a step.

    ``parameters`` say how the descent moves, named as in a search space: ``update_rule``, ``momentum``,
    ``batch_size``, …
    """

    low: RATE = range_test.LOW
    high: RATE = range_test.HIGH
    steps: Annotated[int, Field(ge=2, le=LARGEST_TEST_STEPS)] = range_test.STEPS
    parameters: dict[str, Choice] = Field(default_factory=dict)


class ClientCurve(Strict):
    """A range test that a training client has run: the loss after an update at each rate. Rates ascend."""

    rates: Annotated[list[RATE], Field(min_length=2, max_length=LARGEST_TEST_STEPS)]
    losses: Annotated[list[WireFloat], Field(min_length=2, max_length=LARGEST_TEST_STEPS)]


class SuggestedRange(BaseModel):
    """A range of learning rates to search, on a log scale."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float


class RangeTest(BaseModel):
    """A range test: its curve, and what it suggests.

    ``losses[i]`` is the loss after the update at ``rates[i]``. ``smoothed`` are the losses as they were judged:
    averaged without delay, cut off above where they began, and as far as the loss had not exploded. ``minimum`` is the
    rate at their bottom; ``tenth_of_minimum`` and ``steepest``, where they fall fastest, are the two customary
    suggestions; ``range`` is one to search. Where the curve does not say, all of them are null, and ``statement`` says
    why. ``points`` is the length of the whole curve, where fewer are shown. ``parameters`` say how the descent moved;
    null: a training client's did.
    """

    model_config = ConfigDict(frozen=True)

    rates: list[float]
    losses: list[WireFloat]
    smoothed: list[float]
    points: int
    minimum: float | None
    tenth_of_minimum: float | None
    steepest: float | None
    range: SuggestedRange | None
    statement: str
    parameters: dict[str, ParameterValue] | None
    gradient_evaluations: int


class StoredRangeTest(RangeTest):
    """A range test of a study."""

    id: int
    source: Literal["service", "client"]
    created_at: datetime


class StoredRangeTests(BaseModel):
    """Range tests of a study, newest first, and where the next page begins."""

    range_tests: list[StoredRangeTest]
    next_page_token: str | None


def of_objective(name: str, settings: Mapping[str, Any], initial_seed: int, plan: RangeTestPlan) -> RangeTest:
    """Run a range test on a registered objective, without a study.

    Raises:
        ObjectiveNotFound: there is none of that name.
        InvalidInput: something of it cannot be; the field is named.
        ObjectiveFailed: the objective raised or answered wrong shapes.
    """
    test = _Prepared(name, settings, initial_seed, plan)
    test.run()
    return test.result()


def of_curve(curve: ClientCurve) -> RangeTest:
    """What a client's curve says.

    Raises:
        InvalidInput: rates do not ascend, or there is not one loss each.
    """
    return _result(curve.rates, curve.losses, None, len(curve.losses))


def run(database: Database, name: str, plan: RangeTestPlan, key: Key | None = None) -> StoredRangeTest:
    """Run a range test on a study's objective, store it, and charge the study what it took.

    What ``plan.parameters`` leave out is as the study fixes it, and the update rule's default where it searches it.

    Raises:
        ExternalStudy: it has no objective.
        BudgetSpent: its budget does not afford the test.
        InvalidInput, ObjectiveFailed: as `of_objective`.
    """
    definition = database.read(lambda connection: definition_of(studies.get(connection, name)))
    test = of_definition(definition, plan)

    def ran() -> tuple[Any, int]:
        test.run()
        found = test.result()
        return found.model_dump(mode="json"), found.gradient_evaluations

    return measure(database, name, KIND, most=plan.steps + 1, run=ran, view=_stored, model=StoredRangeTest, key=key)


def submit(database: Database, name: str, curve: ClientCurve, key: Key | None = None) -> StoredRangeTest:
    """Store a range test that a training client has run, and charge the study its gradients, one a point.

    Raises:
        BudgetSpent: the study's budget does not afford it.
        InvalidInput: as `of_curve`.
    """
    found = of_curve(curve)
    taken = found.gradient_evaluations
    return measure(
        database,
        name,
        KIND,
        most=taken,
        run=lambda: (found.model_dump(mode="json"), taken),
        view=_stored,
        model=StoredRangeTest,
        key=key,
    )


def page(
    database: Database, name: str, *, max_points: int | None = None, page_size: int = 20, page_token: str | None = None
) -> StoredRangeTests:
    """A study's range tests, newest first, each curve shown by at most ``max_points`` points.

    Raises:
        StudyNotFound: there is no such study.
        InvalidInput: the page token is none of ours.
    """
    after = page_number(page_token)

    def work(connection: Connection) -> StoredRangeTests:
        study = studies.get(connection, name)
        found = measurements.page(connection, study.id, KIND, after=after, size=page_size + 1)
        more = len(found) > page_size
        found = found[:page_size]
        shown = [_shown(_stored(one), max_points) for one in found]
        return StoredRangeTests(range_tests=shown, next_page_token=str(found[-1].id) if more else None)

    return database.read(work)


@dataclass(frozen=True)
class FoundRange:
    """The range of a study's learning rate as a range test found it, and that test as it is to be stored."""

    low: float
    high: float
    test: RangeTest

    def store(self, connection: Connection, study_id: int, moment: datetime) -> None:
        """Store the test on the study that was made of it, which is charged for it."""
        document, taken = self.test.model_dump(mode="json"), self.test.gradient_evaluations
        measurements.add(connection, study_id, KIND, document, gradient_evaluations=taken, moment=moment)
        studies.increase(connection, study_id, spent_evaluations=taken)


def plan_of(tested: RangeTested) -> RangeTestPlan:
    """The test that a definition asks for."""
    return RangeTestPlan(**tested.model_dump(exclude={"type"}, exclude_none=True))


def find_range(definition: StudyDefinition, plan: RangeTestPlan) -> FoundRange:
    """Find the range of a study's learning rate. The same definition finds the same.

    Args:
        definition: what is known of the study; its learning rate does not matter.
        plan: how to find it.

    Raises:
        InvalidInput: at ``search_space.learning_rate``: the test gives no range, and why.
        ObjectiveFailed: the objective raised or answered wrong shapes.
    """
    field = "search_space.learning_rate"
    try:
        test = of_definition(definition, plan)
    except InvalidInput as error:
        raise error.within(field) from None
    test.run()
    found = test.result()
    if found.range is None:
        raise InvalidInput.at(field, f"the range test gives none. {found.statement}")
    return FoundRange(found.range.low, found.range.high, found)


class _Prepared:
    """A range test that can run: all that it was given is checked."""

    def __init__(self, name: str, settings: Mapping[str, Any], initial_seed: int, plan: RangeTestPlan) -> None:
        objective = objectives.create(name, settings)
        try:
            method = Method.of(plan.parameters)
        except InvalidInput as error:
            raise error.within("parameters") from None
        self._parameters = method.parameters
        try:
            self._test = range_test.RangeTest(
                objective, low=plan.low, high=plan.high, steps=plan.steps, method=method, initial_seed=initial_seed
            )
        except InvalidInput as error:
            fields = (
                FieldError("parameters.batch_size" if one.field == "batch_size" else one.field, one.message)
                for one in error.fields
            )
            raise InvalidInput(*fields) from None

    def run(self) -> None:
        self._test.run()

    def result(self) -> RangeTest:
        test = self._test
        return _result(test.rates.tolist(), test.losses.tolist(), dict(self._parameters), test.gradient_evaluations)


def of_definition(definition: StudyDefinition, plan: RangeTestPlan) -> _Prepared:
    """A test of a study's objective, moving as the study's trials do where it fixes that."""
    choice = definition.objective
    if choice is None:
        raise ExternalStudy(
            f"study {definition.name!r} has no registered objective: run the test where it is trained, and submit it"
        )
    fixed = definition.fixed_parameters
    rule = plan.parameters.get("update_rule", fixed.get("update_rule"))
    if rule is None and "update_rule" in definition.search_space:
        raise InvalidInput.at("parameters.update_rule", "the study searches it: a range test needs one")
    moves = {} if rule is None else {"update_rule": rule}
    try:
        own = Method.of_trial({**fixed, **moves}).parameters
    except InvalidInput as error:
        raise error.within("parameters") from None
    return _Prepared(
        choice.name,
        choice.settings,
        choice.initial_seed,
        plan.model_copy(update={"parameters": {**own, **plan.parameters}}),
    )


def _result(
    rates: Sequence[float], losses: Sequence[float], parameters: dict[str, ParameterValue] | None, taken: int
) -> RangeTest:
    found: Finding = analyse(rates, losses)
    suggested = None
    if found.low is not None and found.high is not None:
        suggested = SuggestedRange(low=found.low, high=found.high)
    return RangeTest(
        rates=list(rates),
        losses=list(losses),
        smoothed=found.smoothed.tolist(),
        points=len(rates),
        minimum=found.minimum,
        tenth_of_minimum=found.tenth_of_minimum,
        steepest=found.steepest,
        range=suggested,
        statement=found.statement,
        parameters=parameters,
        gradient_evaluations=taken,
    )


def _stored(measurement: Measurement) -> StoredRangeTest:
    test = RangeTest.model_validate(measurement.result)
    return StoredRangeTest(
        **dict(test),
        id=measurement.id,
        source="client" if test.parameters is None else "service",
        created_at=measurement.created_at,
    )


def _shown(test: StoredRangeTest, max_points: int | None) -> StoredRangeTest:
    kept = decimate(np.asarray(test.losses), max_points).tolist()
    return test.model_copy(
        update={
            "rates": [test.rates[place] for place in kept],
            "losses": [test.losses[place] for place in kept],
            "smoothed": [test.smoothed[place] for place in kept if place < len(test.smoothed)],
        }
    )
