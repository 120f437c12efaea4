"""Event streams: one look at the database for all who follow, and server-sent events for each of them.

However many streams are open, one task of the process looks at the database, a few times a second, and hands what it
finds to all who follow that study or all studies. Nobody looks while nobody follows. A reader who is too slow for what
happens is let go when its queue is full; it comes back with the number of the last event that it has, and reads up.

A stream begins by reading up, by itself, from where its reader was: meanwhile what happens collects in its queue, and
what the queue repeats of that is left out.
"""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from functools import partial
from typing import NamedTuple, TypeVar

import anyio
import anyio.to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.problems import Refused
from tuner.errors import StorageError
from tuner.service import events
from tuner.service.events import GONE, AllChanges, Event, Followed, Place
from tuner.storage.database import Database

logger = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_EVERY = 0.5
"""Seconds between two looks: what changes more often is told once."""

NOTICE_EVERY = 0.1
"""Seconds in which a process that is about to stop ends its streams."""

HEARTBEAT = 5.0
"""Seconds of silence after which a heartbeat is sent: nobody between us takes the connection for dead, and a reader who
gets none for a while knows that it is. Pages wait for three of them (``static/live.js``)."""

QUEUED = 32
"""Looks that a slow reader may lag behind."""

READING_AT_ONCE = 4
"""Threads that read for streams; the requests have theirs."""

ALL = None
"""What is followed where it is not one study: all of them."""

Target = int | None


class Frame(NamedTuple):
    """One event as it is sent, and what it is about."""

    kind: str
    study_id: int
    sequence: int
    text: bytes


