"""What every response tells the browser not to do, and whose pages may change anything."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Refused, describe, respond

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""A response may set its own: a static file may be kept."""

LOOPBACK_NAMES = {"localhost", "127.0.0.1", "[::1]"}

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

_ENCODED = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class SecurityHeaders:
    """Middleware that gives each response the headers it does not have."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(one for one in _ENCODED if one[0] not in given)]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class OwnPagesOnly:
    """Middleware that lets no other site's page change anything through its reader's browser.

    A browser says where a page that sends comes from (``Origin``); programs that are no browsers say nothing, and pass.
    So do pages of ``others``, origins that the operator names.
    """

    def __init__(self, app: ASGIApp, others: Collection[str] = ()) -> None:
        self.app = app
        self._others = frozenset(others)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            # Compared with the host alone: behind a proxy that ends TLS the scheme is not known here.
            own = origin is None or origin.partition("://")[2] == headers.get("host")
            if not own and origin not in self._others:
                problem, _ = describe(
                    Refused(403, "foreign_origin", f"A page of {origin} may not change anything here.")
                )
                await respond(problem, HEADERS)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def cors(origins: Collection[str]) -> dict[str, Any]:
    """What pages of these other origins may do: use the API by a token of theirs. A session's cookie stays ours."""
    return {
        "allow_origins": list(origins),
        "allow_methods": ["GET", "POST", "PATCH", "DELETE"],
        "allow_headers": ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID"],
        "expose_headers": ["ETag", "Location", "Retry-After", "X-Request-ID"],
    }


class OwnHostOnly:
    """Middleware that answers to the service's own names alone.

    Otherwise a page of another site could have its name lead to this machine, and be taken by the browser for one of
    ours (DNS rebinding). Where tokens are asked for any name will do unless some are given: the page has no token.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], *, authentication: bool) -> None:
        self.app = app
        self._hosts = {host.lower() for host in hosts} | (set() if authentication else LOOPBACK_NAMES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and self._hosts:
            host = Headers(scope=scope).get("host", "")
            name = host.rpartition(":")[0] if re.search(r":[0-9]*$", host) else host
            if name.lower() not in self._hosts:
                problem, _ = describe(
                    Refused(421, "foreign_host", f"This service does not go by {name!r}: see TUNER_HOSTS.")
                )
                await respond(problem, HEADERS)(scope, receive, send)
                return
        await self.app(scope, receive, send)
