"""The worker processes, and what each is doing now."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from api.dashboard.rendering import render
from api.serving import OfDatabase
from tuner.service import workers
from tuner.storage.database import Database

router = APIRouter(prefix="/workers", include_in_schema=False)


@router.get("")
def workers_page(database: OfDatabase) -> HTMLResponse:
    """Which there are, and what each does."""
    return _rendered("workers.html", database)


@router.get("/live")
def live(database: OfDatabase) -> HTMLResponse:
    """The same, for a page that is open."""
    return _rendered("workers_regions.html", database)


def _rendered(template: str, database: Database) -> HTMLResponse:
    # Who is at work comes first.
    return render(template, workers=sorted(workers.listed(database), key=lambda worker: not worker.alive))
