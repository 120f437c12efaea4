"""The worker processes."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from api.dashboard.rendering import render
from api.serving import OfDatabase
from tuner.service import workers

router = APIRouter(include_in_schema=False)


@router.get("/workers")
def workers_page(database: OfDatabase) -> HTMLResponse:
    """Which there are, and what each does."""
    return render("workers.html", workers=workers.listed(database))
