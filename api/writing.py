"""Routes of what training clients write, by the thousand: described by FastAPI, called without its dependency solver.

The solver looks up, request after request, where each argument comes from, and keeps stacks of what is to be closed
afterwards; that takes longer than all that is done with the request before it is handed to the writer. These endpoints
have few arguments, always the same kinds: what the path names, a `Writer`, and a body. They are told apart once, and
validated by the same types.
"""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

from api.body import JsonRoute, read_document
from api.serving import KeyHeader, StudyAddress, TrialNumber, Writing, writer

_KEY: TypeAdapter[Any] = TypeAdapter(KeyHeader)
_KEY_HEADER = "Idempotency-Key"
_FROM_PATH = (StudyAddress, TrialNumber)


class WritingRoute(JsonRoute):
    """A route whose endpoint takes parts of its path, a `Writer` and one body, and answers a ready response."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **described: Any) -> None:
        super().__init__(path, endpoint, **described)
        self.app = self._answer
        self._handle = self.get_route_handler()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What is raised here the application answers, as it does for every route.
        response = await self._handle(Request(scope, receive, send))
        await response(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler."""
        arguments = inspect.signature(self.endpoint).parameters.values()
        in_path: list[tuple[str, TypeAdapter[Any]]] = [
            (one.name, TypeAdapter(one.annotation)) for one in arguments if one.annotation in _FROM_PATH
        ]
        [writes] = [one.name for one in arguments if one.annotation == Writing]
        [body] = [one for one in arguments if one.annotation != Writing and one.annotation not in _FROM_PATH]
        model: TypeAdapter[Any] = TypeAdapter(body.annotation)
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            values = {name: kind.validate_python(request.path_params[name]) for name, kind in in_path}
            key = _validated(_KEY, request.headers.get(_KEY_HEADER), "header", _KEY_HEADER)
            document = await read_document(request)
            if document is not None:
                values[body.name] = _validated(model, document[0], "body")
            elif body.default is inspect.Parameter.empty:
                missing = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}
                raise RequestValidationError([missing])
            values[writes] = await writer(request, key)
            response: Response = await endpoint(**values)
            return response

        return handle


def _validated(kind: TypeAdapter[Any], value: Any, *place: str) -> Any:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        problems = [{**problem, "loc": (*place, *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(problems, body=value) from None
