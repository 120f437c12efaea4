"""The application: routes, pages, middleware and errors put together."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Match

from api import dashboard, openapi, reference
from api.access import TokensOnly
from api.allowance import Allowance
from api.body import BodyLimit
from api.dashboard.pages.sign_in import sign_in_instead
from api.dashboard.rendering import refusal
from api.observing import Observed
from api.problems import describe, respond
from api.routes import (
    analyses,
    events,
    exports,
    health,
    measurements,
    objectives,
    running,
    studies,
    tokens,
    trials,
    workers,
)
from api.security import HEADERS, OwnHostOnly, OwnPagesOnly, SecurityHeaders, cors
from api.serving import Service
from tuner import __version__
from tuner.errors import DatabaseUnavailable, TunerError, Unauthenticated
from tuner.objectives import load_entry_points, load_module
from tuner.settings import Settings
from tuner.storage import migration
from tuner.storage.database import Database
from tuner.worker.sweeper import Sweeper

logger = logging.getLogger(__name__)

MACHINES_READ = ("/v1", "/healthz", "/readyz", "/metrics", "/openapi.json")
"""Addresses below which errors are problem documents; elsewhere they are pages, but for who asks for JSON."""


def create_app(settings: Settings, database: Database | None = None) -> FastAPI:
    """The application for these settings, on this database if one is given and on the settings' otherwise.

    What it needs of the outside happens at start-up: users' objectives are loaded, an SQLite database migrates itself,
    a server's schema is checked if it answers, and the sweeper begins. ``app.state.service.draining`` is for whoever
    stops it.

    Raises:
        InvalidInput: the database URL cannot be read.
    """
    service = Service(database or Database.of(settings), settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeper = await anyio.to_thread.run_sync(_start, service)
        yield
        service.draining.set()
        await anyio.to_thread.run_sync(sweeper.stop)
        await anyio.to_thread.run_sync(app.state.service.commits.close)
        if database is None:
            service.database.close()

    app = FastAPI(
        title="Tuner", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.service = service
    # Routes are tried in this order: first those that trials come through by the thousand. They become the
    # application's own: through a router that is included each request would be matched twice.
    for routes in (
        running,
        trials,
        studies,
        exports,
        analyses,
        measurements,
        events,
        objectives,
        workers,
        tokens,
        health,
        reference,
        dashboard,
    ):
        app.router.routes.extend(routes.router.routes)
    if settings.authentication:
        app.add_middleware(TokensOnly, refuse=_on_error, allowance=Allowance(settings.requests_per_second))
    app.add_middleware(OwnPagesOnly, others=settings.cors_origins)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, **cors(settings.cors_origins))
    app.add_middleware(OwnHostOnly, hosts=settings.hosts, authentication=settings.authentication)
    # Outside of those that refuse: a sender that reads no answer before all is sent must get that far.
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, seconds=settings.request_seconds)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Observed)
    for kind in (TunerError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _on_error)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    return app


def _start(service: Service) -> Sweeper:
    load_entry_points()
    for module in service.settings.objectives:
        load_module(module)
    try:
        migration.prepare(service.database)
    except DatabaseUnavailable as error:
        # Such as while it restarts, when this process takes another's place: readiness says when it is back.
        logger.warning("the service begins without its database: %s", error)
    sweeper = Sweeper(service.database)
    sweeper.start()
    return sweeper


async def _on_error(request: Request, error: Exception) -> Response:
    """Any error as its reader expects it."""
    problem, headers = describe(error)
    if problem.status == 405:
        headers = {"Allow": ", ".join(_methods(request))}
    # An unexpected error is answered outside all other middleware.
    headers = {**HEADERS, **headers}
    if request.url.path.startswith(MACHINES_READ) or request.headers.get("accept") == "application/json":
        return respond(problem, headers)
    if isinstance(error, Unauthenticated):
        form = sign_in_instead(request, problem)
        form.headers.update(headers)
        return form
    return refusal(problem, headers)


def _methods(request: Request) -> list[str]:
    """Every method that an address answers to; the router's own answer names those of one route only."""
    return [
        method
        for method in ("GET", "POST", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]
