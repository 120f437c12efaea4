"""What this is, what it runs on, what it serves that others wrote, and what its problems mean."""

import platform
import re
from functools import cache
from importlib import resources
from importlib.metadata import version
from typing import NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from api import problems, reference
from api.dashboard.assets import PLOTLY
from api.dashboard.rendering import render
from api.serving import Serving
from tuner.storage import migration

router = APIRouter(include_in_schema=False)


class Served(NamedTuple):
    """A program of others that browsers are sent, its licence, and the package that it comes in."""

    name: str
    licence: str
    package: str


@cache
def served() -> list[Served]:
    """What browsers are sent that others wrote."""
    plotly = resources.files("plotly").joinpath("package_data", PLOTLY)
    with plotly.open("rb") as script:
        found = re.search(rb"plotly\.js v([0-9.]+)", script.read(200))
    return [
        Served(f"plotly.js {found[1].decode() if found else ''}", "MIT", f"plotly {version('plotly')}"),
        Served("Swagger UI", "Apache 2.0", f"{reference.DISTRIBUTION} {version(reference.DISTRIBUTION)}"),
    ]


@router.get("/about")
def about_page(service: Serving) -> HTMLResponse:
    """The version, the database, and where to read on."""
    return render(
        "about.html",
        python=platform.python_version(),
        database=migration.installation(service.database),
        newest=migration.head(),
        served=served(),
    )


@router.get("/problems/{code}")
def problem_page(code: str) -> HTMLResponse:
    """What a kind of problem means: where the ``type`` of a problem document points."""
    kinds = problems.kinds()
    if code not in kinds:
        raise HTTPException(404)
    status, meaning = kinds[code]
    return render("kind.html", code=code, answered=status, meaning=meaning)
