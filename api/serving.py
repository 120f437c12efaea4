"""What a request finds: the service's database and settings, the study and trial that its path names, its key."""

import asyncio
import hashlib
import re
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Header, Path, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, WithJsonSchema

from api.streams import Streams
from tuner.definition import STUDY_NAME
from tuner.errors import StudyNotFound, TrialNotFound
from tuner.limits import LONGEST_KEY
from tuner.service.group_commit import GroupCommit
from tuner.service.idempotency import Key
from tuner.service.quotas import Quota
from tuner.service.tokens import Bearer
from tuner.service.writes import Action, Write
from tuner.settings import Settings
from tuner.storage.database import Database

LARGEST_NUMBER = 2**31 - 1
"""Trial numbers and attempts are 32-bit integers in the database."""


@dataclass(frozen=True)
class Service:
    """What all requests share. ``draining`` is set when the process is about to stop."""

    database: Database
    settings: Settings
    draining: threading.Event = field(default_factory=threading.Event)
    commits: GroupCommit = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "commits", GroupCommit(self.database))

    @cached_property
    def streams(self) -> Streams:
        """The event streams that this process serves."""
        return Streams(
            self.database, self.draining, self.settings.event_streams, self.settings.event_streams_per_client
        )


@dataclass(frozen=True)
class Writer:
    """What a request that writes needs: the service, and the key under which its answer is kept."""

    service: Service
    key: Key | None
    bearer: Bearer | None

    @property
    def quota(self) -> Quota | None:
        """What the token that it carries may have."""
        return _quota(self.service.settings, self.bearer)

    async def __call__(self, study: str, action: Action) -> BaseModel:
        """The answer to a write, once it is durable.

        Raises:
            TunerError: it is refused.
        """
        return await asyncio.wrap_future(self.service.commits.submit(Write(study, action, self.key)))


KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=LONGEST_KEY,
        pattern="^[!-~]+$",
        description="The same request under the same key is carried out once; its answer is kept for 24 hours.",
    ),
]

# These dependencies are coroutines because FastAPI would send plain functions through its thread pool.


async def service(request: Request) -> Service:
    """The service that the application was made for."""
    found: Service = request.app.state.service
    return found


async def database(service: Annotated[Service, Depends(service)]) -> Database:
    """Its database."""
    return service.database


async def client_name(request: Request) -> str:
    """Who asks, as far as is known: the token's name, or else the address."""
    bearer = _bearer(request)
    if bearer is not None:
        return f"the token {bearer.name!r}"
    return "somebody" if request.client is None else request.client.host


async def request_key(request: Request, idempotency_key: KeyHeader = None) -> Key | None:
    """The key of a request, with a digest of what was asked."""
    if idempotency_key is None:
        return None
    digest = hashlib.sha256(f"{request.method} {request.scope['path']}\n".encode())
    digest.update(await request.body())
    return Key(idempotency_key, digest.hexdigest())


async def writer(request: Request, idempotency_key: KeyHeader = None) -> Writer:
    """The service's writer, for this request."""
    return Writer(request.app.state.service, await request_key(request, idempotency_key), _bearer(request))


async def quota(request: Request, service: Annotated[Service, Depends(service)]) -> Quota | None:
    """What the token that a request carries may have; None where none is asked for."""
    return _quota(service.settings, _bearer(request))


def _bearer(request: Request) -> Bearer | None:
    return getattr(request.state, "bearer", None)


def _quota(settings: Settings, bearer: Bearer | None) -> Quota | None:
    if bearer is None:
        return None
    return Quota(bearer.token_id, settings.studies_per_token, settings.open_trials_per_token)


def _study_address(study: str) -> str:
    """What a path calls a study, if any study may be called so; otherwise the database is not asked."""
    if re.fullmatch(rf"{STUDY_NAME}|~[0-9]{{1,18}}", study) is None:
        raise StudyNotFound(f"there is no study {study!r}")
    return study


def _trial_number(number: str) -> int:
    """What a path calls a trial, if any trial may be called so."""
    if re.fullmatch("[0-9]{1,10}", number) is None or int(number) > LARGEST_NUMBER:
        raise TrialNotFound(f"the study has no trial {number!r}")
    return int(number)


Serving = Annotated[Service, Depends(service)]
OfClient = Annotated[str, Depends(client_name)]
OfDatabase = Annotated[Database, Depends(database)]
OfToken = Annotated[Quota | None, Depends(quota)]
RequestKey = Annotated[Key | None, Depends(request_key)]
Writing = Annotated[Writer, Depends(writer)]

# What is raised here is none of pydantic's errors, and passes through its validation as it is.
StudyAddress = Annotated[
    str,
    Path(description="The study's name, or `~{id}` where an Optuna program's name does not fit."),
    AfterValidator(_study_address),
]
TrialNumber = Annotated[
    int,
    Path(description="The trial's number."),
    BeforeValidator(_trial_number),
    WithJsonSchema({"type": "integer", "minimum": 0}),
]
