"""One study: the answer first, then how far it is, then its trials."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from api.dashboard.pages import PageToken
from api.dashboard.rendering import render, render_with_charts
from api.serving import OfDatabase, StudyAddress
from tuner.service import studies, trials

router = APIRouter(prefix="/studies/{study}", include_in_schema=False)

TRIALS_A_PAGE = 100

COLUMNS = ("learning_rate", "steps")
"""Parameters that have a column of their own in a table of trials."""


@router.get("")
def study_page(study: StudyAddress, database: OfDatabase, page_token: PageToken = None) -> HTMLResponse:
    """The page."""
    page = trials.page(database, study, page_size=TRIALS_A_PAGE, page_token=page_token)
    found, _ = studies.get(database, study)
    return render_with_charts(
        "study.html",
        study=found,
        page=page,
        columns=[name for name in COLUMNS if any(name in trial.parameters for trial in page.trials)],
        others=any(trial.parameters.keys() - set(COLUMNS) for trial in page.trials),
        first=page_token is None,
    )


@router.get("/live")
def live(study: StudyAddress, database: OfDatabase) -> HTMLResponse:
    """Those regions of the page that change while trials run."""
    found, _ = studies.get(database, study)
    return render("study_regions.html", study=found)
