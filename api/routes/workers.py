"""Workers: who is alive, and busy with what."""

from fastapi import APIRouter
from pydantic import BaseModel

from api.problems import documented
from api.serving import OfDatabase
from tuner.service import workers
from tuner.service.workers import Worker

router = APIRouter(prefix="/v1/workers", tags=["workers"])


class WorkerList(BaseModel):
    """The workers of the last day, the newest first."""

    workers: list[Worker]


@router.get("", operation_id="list_workers", summary="List workers", responses=documented())
def page(database: OfDatabase) -> WorkerList:
    """The service's own worker processes: alive, busy with what, last seen. Training clients are not among them."""
    return WorkerList(workers=workers.listed(database))
