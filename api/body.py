"""Request bodies: read up to a limit, and parsed as strict JSON.

Python's JSON reader takes what JSON does not have (``NaN``), makes infinities of large numbers, and passes on text that
no UTF-8 can hold. Each of these would surface later, far from the field that carried it; here the field is named.
"""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Iterator
from math import isinf
from typing import Any, NoReturn

import anyio
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import CODES, Refused, describe, respond
from tuner.errors import FieldError, InvalidInput
from tuner.limits import DEEPEST, LONGEST_INTEGER

PATIENCE = 10.0
"""Seconds for which the rest of a refused body is read and thrown away, so that its sender reads the refusal."""


class BodyLimit:
    """Middleware that reads a body whole before anybody looks at it, and refuses one beyond the limit with 413.

    A body is counted as it arrives, whether or not its length was declared, and never held beyond the limit. One that
    has not arrived after ``seconds`` is refused with 408: a slow sender does not hold a connection for ever.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if _declared(headers) > self.limit:
            # Who asked whether to go on has sent nothing yet, and is told not to.
            await self._refuse(receive, send, scope, waits="100-continue" in headers.get("expect", "").lower())
            return
        chunks: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self.seconds):
                while more and size <= self.limit:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    more = message.get("more_body", False)
        except TimeoutError:
            problem, _ = describe(
                Refused(408, CODES[408], f"The body has not arrived within {self.seconds:g} seconds.")
            )
            await respond(problem, {"Connection": "close"})(scope, receive, send)
            return
        if size > self.limit:
            chunks.clear()
            await self._refuse(receive, send, scope, waits=not more)
            return
        body: list[Message] = [{"type": "http.request", "body": b"".join(chunks), "more_body": False}]
        chunks.clear()

        async def replay() -> Message:
            return body.pop() if body else await receive()

        await self.app(scope, replay, send)

    async def _refuse(self, receive: Receive, send: Send, scope: Scope, *, waits: bool) -> None:
        """Answer 413, and then go on reading for a while.

        Closing a connection on which data still arrives resets it, and takes the answer from a client that is sending.
        """
        refusal = Refused(
            413, CODES[413], f"The body is larger than {self.limit} bytes.", FieldError("body", "too large")
        )
        problem, headers = describe(refusal)

        async def send_and_drain(message: Message) -> None:
            if message["type"] != "http.response.body" or waits:
                await send(message)
                return
            await send({**message, "more_body": True})
            with anyio.move_on_after(PATIENCE):
                while (received := await receive())["type"] == "http.request" and received.get("more_body", False):
                    pass
            await send({"type": "http.response.body", "body": b""})

        await respond(problem, {**headers, "Connection": "close"})(scope, receive, send_and_drain)


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


class JsonRoute(APIRoute):
    """A route whose body, where it takes one, is strict JSON and says so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, given a request whose body is parsed already."""
        handle = super().get_route_handler()

        async def handle_parsed(request: Request) -> Response:
            document = await read_document(request) if self.body_field is not None else None
            return await handle(request if document is None else _ParsedRequest(request, *document))

        return handle_parsed


async def read_document(request: Request) -> tuple[Any, bytes] | None:
    """The document in a request's body, and its bytes; None where there is no body.

    Raises:
        Refused: it does not say that it is JSON, or is none.
        InvalidInput: as `parse`.
    """
    body = await request.body()
    if not body:
        return None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        given = media_type or "of no declared type"
        raise Refused(415, CODES[415], f"The body is {given}; send it with Content-Type: application/json.")
    return parse(body), body


class _ParsedRequest(Request):
    """A request whose body has been read already, and is parsed by our rules."""

    def __init__(self, request: Request, document: Any, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._document = document
        self._read = body

    async def body(self) -> bytes:
        return self._read

    async def json(self) -> Any:
        return self._document


_SURROGATE = re.compile("[\ud800-\udfff]")


class _Unreadable(Exception):
    """A number that is none; in a parsed document it stands in the number's place, until that is known."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_SUSPECT = (str, list, dict, _Unreadable)


def parse(body: bytes) -> Any:
    """The JSON document of a body.

    Raises:
        Refused: it is no JSON, or is nested too deeply.
        InvalidInput: it holds a number that is none or text that is none; the field is its path.
    """
    try:
        text = body.decode()
        try:
            document = _READER.decode(text)
            # Only an escape brings half a surrogate pair into what is UTF-8.
            plain = b"\\u" not in body and not _is_deep(document, body.count(b"{") + body.count(b"["))
        except _Unreadable:
            document, plain = _MARKER.decode(text), False
    except UnicodeDecodeError:
        raise _malformed("is not UTF-8") from None
    except RecursionError:
        raise _malformed(f"is nested more than {DEEPEST} levels deep") from None
    except ValueError as error:
        raise _malformed(f"is not JSON: {error}") from None
    problems = [] if plain else list(_problems(document))
    if problems:
        raise InvalidInput(*problems)
    return document


def _malformed(message: str) -> Refused:
    return Refused(400, CODES[400], f"The body {message}.", FieldError("body", message))


def _constant(text: str) -> NoReturn:
    raise _Unreadable(f'{text} is not JSON; where it is a loss, send the string "{text}"')


def _float(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise _Unreadable("is beyond the range of a double")
    return value


def _int(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise _Unreadable("is beyond the range of a double")
    return int(text)


def _marking(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader of numbers that passes on what is none in the number's place."""

    def read_or_mark(text: str) -> Any:
        try:
            return read(text)
        except _Unreadable as mark:
            return mark

    return read_or_mark


_READER = json.JSONDecoder(parse_constant=_constant, parse_float=_float, parse_int=_int)
_MARKER = json.JSONDecoder(parse_constant=_marking(_constant), parse_float=_marking(_float), parse_int=_marking(_int))


def _is_deep(document: Any, brackets: int) -> bool:
    """Whether a document is nested too deeply, given how many opening brackets its text has: most have too few."""
    if brackets <= DEEPEST:
        return False
    level = [document]
    for _ in range(DEEPEST):
        below = []
        for one in level:
            items = one.values() if isinstance(one, dict) else one
            below += [item for item in items if isinstance(item, (dict, list))]
        level = below
    return bool(level)


def _problems(document: Any) -> Iterator[FieldError]:
    """What a parsed document holds that it must not, with its place."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), document)]
    while pending:
        path, value = pending.pop()
        match value:
            case _Unreadable():
                yield FieldError(".".join(path) or "body", value.reason)
            case str() if _SURROGATE.search(value):
                yield FieldError(".".join(path) or "body", "holds half a surrogate pair, which is no character")
            case dict() | list() if len(path) >= DEEPEST:
                raise _malformed(f"is nested more than {DEEPEST} levels deep")
            case list():
                # A long list of numbers, which are good by now, takes no path apiece.
                pending += [((*path, str(i)), item) for i, item in enumerate(value) if isinstance(item, _SUSPECT)]
            case dict():
                for key, item in value.items():
                    if _SURROGATE.search(key):
                        yield FieldError(".".join(path) or "body", "has a key with half a surrogate pair")
                    else:
                        pending.append(((*path, key), item))
