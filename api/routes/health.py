"""Health: whether the process lives, and whether it can serve."""

from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel, Field

from api import metrics
from api.serving import Serving
from tuner.errors import DatabaseUnavailable, SchemaMismatch
from tuner.storage import migration

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether requests may be sent here."""

    status: Literal["ready", "not_ready"]
    reasons: list[str] = Field(description="What keeps it from being ready; empty where nothing does.")


@router.get("/healthz", operation_id="get_liveness", summary="Whether the process lives")
async def liveness() -> Alive:
    """The process lives. Nothing else is looked at: a database that is away is no reason to restart it."""
    return Alive()


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Whether the service can serve",
    responses={503: {"description": "It cannot; `reasons` say why", "model": Readiness}},
)
def readiness(service: Serving, response: Response) -> Readiness:
    """The database answers, its schema is this version's, and the process is not about to stop."""
    reasons = []
    if service.draining.is_set():
        reasons.append("the service is about to stop")
    try:
        migration.require_current(service.database)
    except DatabaseUnavailable:
        reasons.append("the database does not answer")
    except SchemaMismatch:
        reasons.append("the database's schema is not this version's: run `tuner migrate`")
    response.status_code = 503 if reasons else 200
    return Readiness(status="not_ready" if reasons else "ready", reasons=reasons)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
def numbers(service: Serving) -> Response:
    """Requests by route and status with their times, trials by state, lease expiries, workers, database connections."""
    return Response(metrics.exposition(service), media_type=CONTENT_TYPE_PLAIN_0_0_4)
