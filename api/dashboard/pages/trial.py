"""One trial: its point, what came of it, and its loss curve."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from api.dashboard.chart import draw
from api.dashboard.rendering import render
from api.serving import OfDatabase, StudyAddress, TrialNumber
from tuner.service import studies, trials

router = APIRouter(prefix="/studies/{study}/trials", include_in_schema=False)

CURVE_POINTS = 700


@router.get("/{number}")
def trial_page(study: StudyAddress, number: TrialNumber, database: OfDatabase) -> HTMLResponse:
    """The page."""
    found, _ = studies.get(database, study)
    trial = trials.get(database, study, number)
    curves = trials.curve(database, study, number, max_points=CURVE_POINTS)
    return render("trial.html", study=found, trial=trial, chart=draw(curves))
