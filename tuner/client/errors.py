"""What a refusal over HTTP is to Python: the same error that the service raised, found by its stable ``code``.

Two errors are the client's own, and sit in the same tree::

    TunerError
    ├── ServiceUnreachable    no usable answer for as long as the client was patient
    └── UnexpectedAnswer      what answered is no Tuner service, or one that failed
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import httpx

from tuner.errors import Conflict, FieldError, InvalidInput, NotFound, TunerError


class ServiceUnreachable(TunerError):
    """The service did not answer, or said that it cannot serve, for as long as the client was patient.

    Whether a write arrived is then unknown; made again, it carries a new key. ``retry_after``: seconds that the
    service asked for, or None.
    """

    code = "service_unreachable"
    title = "Service unreachable"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnexpectedAnswer(TunerError):
    """The answer is none that a Tuner service gives when all is well. ``status`` is its HTTP status."""

    code = "unexpected_answer"
    title = "Unexpected answer"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


_BY_STATUS: Mapping[int, type[TunerError]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.PRECONDITION_FAILED: Conflict,
    HTTPStatus.BAD_REQUEST: InvalidInput,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidInput,
}
"""What a refusal is whose code this version does not know."""


def refusal(response: httpx.Response) -> TunerError:
    """The error that a response other than a success stands for."""
    problem = _problem(response)
    if problem is None:
        return UnexpectedAnswer(
            f"{response.request.method} {response.request.url} answered {response.status_code} "
            f"{response.reason_phrase}, and no problem document: is this a Tuner service?",
            response.status_code,
        )
    kind = _CODES.get(problem["code"]) or _BY_STATUS.get(response.status_code)
    detail = _detail(problem)
    if kind is None:
        return UnexpectedAnswer(f"the service answered {response.status_code}: {detail}", response.status_code)
    if not issubclass(kind, InvalidInput):
        return kind(detail)
    fields = [FieldError(str(error["field"]), str(error["message"])) for error in problem.get("errors") or ()]
    return kind(*fields) if fields else kind.at("request", detail)


def reason(response: httpx.Response) -> str:
    """Why a response is no success, in words."""
    problem = _problem(response)
    return response.reason_phrase if problem is None else _detail(problem)


def _detail(problem: Mapping[str, Any]) -> str:
    return str(problem.get("detail") or problem.get("title") or problem["code"])


def _problem(response: httpx.Response) -> dict[str, Any] | None:
    if not response.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        document = response.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) and isinstance(document.get("code"), str) else None


def _kinds(root: type[TunerError]) -> Iterator[type[TunerError]]:
    for kind in root.__subclasses__():
        yield from _kinds(kind)
        yield kind


# Our own two say what the client found, which no service answers.
_CODES = {kind.code: kind for kind in _kinds(TunerError) if kind not in {ServiceUnreachable, UnexpectedAnswer}}
