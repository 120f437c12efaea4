"""What this is, what it runs on, and what its problems mean."""

import platform

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from api import problems
from api.dashboard.rendering import render
from api.serving import Serving

router = APIRouter(include_in_schema=False)


@router.get("/about")
def about_page(service: Serving) -> HTMLResponse:
    """The version, the database, and where to read on."""
    return render(
        "about.html",
        python=platform.python_version(),
        database="SQLite" if service.database.is_sqlite else "PostgreSQL",
    )


@router.get("/problems/{code}")
def problem_page(code: str) -> HTMLResponse:
    """What a kind of problem means: where the ``type`` of a problem document points."""
    kinds = problems.kinds()
    if code not in kinds:
        raise HTTPException(404)
    status, meaning = kinds[code]
    return render("kind.html", code=code, answered=status, meaning=meaning)
