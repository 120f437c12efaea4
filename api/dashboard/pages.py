"""The pages: each calls a use case and renders what it answers."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api import problems
from api.dashboard import format as readable
from api.dashboard.chart import draw
from api.problems import Problem
from api.routes.objectives import described, everything
from api.serving import OfDatabase, Serving, StudyAddress, TrialNumber
from tuner import __version__
from tuner.definition import Study
from tuner.service import studies, trials, workers

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

HERE = FilePath(__file__).parent

static = StaticFiles(directory=HERE / "static")

REFRESH = 5
"""Seconds after which a page of something that is still going on loads itself again."""

TRIALS_A_PAGE = 100
STUDIES_A_PAGE = 50
CURVE_POINTS = 700

COLUMNS = ("learning_rate", "steps")
"""Parameters that have a column of their own in a table of trials."""

PageToken = Annotated[str | None, Query(max_length=20)]

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "number": readable.number,
    "duration": readable.duration,
    "ago": readable.ago,
    "moment": readable.moment,
    "words": readable.words,
}


@dataclass(frozen=True)
class Progress:
    """How far a study is: the share of the budget's limit that it is nearest to, and that in words."""

    share: float | None
    words: str


def progress(study: Study) -> Progress:
    """The progress of a study against its budget."""
    spent, budget = study.spent, None if study.definition is None else study.definition.budget
    limits = [
        (spent.trials, budget.trials if budget else None, readable.number, "trials"),
        (
            spent.gradient_evaluations,
            budget.gradient_evaluations if budget else None,
            readable.number,
            "gradient evaluations",
        ),
        (spent.seconds, budget.seconds if budget else None, readable.duration, ""),
    ]
    shares = [
        Progress(min(1.0, done / limit), f"{show(done)} of {show(limit)} {unit}".strip())
        for done, limit, show, unit in limits
        if limit is not None
    ]
    total = sum(study.trials.values())
    return max(shares, key=lambda each: each.share or 0.0, default=Progress(None, f"{readable.number(total)} trials"))


_templates.globals["progress"] = progress


@router.get("/")
def studies_page(database: OfDatabase, request: Request, page_token: PageToken = None) -> HTMLResponse:
    """Every study, newest first."""
    page = studies.page(database, page_size=STUDIES_A_PAGE, page_token=page_token)
    going = any(study.state == "active" for study in page.studies)
    return _render(
        "studies.html", page=page, first=page_token is None, refresh=going, service=str(request.base_url).rstrip("/")
    )


@router.get("/studies/{study}")
def study_page(study: StudyAddress, database: OfDatabase, page_token: PageToken = None) -> HTMLResponse:
    """One study: the answer first, then how far it is, then its trials."""
    found, _ = studies.get(database, study)
    page = trials.page(database, study, page_size=TRIALS_A_PAGE, page_token=page_token)
    return _render(
        "study.html",
        study=found,
        page=page,
        columns=[name for name in COLUMNS if any(name in trial.parameters for trial in page.trials)],
        others=any(trial.parameters.keys() - set(COLUMNS) for trial in page.trials),
        first=page_token is None,
        refresh=found.state == "active",
    )


@router.get("/studies/{study}/trials/{number}")
def trial_page(study: StudyAddress, number: TrialNumber, database: OfDatabase) -> HTMLResponse:
    """One trial and its loss curve."""
    found, _ = studies.get(database, study)
    trial = trials.get(database, study, number)
    curves = trials.curve(database, study, number, max_points=CURVE_POINTS)
    return _render("trial.html", study=found, trial=trial, chart=draw(curves), refresh=trial.state == "running")


@router.get("/objectives")
def objectives_page() -> HTMLResponse:
    """Every registered objective."""
    return _render("objectives.html", objectives=everything())


@router.get("/objectives/{name}")
def objective_page(name: Annotated[str, Path()]) -> HTMLResponse:
    """One registered objective and its settings."""
    return _render("objective.html", objective=described(name))


@router.get("/workers")
def workers_page(database: OfDatabase) -> HTMLResponse:
    """The worker processes."""
    return _render("workers.html", workers=workers.listed(database), refresh=True)


@router.get("/about")
def about_page(service: Serving) -> HTMLResponse:
    """What this is, and what it runs on."""
    return _render(
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
    return _render("kind.html", code=code, status=status, meaning=meaning)


def refusal(problem: Problem, headers: Mapping[str, str]) -> HTMLResponse:
    """A problem as a page."""
    page = _render("problem.html", problem=problem)
    page.status_code = problem.status
    page.headers.update(headers)
    return page


def _render(template: str, *, refresh: bool = False, **context: Any) -> HTMLResponse:
    content = _templates.get_template(template).render(
        **context, refresh=REFRESH if refresh else None, version=__version__
    )
    return HTMLResponse(content)
