"""Every study, newest first."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api.dashboard.pages import PageToken
from api.dashboard.rendering import render
from api.serving import OfDatabase
from tuner.service import studies

router = APIRouter(include_in_schema=False)

STUDIES_A_PAGE = 50


@router.get("/")
def studies_page(database: OfDatabase, request: Request, page_token: PageToken = None) -> HTMLResponse:
    """A page of them."""
    page = studies.page(database, page_size=STUDIES_A_PAGE, page_token=page_token)
    return render("studies.html", page=page, first=page_token is None, service=str(request.base_url).rstrip("/"))
