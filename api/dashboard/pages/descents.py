"""The descents that the player of a page shows: those of a study's trials, and those at rates that somebody tries."""

import json
from functools import lru_cache
from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.dashboard.assets import compressed
from api.dashboard.figures.landscape import descents
from api.routes.analyses import LandscapeQuery
from api.serving import OfDatabase, StudyAddress
from tuner import objectives
from tuner.definition import ObjectiveChoice
from tuner.errors import InvalidInput, NoResult
from tuner.limits import LARGEST_PREVIEW, LARGEST_RATE
from tuner.service import landscape
from tuner.strict import RegisteredName, Seed

router = APIRouter(include_in_schema=False)

JSON = "application/json"

KEPT = 32
"""Answers that are kept: the same question has the same answer, and a landscape may take a second."""


class Question(BaseModel):
    """Which descents of an objective. ``settings``: a JSON object. Without rates, those that show what a rate does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: Annotated[str, Field(max_length=10_000)] = "{}"
    initial_seed: Seed = 0
    rate: Annotated[float | None, Field(gt=0, le=LARGEST_RATE, allow_inf_nan=False)] = None
    steps: Annotated[int, Field(ge=1, le=LARGEST_PREVIEW)] = 40
    update_rule: RegisteredName = "gradient_descent"
    momentum: Annotated[float | None, Field(ge=0, lt=1)] = None
    picture: bool = True

    @property
    def objects(self) -> dict[str, Any]:
        """The settings.

        Raises:
            InvalidInput: they are no JSON object.
        """
        try:
            found = json.loads(self.settings)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise InvalidInput.at("settings", "must be a JSON object")
        return found


@router.get("/objectives/{name}/descents")
def of_objective(name: Annotated[str, Path()], question: Annotated[Question, Query()], request: Request) -> Response:
    """Descents of a registered objective."""
    return compressed(request, _of_objective(name, question), JSON)


@lru_cache(maxsize=KEPT)
def _of_objective(name: str, question: Question) -> bytes:
    choice = ObjectiveChoice(
        name=name,
        settings=objectives.resolve_settings(name, question.objects),
        initial_seed=question.initial_seed,
    )
    method: dict[str, Any] = {"update_rule": question.update_rule}
    if question.momentum is not None:
        method["momentum"] = question.momentum
    view = landscape.preview(
        choice,
        None if question.rate is None else [question.rate],
        steps=question.steps,
        method=method,
        resolution=41 if question.picture else None,
    )
    return _json(descents(view).document())


@router.get("/studies/{study}/descents")
def of_study(
    study: StudyAddress, query: Annotated[LandscapeQuery, Query()], database: OfDatabase, request: Request
) -> Response:
    """Descents of a study's trials; where none are named, of the best one beside those that went wrong.

    While there is none to choose it is ``{"empty": why}``, as of a chart.
    """
    try:
        numbers = cast("list[int] | None", query.trials) or landscape.telling_trials(database, study)
    except NoResult:
        return compressed(request, _json({"empty": "No trial is finished yet: its descent will be here."}), JSON)
    view = landscape.of_study(database, study, numbers=numbers, resolution=query.resolution)
    addresses = [f"/studies/{study}/trials/{path.number}" for path in view.paths]
    return compressed(request, _json(descents(view, addresses).document()), JSON)


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
