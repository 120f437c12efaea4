"""Event streams: what changes in one study, and which studies change."""

import re
from collections.abc import AsyncGenerator, Iterable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response

from api.problems import documented
from api.serving import OfClient, Serving, StudyAddress
from api.streams import ALL, EventStream, Frame, Streams, Subscription, frame, frames_of_all, frames_of_study
from tuner.errors import InvalidInput, StudyNotFound
from tuner.service import events
from tuner.service.events import GONE, Event, Located, Place
from tuner.storage.database import Database

router = APIRouter(prefix="/v1", tags=["events"])

RETRY = b"retry: 1000\n\n"
"""Milliseconds after which a reader whose connection was lost comes back."""

HEARTBEAT = b"event: heartbeat\ndata: {}\n\n"
"""An event and no comment: a browser's script hears of no comment."""

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The id of the last event that was read; browsers send it themselves."),
]
LastEventIdInQuery = Annotated[
    str | None,
    Query(alias="last_event_id", description="The same, for whoever cannot send the header; the header wins."),
]

Only = Annotated[
    Literal["study"] | None,
    Query(description="`study`: no trial is told, for whoever reads trials otherwise and wants to know when."),
]

TOO_MANY = {429: ["too_many_streams"], 503: ["draining", "too_many_streams"]}

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


@router.get(
    "/studies/{study:segment}/events",
    operation_id="follow_study",
    summary="Follow a study",
    response_class=Response,
    responses={**STREAM, **documented(InvalidInput, StudyNotFound, refusals=TOO_MANY)},
)
async def follow_study(
    study: StudyAddress,
    service: Serving,
    client: OfClient,
    *,
    header: LastEventId = None,
    query: LastEventIdInQuery = None,
    only: Only = None,
) -> Response:
    """What changes in a study, a few times a second, as server-sent events.

    `trial` says how a trial is (number, state, attempt, parameters, values, what it has reported), `study` how the
    study is (state, counts, spending, best), `deleted` that it is gone, and ends the stream. An event tells a state,
    not an occurrence: what changes several times in between is told once, and a repetition does no harm. After some
    seconds without any, a `heartbeat` says no more than that the stream is alive.

    Without `Last-Event-ID` the stream begins from now, with a `study` event: read the trials after it. With it, all
    that has changed since is told first. Only the event that completes what was written at once carries an id.
    """
    streams = service.streams
    located = await streams.read(partial(events.locate, service.database, study))
    study_id, sequence = _study_place(header or query, located)
    if study_id != located.study_id:
        # The reader knows a study of the same name that is gone. It comes back for this one without an id.
        return EventStream(streams, located.study_id, located.sequence, client, partial(_deleted, located))
    frames = partial(_study, streams, service.database, located, Place(sequence), only=only)
    return EventStream(streams, located.study_id, located.sequence, client, frames)


@router.get(
    "/events",
    operation_id="follow_studies",
    summary="Follow all studies",
    response_class=Response,
    responses={**STREAM, **documented(InvalidInput, refusals=TOO_MANY)},
)
async def follow_studies(
    service: Serving, client: OfClient, header: LastEventId = None, query: LastEventIdInQuery = None
) -> Response:
    """Which studies change, a few times a second, as server-sent events.

    `study` says how a study is (state, counts, spending, best): one that was created, or in which something changed.
    `deleted` says that one is gone. An event tells a state, not an occurrence: a repetition does no harm. After some
    seconds without any, a `heartbeat` says no more than that the stream is alive.

    Without `Last-Event-ID` the stream begins from now: list the studies once it is open. With it, each study that has
    changed since is told first, and each that was deleted within the last 30 days.
    """
    streams = service.streams
    reached = await streams.read(partial(events.present, service.database))
    since = _number(header or query)
    return EventStream(streams, ALL, reached, client, partial(_everything, streams, service.database, reached, since))


def _study_place(last_event_id: str | None, located: Located) -> tuple[int, int]:
    """The study and the sequence that an id stands for; without one, those of now."""
    if not last_event_id:
        return located.study_id, located.sequence
    found = re.fullmatch("([0-9]{1,18})-([0-9]{1,18})", last_event_id)
    if found is None:
        raise InvalidInput.at("Last-Event-ID", "is not an id that this stream gave out")
    study_id, sequence = int(found[1]), int(found[2])
    # A sequence that is still to come: the database was restored to an earlier state.
    return study_id, sequence if sequence <= located.sequence else -1


def _number(last_event_id: str | None) -> int | None:
    if not last_event_id:
        return None
    if re.fullmatch("[0-9]{1,18}", last_event_id) is None:
        raise InvalidInput.at("Last-Event-ID", "is not an id that this stream gave out")
    return int(last_event_id)


async def _study(
    streams: Streams,
    database: Database,
    located: Located,
    place: Place,
    subscription: Subscription,
    *,
    only: Literal["study"] | None,
) -> AsyncGenerator[bytes, None]:
    def told(frames: Iterable[Frame]) -> bytes:
        return b"".join(each.text for each in frames if only is None or each.kind == only)

    def read_up(place: Place) -> tuple[bytes, Place | None, bool]:
        found = events.study_changes(database, located.study_id, place)
        if found is None:
            return _gone(located), None, True
        return told(frames_of_study(found.events)), found.place, found.whole

    yield RETRY
    whole = False
    while not whole:
        text, reached, whole = await streams.read(partial(read_up, place))
        yield text
        if reached is None:
            return
        place = reached
    async for frames in subscription.following({located.study_id: place.sequence}):
        if frames and frames[-1].sequence == GONE:
            yield _gone(located)
            return
        yield told(frames) or HEARTBEAT


async def _deleted(located: Located, _: Subscription) -> AsyncGenerator[bytes, None]:
    yield RETRY
    yield _gone(located)


def _gone(located: Located) -> bytes:
    """That a study is gone; the empty id lets its reader come back as a new one."""
    data = events.deleted_event(located.study_id, located.name)
    return frame(Event("deleted", data, located.study_id, GONE, complete=True), "").text


async def _everything(
    streams: Streams, database: Database, reached: int, since: int | None, subscription: Subscription
) -> AsyncGenerator[bytes, None]:
    yield RETRY
    delivered: dict[int, int] = {}
    if since is None:
        yield f"id: {reached}\n\n".encode()
    else:
        parts = events.all_changes(database, since)
        while (part := await streams.read(partial(next, parts, None))) is not None:
            delivered |= {event.study_id: event.sequence for event in part.events}
            yield b"".join(each.text for each in frames_of_all(part)) + f"id: {part.since}\n\n".encode()
    async for frames in subscription.following(delivered):
        yield b"".join(each.text for each in frames) or HEARTBEAT
