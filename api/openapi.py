"""The OpenAPI document: the framework's, made to say what our errors really look like."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import MEDIA_TYPE, Problem
from api.security import SAFE_METHODS

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
    {"name": "health", "description": "For whoever watches over the service."},
]

DESCRIPTION = """Finds the learning rate and the number of steps for gradient descent.

Errors are `application/problem+json` (RFC 9457), with a stable `code` and the fields that are wrong. Losses and
metrics that are not finite travel as the strings `"NaN"`, `"Infinity"` and `"-Infinity"`. Times are UTC."""


FOREIGN = {
    "description": "Forbidden: `foreign_origin`",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
"""What other sites' pages are answered, whatever they want to change."""


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
        for operations in found["paths"].values():
            for method, operation in operations.items():
                answers = operation["responses"]
                if method.upper() not in SAFE_METHODS:
                    answers["403"] = FOREIGN
                if "HTTPValidationError" in str(answers.get("422")):
                    del answers["422"]
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs"))
        schemas["Problem"] = problem
        found["components"]["schemas"] = dict(sorted(schemas.items()))
        app.openapi_schema = found
    return app.openapi_schema
