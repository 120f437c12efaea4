"""Objectives: what can be searched without writing a line of code."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from api.body import JsonRoute
from api.problems import documented
from tuner import objectives
from tuner.definition import ObjectiveChoice
from tuner.errors import InvalidInput, ObjectiveFailed, ObjectiveNotFound
from tuner.limits import LARGEST_GRID, LARGEST_PREVIEW, LARGEST_RATE, MOST_PATHS
from tuner.objectives import KnownCurvature, KnownMinimum, Named, Objective, ObjectiveType, Stochastic, Validated
from tuner.service.landscape import ObjectivePreview
from tuner.service.landscape import preview as try_rates
from tuner.strict import RegisteredName, Seed, Strict

router = APIRouter(prefix="/v1/objectives", tags=["objectives"], route_class=JsonRoute)


class Preview(Strict):
    """A few descents to try, from the same start."""

    settings: Annotated[dict[str, Any], Field(default_factory=dict)]
    initial_seed: Seed = 0
    learning_rates: Annotated[
        list[Annotated[float, Field(gt=0, le=LARGEST_RATE)]] | None,
        Field(
            min_length=1,
            max_length=MOST_PATHS,
            description="Without them, up to four that show what a learning rate does: one that is right, one that "
            "creeps, and the last and the first on either side of where descents end above their start.",
        ),
    ] = None
    steps: Annotated[int, Field(ge=1, le=LARGEST_PREVIEW)] = 200
    update_rule: RegisteredName = "gradient_descent"
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    resolution: Annotated[
        int | None,
        Field(
            ge=2,
            le=LARGEST_GRID,
            description="Points along each axis. Each point of the grid is a gradient evaluation. null: no grid, the "
            "descents alone.",
        ),
    ] = 41


class KnownFacts(BaseModel):
    """What is known of an objective with its default settings, before anything is run."""

    dimension: int = Field(description="How many parameters it has.")
    parameters: list[str] | None = Field(description="Their names, where they have any.")
    metrics: list[str] = Field(description="What a goal may name.")
    stochastic: bool = Field(description="Whether it can be descended by mini-batches.")
    minimum: float | None = Field(description="The smallest loss, where it is known in closed form.")
    curvature: tuple[float, float] | None = Field(
        description="The smallest and largest Hessian eigenvalue, where they are the same everywhere. "
        "Descent converges below a rate of 2 / the largest."
    )


class RegisteredObjective(BaseModel):
    """A registered objective."""

    name: str
    summary: str
    description: str
    settings: dict[str, Any] = Field(description="JSON Schema of its settings.")
    defaults: KnownFacts | None = Field(description="With default settings; null where they do not make an objective.")
    unavailable: str | None = Field(description="Why they do not: a setting has no default, or an extra is missing.")


class ObjectiveList(BaseModel):
    """Every registered objective, by name."""

    objectives: list[RegisteredObjective]


def everything() -> list[RegisteredObjective]:
    """Every registered objective, by name."""
    return [_described(kind) for _, kind in sorted(objectives.registered().items())]


def described(name: str) -> RegisteredObjective:
    """One registered objective.

    Raises:
        ObjectiveNotFound: there is none of that name.
    """
    return _described(objectives.find(name))


def _described(kind: ObjectiveType) -> RegisteredObjective:
    facts, unavailable = None, None
    try:
        facts = _facts(objectives.create(kind.name, {}))
    except (InvalidInput, ObjectiveFailed) as error:
        unavailable = str(error)
    return RegisteredObjective(
        name=kind.name,
        summary=kind.summary,
        description=kind.description,
        settings=kind.settings_schema,
        defaults=facts,
        unavailable=unavailable,
    )


def _facts(objective: Objective) -> KnownFacts:
    curvature = objective.curvature if isinstance(objective, KnownCurvature) else None
    return KnownFacts(
        dimension=objective.dimension,
        parameters=list(objective.names) if isinstance(objective, Named) else None,
        metrics=["loss", "validation_loss"] if isinstance(objective, Validated) else ["loss"],
        stochastic=isinstance(objective, Stochastic),
        minimum=float(objective.minimum) if isinstance(objective, KnownMinimum) else None,
        curvature=None if curvature is None else (float(curvature[0]), float(curvature[1])),
    )


@router.get("", operation_id="list_objectives", summary="List registered objectives", responses=documented())
def page() -> ObjectiveList:
    """Every registered objective with its settings and what is known of its minimum."""
    return ObjectiveList(objectives=everything())


@router.get(
    "/{name:segment}",
    operation_id="get_objective",
    summary="Read a registered objective",
    responses=documented(ObjectiveNotFound),
)
def get(name: Annotated[str, Path(description="The objective's name.")]) -> RegisteredObjective:
    """One registered objective with its settings and what is known of its minimum."""
    return described(name)


@router.post(
    "/{name:segment}:preview",
    operation_id="preview_objective",
    summary="Try a few rates",
    responses=documented(InvalidInput, ObjectiveNotFound, ObjectiveFailed, body=True),
)
def preview(name: Annotated[str, Path(description="The objective's name.")], tried: Preview) -> ObjectivePreview:
    """A few short descents at chosen rates, and the loss surface around them. Nothing is stored.

    It takes at most so many gradient evaluations: the rates times (steps + 1), and the points of the grid; 100 for the
    limit, where the curvature is not known; and without rates 40 times (steps + 1) to find some.
    """
    choice = ObjectiveChoice(
        name=name, settings=objectives.resolve_settings(name, tried.settings), initial_seed=tried.initial_seed
    )
    method: dict[str, Any] = {"update_rule": tried.update_rule}
    if tried.momentum is not None:
        method["momentum"] = tried.momentum
    return try_rates(choice, tried.learning_rates, steps=tried.steps, method=method, resolution=tried.resolution)
