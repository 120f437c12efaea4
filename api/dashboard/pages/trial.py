"""One trial: its point, what came of it and why, who ran it."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from api.dashboard.answer import answer_of
from api.dashboard.evidence import in_words
from api.dashboard.rendering import render, render_with_charts
from api.serving import OfDatabase, StudyAddress, TrialNumber
from tuner.service import attempts, studies, trials
from tuner.service.edge import edge_of
from tuner.storage.database import Database

router = APIRouter(prefix="/studies/{study}/trials", include_in_schema=False)


@router.get("/{number}")
def trial_page(study: StudyAddress, number: TrialNumber, database: OfDatabase) -> HTMLResponse:
    """The page."""
    return render_with_charts("trial.html", **_regions(database, study, number))


@router.get("/{number}/live")
def live(study: StudyAddress, number: TrialNumber, database: OfDatabase) -> HTMLResponse:
    """Those regions of the page that change while the trial runs."""
    return render("trial_regions.html", **_regions(database, study, number))


def _regions(database: Database, address: str, number: int) -> dict[str, Any]:
    study, _ = studies.get(database, address)
    trial = trials.get(database, address, number)
    best = answer_of(study)
    return {
        "study": study,
        "trial": trial,
        "edge": edge_of(database, study, trial),
        "evidence": in_words(trial.evidence),
        "attempts": attempts.attempts(database, address, number),
        "is_best": best is not None and best.trial.number == number,
        # Numbers have no gaps.
        "last": sum(study.trials.values()) - 1,
    }
