"""What is measured of a study or an objective beside trials: range tests, and curvature with the limit that it sets."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Discriminator, Field, Tag

from api.body import JsonRoute
from api.problems import documented
from api.schemas import Paging
from api.serving import OfDatabase, RequestKey, StudyAddress
from tuner.errors import (
    BudgetSpent,
    ExternalStudy,
    InvalidInput,
    KeyReused,
    MissingExtra,
    ObjectiveFailed,
    ObjectiveNotFound,
    ReadOnlyStudy,
    StudyNotFound,
)
from tuner.limits import LARGEST_TEST_PAGE
from tuner.service import range_tests, stability
from tuner.service.range_tests import ClientCurve, RangeTest, RangeTestPlan, StoredRangeTest, StoredRangeTests
from tuner.service.stability import MeasuredCurvature, ObjectiveStability, Stability, StabilityEffort, StabilityProbe
from tuner.strict import Seed

router = APIRouter(prefix="/v1", tags=["analyses"], route_class=JsonRoute)

ObjectiveName = Annotated[str, Path(description="The objective's name.")]


class ObjectiveRangeTest(RangeTestPlan):
    """A range test of a registered objective: its settings, and the seed of its start x_0 and of its mini-batches."""

    settings: dict[str, Any] = Field(default_factory=dict)
    initial_seed: Seed = 0


def _kind(body: Any) -> str:
    """What a body means to be: who submits a curve says its rates or losses."""
    given = body if isinstance(body, dict) else dict(body) if isinstance(body, ClientCurve) else {}
    return "curve" if given.keys() & ClientCurve.model_fields else "plan"


CurveOrPlan = Annotated[
    Annotated[ClientCurve, Tag("curve")] | Annotated[RangeTestPlan, Tag("plan")],
    Discriminator(_kind),
]


class RangeTestQuery(Paging):
    """Which range tests, and how finely to show them."""

    page_size: Annotated[int, Field(ge=1, le=LARGEST_TEST_PAGE, description="How many at most.")] = 20
    max_points: Annotated[
        int, Field(ge=10, le=10_000, description="Points of each curve at most; extremes and ends are kept.")
    ] = 1000


CHARGED = documented(
    InvalidInput, KeyReused, ObjectiveFailed, StudyNotFound, ReadOnlyStudy, ExternalStudy, BudgetSpent, body=True
)
"""How measuring a study, which is charged to it, can be refused."""

PLAN, EFFORT, PROBE, OBJECTIVE_PLAN = RangeTestPlan(), StabilityEffort(), StabilityProbe(), ObjectiveRangeTest()


@router.post(
    "/studies/{study:segment}/range-tests",
    operation_id="create_range_test",
    summary="Run a range test on a study, or submit a client's",
    status_code=201,
    responses=CHARGED,
)
def create(study: StudyAddress, database: OfDatabase, key: RequestKey, test: CurveOrPlan = PLAN) -> StoredRangeTest:
    """Run a range test on the study's objective, or store one that a training client has run: `rates` and `losses`.

    What it takes is charged to the study. Every field of a test to run has a default.
    """
    if isinstance(test, ClientCurve):
        return range_tests.submit(database, study, test, key)
    return range_tests.run(database, study, test, key)


@router.get(
    "/studies/{study:segment}/range-tests",
    operation_id="list_range_tests",
    summary="List the range tests of a study",
    responses=documented(InvalidInput, StudyNotFound),
)
def page(study: StudyAddress, query: Annotated[RangeTestQuery, Query()], database: OfDatabase) -> StoredRangeTests:
    """Range tests of a study, newest first, a page at a time."""
    return range_tests.page(
        database, study, max_points=query.max_points, page_size=query.page_size, page_token=query.page_token
    )


@router.post(
    "/range-tests:analyse",
    operation_id="analyse_range_test",
    summary="Read a range test's curve",
    responses=documented(InvalidInput, body=True),
)
def analyse(curve: ClientCurve) -> RangeTest:
    """What a client's curve suggests. Nothing is stored."""
    return range_tests.of_curve(curve)


@router.post(
    "/objectives/{name:segment}:range-test",
    operation_id="test_range_of_objective",
    summary="Run a range test on an objective",
    responses=documented(InvalidInput, MissingExtra, ObjectiveFailed, ObjectiveNotFound, body=True),
)
def run_on_objective(name: ObjectiveName, test: ObjectiveRangeTest = OBJECTIVE_PLAN) -> RangeTest:
    """One descent at a growing rate, and what its losses suggest. Nothing is stored."""
    return range_tests.of_objective(name, test.settings, test.initial_seed, test)


@router.post(
    "/objectives/{name:segment}:stability",
    operation_id="measure_stability_of_objective",
    summary="Measure an objective's curvature",
    responses=documented(InvalidInput, MissingExtra, ObjectiveFailed, ObjectiveNotFound, body=True),
)
def measure_objective(name: ObjectiveName, probe: StabilityProbe = PROBE) -> ObjectiveStability:
    """The largest curvature at the objective's start, and the limit that it sets to the rate. Nothing is stored."""
    return stability.of_objective(name, probe)


@router.post(
    "/studies/{study:segment}/analysis/stability:measure",
    operation_id="measure_stability",
    summary="Measure a study's curvature",
    responses=CHARGED,
)
def measure(
    study: StudyAddress, database: OfDatabase, key: RequestKey, effort: StabilityEffort = EFFORT
) -> MeasuredCurvature:
    """The curvature at the start and at some points along the best trial's run, which is made once more.

    What it takes is charged to the study.
    """
    return stability.measure(database, study, effort, key)


@router.get(
    "/studies/{study:segment}/analysis/stability",
    operation_id="get_stability",
    summary="Read how near the edge of stability trials sat",
    responses=documented(InvalidInput, StudyNotFound, ReadOnlyStudy, ExternalStudy),
)
def read(study: StudyAddress, query: Annotated[Paging, Query()], database: OfDatabase) -> Stability:
    """The curvature that was measured last, the limits that it sets, and each trial's rate against its limit.

    Reading costs no gradient evaluation; `POST …/analysis/stability:measure` measures.
    """
    return stability.read(database, study, page_size=query.page_size, page_token=query.page_token)
