"""The OpenAPI document: the framework's, made to say what our errors really look like."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.access import OPEN
from api.problems import Problem, described

TAGS = [
    {"name": "studies", "description": "A study searches one objective under one budget."},
    {"name": "trials", "description": "A trial is one descent at one point of the search space."},
    {
        "name": "analyses",
        "description": "What trials show, taken together; and what is measured beside them: range tests, stability.",
    },
    {"name": "events", "description": "What changes, as it changes: server-sent events."},
    {"name": "objectives", "description": "The gradient-descent problems that the service runs itself."},
    {"name": "workers", "description": "The processes that run them."},
    {"name": "tokens", "description": "Who may do what, where the service asks for tokens."},
    {"name": "health", "description": "For whoever watches over the service."},
]

DESCRIPTION = """Finds the learning rate and the number of steps for gradient descent.

Errors are `application/problem+json` (RFC 9457), with a stable `code` and the fields that are wrong. Losses and
metrics that are not finite travel as the strings `"NaN"`, `"Infinity"` and `"-Infinity"`. Times are UTC."""


BEFORE_ANY_ROUTE: Mapping[int, Sequence[str]] = {421: ["foreign_host"]}
"""Whatever is asked may be refused so, by status."""

WITH_TOKENS: Mapping[int, Sequence[str]] = {
    401: ["unauthenticated"],
    403: ["out_of_scope", "foreign_origin"],
    429: ["too_many_requests"],
}
"""The same of whatever takes a token where the service asks for tokens; pages of other sites are refused anywhere."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document of the application, made once."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS,
            separate_input_output_schemas=False,
        )  # fmt: skip
        schemas: dict[str, Any] = found.setdefault("components", {}).setdefault("schemas", {})
        # The framework announces validation errors of its own shape where a route does not; none is ever sent.
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for path, operations in found["paths"].items():
            for operation in operations.values():
                answers = operation["responses"]
                if "HTTPValidationError" in str(answers.get("422")):
                    del answers["422"]
                _add(answers, BEFORE_ANY_ROUTE)
                if path not in OPEN:
                    _add(answers, WITH_TOKENS)
                    operation["security"] = [{"token": []}, {}]
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs"))
        schemas["Problem"] = problem
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["components"]["schemas"] = dict(sorted(schemas.items()))
        app.openapi_schema = found
    return app.openapi_schema


def _add(answers: dict[str, Any], refusals: Mapping[int, Sequence[str]]) -> None:
    """Add codes to those that an operation documents itself."""
    for status, codes in refusals.items():
        known = answers.get(str(status), {}).get("description", "")
        answers[str(status)] = described(*re.findall("`(.*?)`", known), *codes)
