"""Signing in with a token, for browsers: they get a session of their own, in a cookie that no script can read."""

from urllib.parse import parse_qs

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.access import COOKIE
from api.dashboard.rendering import render
from api.problems import Problem
from api.serving import Serving
from tuner.errors import Unauthenticated
from tuner.service import tokens

router = APIRouter(include_in_schema=False)


def sign_in_form(back: str, refusal: str | None = None, *, status: int = 200) -> HTMLResponse:
    """The form; ``back``: the address to go to afterwards."""
    return render("sign_in.html", status=status, back=back, refusal=refusal)


def sign_in_instead(request: Request, problem: Problem) -> HTMLResponse:
    """The form in place of what was asked for. Who has shown no token yet has made no mistake."""
    shown = COOKIE in request.cookies or "authorization" in request.headers
    back = request.url.path if request.method == "GET" else "/"
    return sign_in_form(back, problem.detail if shown else None, status=problem.status)


@router.get("/sign-in")
def sign_in_page(service: Serving) -> Response:
    """The form, where one has to sign in at all."""
    return sign_in_form("/") if service.settings.authentication else RedirectResponse("/", 303)


@router.post("/sign-in")
async def sign_in(request: Request, service: Serving) -> Response:
    """Open a session with a token."""
    form = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=10)
    back = _local(form.get("back", ["/"])[0])
    try:
        secret = await anyio.to_thread.run_sync(tokens.sign_in, service.database, form.get("token", [""])[0].strip())
    except Unauthenticated as error:
        return sign_in_form(back, str(error), status=401)
    response = RedirectResponse(back, 303)
    response.set_cookie(COOKIE, secret, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return response


@router.post("/sign-out")
async def sign_out(request: Request, service: Serving) -> Response:
    """End the session."""
    await anyio.to_thread.run_sync(tokens.sign_out, service.database, request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _local(address: str) -> str:
    """An address of ours; what would lead elsewhere leads home."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"
