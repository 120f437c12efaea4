"""What is read out of a study's trials: the front, the table of rates and steps, the landscape."""

import re
from typing import Annotated, cast

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from api.problems import documented
from api.serving import LARGEST_NUMBER, OfDatabase, StudyAddress
from tuner.errors import (
    ExternalStudy,
    InvalidInput,
    NoResult,
    ObjectiveFailed,
    ObjectiveNotFound,
    ReadOnlyStudy,
    StudyNotFound,
)
from tuner.limits import LARGEST_GRID, LONGEST_NAME, MOST_PATHS
from tuner.service.importance import Importance
from tuner.service.importance import importance as importance_of
from tuner.service.landscape import LandscapeView, of_study
from tuner.service.pareto import Pareto, pareto
from tuner.service.surface import RateSurface, rate_surface
from tuner.strict import without_nul

TrialNumbers = Annotated[
    list[str] | None,
    AfterValidator(lambda texts: None if texts is None else _numbers(texts)),
    Field(
        description=f"The trials whose descents are drawn: up to {MOST_PATHS} numbers, with commas or repeated. "
        "Without it, the best one."
    ),
]


def _numbers(texts: list[str]) -> list[int]:
    parts = [part.strip() for text in texts for part in text.split(",")]
    for part in parts:
        if re.fullmatch("[0-9]{1,10}", part) is None or int(part) > LARGEST_NUMBER:
            raise PydanticCustomError("trial_number", "{part} is no trial's number", {"part": repr(part)})
    return [int(part) for part in parts]


class LandscapeQuery(BaseModel, extra="forbid"):
    """Which descents, and how fine a grid."""

    trials: TrialNumbers = None
    resolution: Annotated[
        int,
        Field(
            ge=2,
            le=LARGEST_GRID,
            description="Points along each axis. Each point of the grid is a gradient evaluation.",
        ),
    ] = 41


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
        Field(max_length=LONGEST_NAME, description="The numeric parameter that stands for the rate."),
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


@router.get(
    "/analysis/landscape",
    operation_id="get_landscape",
    summary="Read the loss surface around trials",
    responses=documented(
        InvalidInput, StudyNotFound, ObjectiveNotFound, ReadOnlyStudy, ExternalStudy, NoResult, ObjectiveFailed
    ),
)
def landscape(study: StudyAddress, query: Annotated[LandscapeQuery, Query()], database: OfDatabase) -> LandscapeView:
    """The losses of a registered objective on a plane, and the paths that descents took on it.

    Of one or two parameters the plane is theirs; of more it is that of the paths' two principal directions (Li et al.
    2018). The descents are run again, at most 20,000 gradient evaluations of all together, and so is every point of the
    grid: `gradient_evaluations` counts them. The study is not charged.
    """
    return of_study(database, study, numbers=cast("list[int] | None", query.trials), resolution=query.resolution)


@router.get(
    "/analysis/importance",
    operation_id="get_importance",
    summary="Read which parameters decide",
    responses=documented(StudyNotFound, NoResult),
)
def importance(study: StudyAddress, database: OfDatabase) -> Importance:
    """How much each parameter has to do with whether a trial is among the best tenth (PED-ANOVA, Watanabe et al. 2023).

    It takes ten complete trials. A diverged run counts as a bad one.
    """
    return importance_of(database, study)
