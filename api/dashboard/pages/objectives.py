"""The registered objectives: all of them, and each by itself."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import HTMLResponse

from api.dashboard.rendering import render, render_with_charts
from api.routes.objectives import described, everything

router = APIRouter(prefix="/objectives", include_in_schema=False)


@router.get("")
def objectives_page() -> HTMLResponse:
    """All of them."""
    return render("objectives.html", objectives=everything())


@router.get("/{name}")
def objective_page(name: Annotated[str, Path()]) -> HTMLResponse:
    """One, and its settings."""
    return render_with_charts("objective.html", objective=described(name))
