"""Templates made into pages: the one Jinja environment, and what every template may call."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.dashboard import format as readable
from api.dashboard.assets import PLOTLY, asset, compressed
from api.dashboard.compiled import Beside
from api.dashboard.signs import sign
from api.problems import Problem
from api.security import HEADERS
from tuner import __version__
from tuner.definition import Study

CHART_POLICY = HEADERS["Content-Security-Policy"] + "; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:"
"""Of pages with charts: Plotly writes styles and offers pictures to save. Scripts are the service's own everywhere."""


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


FOLDER = Path(__file__).parent / "templates"

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    bytecode_cache=Beside(FOLDER),
    optimized=False,
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
    "opening": readable.opening,
    "sign": sign,
}
_templates.globals |= {"asset": asset, "plotly": asset(PLOTLY), "progress": progress, "version": __version__}


def render(
    template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
) -> HTMLResponse:
    """A template as a page."""
    return HTMLResponse(_templates.get_template(template).render(**context), status, headers)


def render_with_charts(template: str, **context: Any) -> HTMLResponse:
    """A template as a page that has charts: it finds Plotly, and the policy lets Plotly style them."""
    return render(template, headers={"Content-Security-Policy": CHART_POLICY}, charts=True, **context)


def smaller(request: Request, page: HTMLResponse) -> Response:
    """A page through gzip where it is worth it and the reader takes it so: those that are long, or fetched often."""
    headers = {name: value for name, value in page.headers.items() if name not in {"content-length", "content-type"}}
    return compressed(request, bytes(page.body), "text/html", headers, page.status_code)


def refusal(problem: Problem, headers: Mapping[str, str]) -> HTMLResponse:
    """A problem as a page."""
    return render("problem.html", status=problem.status, headers=headers, problem=problem)
