"""The registered objectives: all of them, and each by itself."""

from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, Response

from api.dashboard.assets import compressed
from api.dashboard.fields import fields
from api.dashboard.figures.sketch import sketch
from api.dashboard.prose import blocks
from api.dashboard.rendering import render, render_with_charts
from api.routes.objectives import described, everything
from tuner import objectives
from tuner.definition import ObjectiveChoice
from tuner.descent import RULES
from tuner.errors import InvalidInput, ObjectiveFailed
from tuner.service import landscape
from tuner.service.landscape import LandscapeView

router = APIRouter(prefix="/objectives", include_in_schema=False)

SKETCH_STEPS, SKETCH_RESOLUTION, SKETCH_SECONDS = 40, 31, 2.0
"""Of the small pictures: none is better than one that is waited for."""

_drawn: dict[str, bytes] = {}
_drawing = Lock()
"""One at a time: a page asks for all of them at once, and each is judged by how long its objective takes alone."""


@router.get("")
def objectives_page() -> HTMLResponse:
    """All of them."""
    return render("objectives.html", objectives=everything())


@router.get("/{name}")
def objective_page(name: Annotated[str, Path()]) -> HTMLResponse:
    """One: its formula, what is known of it, its landscape, and a form to try rates on it."""
    objective = described(name)
    return render_with_charts(
        "objective.html",
        objective=objective,
        prose=list(blocks(objective.description)),
        settings=list(fields(objective.settings)),
        rules=RULES.values(),
    )


@router.get("/{name}/picture.svg")
def picture(name: Annotated[str, Path()], request: Request) -> Response:
    """Its landscape, small, with default settings; an empty picture where there is none to show in time."""
    objectives.find(name)
    drawn = _picture(name)
    # The picture has a style of its own, and loads nothing.
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-cache"}
    return compressed(request, drawn, "image/svg+xml", policy)


def _picture(name: str) -> bytes:
    with _drawing:
        if name not in _drawn:
            _drawn[name] = sketch(_landscape(name)).encode()
        return _drawn[name]


def _landscape(name: str) -> LandscapeView | None:
    try:
        choice = ObjectiveChoice(name=name, settings=objectives.resolve_settings(name, {}))
        return landscape.sketch(choice, steps=SKETCH_STEPS, resolution=SKETCH_RESOLUTION, most_seconds=SKETCH_SECONDS)
    except (InvalidInput, ObjectiveFailed):
        return None
