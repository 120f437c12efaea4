"""What a client is told when something is refused: RFC 9457 problem documents, from one table.

Every error leaves through `describe`, whoever raised it: ours, the framework's, or one that nobody expected. ``code``
is stable and machine-readable, ``type`` is the address of a page that explains it, ``errors`` names the fields.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tuner.errors import (
    AccessRefused,
    Conflict,
    DatabaseUnavailable,
    FieldError,
    InvalidInput,
    NotFound,
    ObjectiveFailed,
    StorageError,
    StudyChanged,
    TooManyOpenTrials,
    TunerError,
    Unauthenticated,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[type[TunerError], int] = {
    InvalidInput: 422,
    ObjectiveFailed: 422,
    NotFound: 404,
    Conflict: 409,
    StudyChanged: 412,
    Unauthenticated: 401,
    AccessRefused: 403,
    TooManyOpenTrials: 429,
    StorageError: 503,
    TunerError: 500,
}
"""The status of each error; of the classes that are not here, that of the nearest above."""

CODES: Mapping[int, str] = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    500: "internal_error",
    503: "unavailable",
}
"""The codes of refusals that have no class of their own: those of HTTP itself."""

RETRY_AFTER = "1"
"""Seconds after which what is unavailable may be asked again."""


class FieldProblem(BaseModel):
    """One thing wrong with one field."""

    field: str = Field(description="Dotted path into the input, or the name of a query parameter or header.")
    message: str


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(description="Where this kind of problem is explained, relative to the service.")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable and machine-readable.")
    errors: list[FieldProblem] = Field(description="The fields that are wrong; empty where none is.")


class Refused(HTTPException):
    """A refusal that only HTTP knows: of a body that is no JSON, of a service that is about to stop."""

    def __init__(
        self, status: int, code: str, detail: str, *fields: FieldError, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code
        self.fields = fields


def describe(error: Exception) -> tuple[Problem, Mapping[str, str]]:
    """The problem document of an error, and the headers that go with it."""
    headers: Mapping[str, str] = {}
    if isinstance(error, RequestValidationError):
        error = _invalid(error)
    match error:
        case StorageError():
            # What the database said is for the operator: it names hosts and files.
            logger.error("%s: %s", type(error).__name__, error)
            status, code, title = status_of(type(error)), error.code, error.title
            detail, headers = "The database does not serve at the moment; try again.", {"Retry-After": RETRY_AFTER}
        case Unauthenticated():
            status, code, title, detail = 401, error.code, error.title, str(error)
            headers = {"WWW-Authenticate": "Bearer"}
        case TooManyOpenTrials():
            status, code, title, detail = status_of(type(error)), error.code, error.title, str(error)
            headers = {"Retry-After": RETRY_AFTER}
        case TunerError():
            status, code, title, detail = status_of(type(error)), error.code, error.title, str(error)
        case HTTPException():
            status, title, headers = error.status_code, HTTPStatus(error.status_code).phrase, error.headers or {}
            code = error.code if isinstance(error, Refused) else CODES.get(status, "http_error")
            detail = error.detail if isinstance(error, Refused) else _EXPLAINED.get(status, title)
        case _:
            status, code, title = 500, CODES[500], HTTPStatus(500).phrase
            detail = "Something went wrong in the service; its log says what."
    fields = error.fields if isinstance(error, InvalidInput | Refused) else ()
    problem = Problem(
        type=f"/problems/{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        errors=[FieldProblem(field=field.field, message=field.message) for field in fields],
    )
    return problem, headers


_EXPLAINED = {
    404: "There is nothing at this address.",
    405: "This address does not answer to that method; the Allow header names those it does.",
    408: "The body of the request has taken too long to arrive.",
}


def status_of(kind: type[TunerError]) -> int:
    """The HTTP status of a class of errors."""
    return next(STATUS[base] for base in kind.__mro__ if base in STATUS)


@cache
def _statuses() -> Mapping[str, int]:
    return {code: status for code, (status, _) in kinds().items()}


def status_of_code(code: str | None) -> int:
    """The HTTP status of an error by its code; of none, that of a success."""
    return 200 if code is None else _statuses()[code]


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as a response. ASCII only, so that any text it quotes can be sent."""
    return Response(json.dumps(problem.model_dump(), allow_nan=False), problem.status, headers, media_type=MEDIA_TYPE)


def documented(
    *errors: type[TunerError], body: bool = False, refusals: Mapping[int, Sequence[str]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI ``responses`` of an operation that may raise these errors.

    Any operation on the database may find it gone, and any may fail; ``body`` adds what can be wrong with a body,
    ``refusals`` the codes, by their status, that have no class.
    """
    codes: dict[int, list[str]] = {}
    raised: tuple[type[TunerError], ...] = (*errors, DatabaseUnavailable)
    for kind in raised:
        codes.setdefault(status_of(kind), []).append(kind.code)
    for status in (400, 408, 413, 415, 500) if body else (500,):
        codes.setdefault(status, []).append(CODES[status])
    for status, further in (refusals or {}).items():
        codes.setdefault(status, []).extend(further)
    return {status: described(*codes[status]) for status in sorted(codes)}


def described(*codes: str) -> dict[str, Any]:
    """The OpenAPI response of a refusal with one of these codes."""
    # Without the status's phrase, which is another one from Python 3.13 on.
    return {
        "description": ", ".join(f"`{code}`" for code in codes),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def kinds() -> dict[str, tuple[int, str]]:
    """Every code that can be answered: its status and what it means."""
    found = {code: (status, _EXPLAINED.get(status, f"{HTTPStatus(status).phrase}.")) for status, code in CODES.items()}
    found["too_many_streams"] = (503, "The process serves as many event streams as it may; try again.")
    found["too_many_requests"] = (429, "The token sends more requests than it may; the header says when to go on.")
    found["foreign_host"] = (421, "The service does not go by the name under which it was called.")
    found["foreign_origin"] = (403, "A page of another site may not change anything here.")
    found["draining"] = (503, "The service is about to stop and gives out no more trials.")
    pending: list[type[TunerError]] = [TunerError]
    while pending:
        kind = pending.pop()
        # The client's own errors are loaded where a program has both; the service answers none of them.
        pending += [below for below in kind.__subclasses__() if below.__module__ == TunerError.__module__]
        found[kind.code] = (status_of(kind), (kind.__doc__ or "").partition("\n")[0])
    return dict(sorted(found.items()))


def _invalid(error: RequestValidationError) -> InvalidInput:
    """The framework's validation error as ours: fields of the body by their path, all else by its name."""
    in_body, elsewhere = [], []
    for found in error.errors():
        place, *path = found["loc"]
        if place == "body":
            in_body.append({**found, "loc": tuple(path)})
        else:
            elsewhere.append(FieldError(".".join(map(str, path)), found["msg"]))
    return InvalidInput(*InvalidInput.from_validation(in_body, error.body).fields, *elsewhere)