class Subscription:
    """One open stream: what is to be sent to it, and the scope in which it is being served."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[list[Frame]] = asyncio.Queue(QUEUED)
        self.scope = anyio.CancelScope()

    def put(self, frames: list[Frame]) -> None:
        """Hand over what has changed; whoever does not keep up is let go."""
        try:
            self.queue.put_nowait(frames)
        except asyncio.QueueFull:
            logger.info("an event stream was ended: its reader is too slow")
            self.scope.cancel()

    async def following(self, delivered: Mapping[int, int]) -> AsyncGenerator[list[Frame], None]:
        """What is handed over, but for what is ``delivered`` (sequences by study id). Empty: nothing, for a while."""
        while True:
            frames: list[Frame] = []
            with anyio.move_on_after(HEARTBEAT):
                frames = await self.queue.get()
                frames = [frame for frame in frames if frame.sequence > delivered.get(frame.study_id, -1)]
                if not frames:
                    continue
            yield frames


class Streams:
    """The event streams of one process. Used from its event loop alone."""

    def __init__(self, database: Database, draining: threading.Event, limit: int, limit_per_client: int) -> None:
        self._database = database
        self._draining = draining
        self._limit = limit
        self._limit_per_client = limit_per_client
        self._clients: Counter[str] = Counter()
        self._subscriptions: dict[Target, set[Subscription]] = {}
        self._places: dict[int, Place] = {}
        self._since = 0
        self._told: dict[int, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._readers = anyio.CapacityLimiter(READING_AT_ONCE)

    @property
    def open(self) -> int:
        """How many there are."""
        return sum(map(len, self._subscriptions.values()))

    def admit(self, client: str) -> None:
        """Check that one more may be opened by this client.

        Raises:
            Refused: it may not; the header says when to try again.
        """
        if self._draining.is_set():
            raise Refused(503, "draining", "The service is about to stop; ask again.", headers={"Retry-After": "1"})
        if self.open >= self._limit:
            raise Refused(
                503,
                "too_many_streams",
                f"This process serves {self._limit} event streams already.",
                headers={"Retry-After": "5"},
            )
        if self._clients[client] >= self._limit_per_client:
            raise Refused(
                429,
                "too_many_streams",
                f"{client} has {self._limit_per_client} event streams open already.",
                headers={"Retry-After": "5"},
            )

    @contextmanager
    def subscribed(self, target: Target, reached: int, client: str) -> Iterator[Subscription]:
        """A place among those who follow, for as long as the stream is open.

        Args:
            target: a study's id, or `ALL`.
            reached: a sequence (of `ALL`: a number) that was the present one no longer ago than the request came.
            client: whose it is.

        Raises:
            Refused: there are too many.
        """
        self.admit(client)
        subscription = Subscription()
        self._clients[client] += 1
        if target not in self._subscriptions:
            self._subscriptions[target] = set()
            if target is ALL:
                self._since, self._told = reached, {}
            else:
                self._places[target] = Place(reached)
        self._subscriptions[target].add(subscription)
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._look_on()), asyncio.create_task(self._end_when_draining())]
        try:
            yield subscription
        finally:
            self._leave(target, subscription)
            self._clients[client] -= 1
            self._clients = +self._clients

    def _leave(self, target: Target, subscription: Subscription) -> None:
        self._subscriptions[target].remove(subscription)
        if not self._subscriptions[target]:
            del self._subscriptions[target]
            if target is not ALL:
                del self._places[target]
        if not self._subscriptions:
            for task in self._tasks:
                task.cancel()
            self._tasks = []

    async def read(self, work: Callable[[], T]) -> T:
        """Run what reads the database in a thread. Who stops waiting leaves it to end by itself."""
        return await anyio.to_thread.run_sync(work, limiter=self._readers, abandon_on_cancel=True)

    async def _end_when_draining(self) -> None:
        while not self._draining.is_set():
            await asyncio.sleep(NOTICE_EVERY)
        for subscription in [each for some in self._subscriptions.values() for each in some]:
            subscription.scope.cancel()

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            places = dict(self._places)
            since = self._since if ALL in self._subscriptions else None
            try:
                followed = await self.read(partial(self._look, places, since, dict(self._told)))
            except StorageError as error:
                logger.warning("event streams wait for the database: %s", error)
            except Exception:
                # Their readers come back; what is wrong with one look need not be wrong with the next.
                logger.exception("event streams were ended")
                for subscription in [each for some in self._subscriptions.values() for each in some]:
                    subscription.scope.cancel()
            else:
                self._hand_out(followed, places, since)

    def _look(self, places: dict[int, Place], since: int | None, told: dict[int, int]) -> "_Seen":
        followed = events.follow(self._database, places, since, told)
        return _Seen(
            followed,
            {key: frames_of_study(found.events) for key, found in followed.studies.items() if found is not None},
            frames_of_all(followed.everything) if followed.everything is not None else [],
        )

    def _hand_out(self, seen: "_Seen", places: dict[int, Place], since: int | None) -> None:
        for study_id, found in seen.followed.studies.items():
            # Whoever began to follow during the look began at a later place, or reads up by itself.
            if self._places.get(study_id) != places[study_id]:
                continue
            if found is not None:
                self._places[study_id] = found.place
            frames = [Frame("deleted", study_id, GONE, b"")] if found is None else seen.of_studies[study_id]
            for subscription in tuple(self._subscriptions[study_id]):
                subscription.put(frames)
        everything = seen.followed.everything
        if everything is not None and ALL in self._subscriptions and self._since == since:
            self._since, self._told = everything.since, everything.told
            if seen.of_all:
                for subscription in tuple(self._subscriptions[ALL]):
                    subscription.put(seen.of_all)


class _Seen(NamedTuple):
    """One look, and what it found as it is sent."""

    followed: Followed
    of_studies: dict[int, list[Frame]]
    of_all: list[Frame]


def frame(event: Event, last_event_id: str | None) -> Frame:
    """An event as it is sent; without an id it does not move the place from which its reader resumes."""
    lines = [f"event: {event.kind}", f"data: {event.data.model_dump_json()}"]
    if last_event_id is not None:
        lines.append(f"id: {last_event_id}")
    return Frame(event.kind, event.study_id, event.sequence, "\n".join([*lines, "", ""]).encode())


def frames_of_study(found: Iterable[Event]) -> list[Frame]:
    """A study's events as its stream sends them."""
    return [frame(event, f"{event.study_id}-{event.sequence}" if event.complete else None) for event in found]


def frames_of_all(found: AllChanges) -> list[Frame]:
    """The events of all studies as their stream sends them: the last one moves the place."""
    last = len(found.events) - 1
    return [frame(event, str(found.since) if index == last else None) for index, event in enumerate(found.events)]


class EventStream(Response):
    """The response that a stream is: it ends when its reader leaves, falls behind, or the process is about to stop."""

    media_type = "text/event-stream"

    def __init__(
        self,
        streams: Streams,
        target: Target,
        reached: int,
        client: str,
        frames: Callable[[Subscription], AsyncGenerator[bytes, None]],
    ) -> None:
        streams.admit(client)
        self.status_code = 200
        self.background = None
        # A proxy that collects what it passes on would hold events back.
        self.init_headers({"X-Accel-Buffering": "no"})
        self._streams = streams
        self._target = target
        self._reached = reached
        self._client = client
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Serve it to its end."""
        with self._streams.subscribed(self._target, self._reached, self._client) as subscription:
            async with anyio.create_task_group() as group:
                group.start_soon(_until_disconnected, receive, subscription)
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                with subscription.scope:
                    try:
                        async with aclosing(self._frames(subscription)) as texts:
                            async for text in texts:
                                await send({"type": "http.response.body", "body": text, "more_body": True})
                    except StorageError as error:
                        logger.warning("an event stream was ended: %s", error)
                group.cancel_scope.cancel()
        # To a reader who has stopped reading nothing more can be sent.
        with anyio.move_on_after(NOTICE_EVERY):
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_disconnected(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.scope.cancel()
