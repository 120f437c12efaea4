"""The dashboard: pages for people, rendered here, brought to life by small scripts that call the public API."""

from fastapi import APIRouter

from api.dashboard import assets, charts
from api.dashboard.pages import about, compare, descents, new_study, objectives, sign_in, studies, study, trial, workers

router = APIRouter()
for part in (
    assets,
    charts,
    descents,
    studies,
    new_study,
    study,
    compare,
    trial,
    objectives,
    workers,
    about,
    sign_in,
):
    router.include_router(part.router)
