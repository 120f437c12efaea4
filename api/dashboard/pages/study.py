"""One study: the answer first, then why it is right, then its trials."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.dashboard.answer import answer_of
from api.dashboard.assets import PLOTLY, compress_ahead
from api.dashboard.charts import front_of
from api.dashboard.markdown import markdown
from api.dashboard.rendering import render, render_with_charts, smaller
from api.dashboard.trade_off import telling_runs
from api.dashboard.trial_table import TRIALS_A_PAGE, TableQuery, TrialTable, columns_of
from api.serving import OfDatabase, StudyAddress
from tuner.analysis.verdict import Name
from tuner.service import points, studies, workers
from tuner.service.edge import edge_of
from tuner.service.importance import FEWEST
from tuner.service.listing import Order, listed
from tuner.storage.database import Database
from tuner.trial import TrialState

router = APIRouter(prefix="/studies/{study}", include_in_schema=False)

READ_AT_ONCE = 10_000
"""Trials of a study that a page may read before it is shown."""

CURVES_AT_ONCE = 200
"""Trials whose curves it may read too."""

OfTable = Annotated[TableQuery, Query()]


@router.get("")
def study_page(study: StudyAddress, query: OfTable, database: OfDatabase, request: Request) -> Response:
    """The page."""
    compress_ahead(PLOTLY)
    shown = _regions(database, study, request, at_once=True)
    return smaller(request, render_with_charts("study.html", table=_table(database, study, query), **shown))


@router.get("/live")
def live(study: StudyAddress, database: OfDatabase, request: Request) -> Response:
    """Those regions of the page that change while trials run."""
    return smaller(request, render("study_regions.html", **_regions(database, study, request, at_once=False)))


@router.get("/trials")
def trials_table(study: StudyAddress, query: OfTable, database: OfDatabase, request: Request) -> Response:
    """The table of trials alone: what the page puts in place of its own."""
    return smaller(request, render("study_trials.html", table=_table(database, study, query), **_choices()))


def _regions(database: Database, address: str, request: Request, *, at_once: bool) -> dict[str, Any]:
    """What the regions say. ``at_once``: leave out what takes long; the page then asks for them once more."""
    study, _ = studies.get(database, address)
    answer = answer_of(study)
    definition = study.definition
    trade_off = definition is not None and definition.goal.is_trade_off
    many = sum(study.trials.values()) > (CURVES_AT_ONCE if trade_off else READ_AT_ONCE)
    left_out = at_once and many
    ranks_values = definition is not None and not definition.goal.is_about_steps
    stuck = answer is None and ranks_values and study.trials["complete"] > 0
    searched = set() if definition is None else definition.search_space.keys() - definition.fixed_parameters.keys()
    idle = not sum(study.trials.values()) and definition is not None and definition.objective is not None
    return {
        "study": study,
        "left_out": left_out,
        "answer": answer,
        "edge": None if answer is None else edge_of(database, study, answer.trial, thorough=not left_out),
        # Where nothing came of any trial, the rate below which something will.
        "limit": points.read(database, address).limit if stuck and not left_out else None,
        "runs": telling_runs(front_of(database, address, soon=many)) if trade_off and not left_out else None,
        "notes": None if definition is None or not definition.notes else markdown(definition.notes),
        "several_decide": len(searched) > 2 and study.trials["complete"] >= FEWEST,
        "nobody_works": idle and not any(worker.alive for worker in workers.listed(database)),
        "service": str(request.base_url).rstrip("/"),
        **_choices(),
    }


def _choices() -> dict[str, Any]:
    return {"states": list(TrialState), "verdicts": list(Name)}


def _table(database: Database, address: str, query: TableQuery) -> TrialTable:
    study, _ = studies.get(database, address)
    page = listed(
        database,
        address,
        wanted=query.wanted,
        order=Order.parse(query.sort),
        page_size=TRIALS_A_PAGE,
        page_token=query.page_token,
    )
    columns, available = columns_of(study, page.trials, query.columns)
    return TrialTable(study, query, page, columns, available)
