"""Who may send which request: every one needs a token of a scope, but for a short list of those that need none.

The rule looks at method and address alone, before any route does, so that a route that is added later is closed until
somebody opens it. Programs send ``Authorization: Bearer tuner_…``; browsers a session's cookie (`sign_in`).
"""

import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial

import anyio.to_thread
from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from api.allowance import Allowance
from api.problems import Refused
from api.security import SAFE_METHODS
from tuner.errors import OutOfScope, TunerError, Unauthenticated
from tuner.service import tokens
from tuner.service.tokens import Bearer, Scope
from tuner.storage.database import Database

OPEN = ("/healthz", "/readyz", "/sign-in")
OPEN_BELOW = "/assets/"
"""What needs no token: the probes, and the page for signing in with what it loads."""

OF_WORK = (":ask", ":report", ":tell", ":heartbeat", ":release")
"""Verbs of training clients."""

OF_READERS = (":preview", ":analyse", ":validate", "/sign-out")
"""What is posted and changes nothing that others see."""

COOKIE = "tuner_session"

REMEMBERED_FOR = 5.0
"""Seconds for which a process goes on knowing a token without asking the database: a revoked one works that long."""

MOST_REMEMBERED = 10_000


def needed(method: str, path: str) -> Scope | None:
    """The scope that a request takes; None where it takes no token."""
    if path in OPEN or path.startswith(OPEN_BELOW):
        return None
    if path == "/v1/tokens" or path.startswith("/v1/tokens/"):
        return Scope.ADMIN
    if method in SAFE_METHODS or (method == "POST" and path.endswith(OF_READERS)):
        return Scope.READ
    return Scope.WORK if method == "POST" and path.endswith(OF_WORK) else Scope.WRITE


class TokensOnly:
    """Middleware that lets a request pass if its token goes so far. ``refuse`` makes a response of an error."""

    def __init__(
        self, app: ASGIApp, refuse: Callable[[Request, Exception], Awaitable[Response]], allowance: Allowance
    ) -> None:
        self.app = app
        self._refuse = refuse
        self._allowance = allowance
        self._known: dict[bytes, tuple[float, Bearer]] = {}

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http":
            request = Request(scope, receive)
            takes = needed(scope["method"], scope["path"])
            try:
                if takes is not None:
                    await self._admit(request, takes)
            except (TunerError, Refused) as error:
                await (await self._refuse(request, error))(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _admit(self, request: Request, takes: Scope) -> None:
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        cookie = request.cookies.get(COOKIE)
        if kind.lower() == "bearer":
            bearer = await self._bearer(request, text.strip(), tokens.bearer_of)
        elif cookie is not None:
            bearer = await self._bearer(request, cookie, tokens.bearer_of_session)
            if request.method not in SAFE_METHODS and "origin" not in request.headers:
                raise Refused(403, "foreign_origin", "A browser's session changes things from our own pages only.")
        else:
            raise Unauthenticated("send a token: Authorization: Bearer tuner_…")
        if not bearer.scope.covers(takes):
            raise OutOfScope(f"the token {bearer.name!r} has the scope {bearer.scope}; this takes {takes}")
        wait = self._allowance.take(bearer.token_id)
        if wait:
            raise Refused(
                429,
                "too_many_requests",
                f"The token {bearer.name!r} sends more requests than it may.",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        request.state.bearer = bearer

    async def _bearer(self, request: Request, text: str, find: Callable[[Database, str], Bearer]) -> Bearer:
        database: Database = request.app.state.service.database
        # A token sent as a cookie is none. What is remembered is no secret that a dump of the memory would give away.
        key = hashlib.sha256(f"{find.__name__} {text}".encode()).digest()
        until, bearer = self._known.get(key, (0.0, None))
        if bearer is None or until < time.monotonic():
            bearer = await anyio.to_thread.run_sync(partial(find, database, text))
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[key] = (time.monotonic() + REMEMBERED_FOR, bearer)
        return bearer
