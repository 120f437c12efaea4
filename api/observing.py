"""What is noted of each request: its id, how long it took, and how it ended."""

import logging
import re
import secrets
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from tuner import logs

logger = logging.getLogger("tuner.requests")

GIVEN_ID = re.compile("[A-Za-z0-9._-]{1,64}")
"""What is taken over of a caller's own id: anything else could forge a line of the log."""

ABOUT = re.compile("/studies/([^/:]{1,100})(?:/trials/([0-9]{1,10}))?")

NO_ROUTE = "(none)"

LOUDNESS = ((400, logging.DEBUG), (500, logging.INFO), (501, logging.ERROR), (600, logging.WARNING))
"""How loud an answer is logged whose status is below a number: a refusal, a fault, what will pass."""


class Observed:
    """Middleware that gives each request an id, counts it and logs it; what goes wrong is logged louder."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        about = {"request": request_id}
        if found := ABOUT.search(scope["path"]):
            about |= {"study": found[1]} | ({"trial": found[2]} if found[2] else {})
        status = 500
        began = time.perf_counter()

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        token = logs.context.set(about)
        try:
            await self.app(scope, receive, send_noting)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path_format", NO_ROUTE)
            metrics.answered(scope["method"], route, status).inc()
            # An event stream lasts as long as its reader likes.
            if not route.endswith("/events"):
                metrics.duration(scope["method"], route).observe(seconds)
            level = next(level for below, level in LOUDNESS if status < below)
            if logger.isEnabledFor(level):
                fields = {"method": scope["method"], "path": scope["path"], "status": status}
                logger.log(
                    level,
                    "%s %r %d in %.1f ms",
                    scope["method"],
                    scope["path"],
                    status,
                    1000 * seconds,
                    extra={"fields": {**fields, "milliseconds": round(1000 * seconds, 2)}},
                )
            logs.context.reset(token)
