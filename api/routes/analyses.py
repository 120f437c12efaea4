"""What is read out of a study's trials: the front, the table of rates and steps, the landscape."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field

from api.problems import documented
from api.serving import OfDatabase, StudyAddress
from tuner.definition import without_nul
from tuner.errors import InvalidInput, StudyNotFound
from tuner.service.pareto import Pareto, pareto
from tuner.service.surface import RateSurface, rate_surface

router = APIRouter(prefix="/v1/studies/{study:segment}", tags=["analyses"])


class FrontQuery(BaseModel, extra="forbid"):
    """How finely to show a front."""

    max_points: Annotated[
        int,
        Field(ge=2, le=10_000, description="Points at most, spread over the magnitudes of the steps; ends are kept."),
    ] = 100


class SurfaceQuery(BaseModel, extra="forbid"):
    """Which table, and how fine."""

    parameter: Annotated[
        Annotated[str, AfterValidator(without_nul)],
        Field(max_length=100, description="The numeric parameter that stands for the rate."),
    ] = "learning_rate"
    resolution: Annotated[int, Field(ge=2, le=200, description="Rates at most, and step counts at most.")] = 60
    within: Annotated[
        bool, Field(description="The best value within so many steps, instead of the value after exactly so many.")
    ] = False


@router.get(
    "/pareto",
    operation_id="get_front",
    summary="Read the trade-off against steps",
    responses=documented(InvalidInput, StudyNotFound),
)
def front(study: StudyAddress, query: Annotated[FrontQuery, Query()], database: OfDatabase) -> Pareto:
    """For every number of steps the best value that any trial had reached, by ascending steps.

    It is answered from the stored curves, for any goal, at no further gradient evaluation: a trial of n steps takes
    part with every shorter length. Of a training client's trial the steps count that it reported, and its last.
    """
    return pareto(database, study, max_points=query.max_points)


@router.get(
    "/analysis/surface",
    operation_id="get_surface",
    summary="Read the table of rates and steps",
    responses=documented(InvalidInput, StudyNotFound),
)
def surface(study: StudyAddress, query: Annotated[SurfaceQuery, Query()], database: OfDatabase) -> RateSurface:
    """What every rate was worth after every number of steps, from the stored curves, at no gradient evaluation.

    A cell is null where no trial of that rate has run so far, and not finite where it had diverged. Where several
    trials share a column (the same rate; or, of many rates, neighbouring ones), the best counts.
    """
    return rate_surface(database, study, parameter=query.parameter, resolution=query.resolution, within=query.within)
