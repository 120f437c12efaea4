"""Readers of event streams: what a browser's ``EventSource`` does, in a thread."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.worker.running import eventually


@dataclass
class Event:
    """An event as it arrived."""

    kind: str
    data: dict[str, Any]


@dataclass
class Reader:
    """What has arrived so far, and where a reader who loses the connection resumes."""

    status: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    events: list[Event] = field(default_factory=list)
    last_event_id: str = ""
    heartbeats: int = 0
    ended: bool = False

    def read(self, response: httpx.Response) -> None:
        """Read to the end, by the rules of the HTML standard."""
        kind, data = "", ""
        for line in response.iter_lines():
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match name:
                case "" if not line:
                    if kind == "heartbeat":
                        self.heartbeats += 1
                    elif data:
                        self.events.append(Event(kind, json.loads(data)))
                    kind, data = "", ""
                case "event":
                    kind = value
                case "data":
                    data += value
                case "id":
                    self.last_event_id = value
        self.ended = True

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of the events of one kind, in order."""
        return [event.data for event in self.events if event.kind == kind]

    def wait_for(self, count: int, within: float = 15.0) -> None:
        """Wait until so many events have arrived."""
        eventually(lambda: len(self.events) >= count, within)


@contextmanager
def following(
    url: httpx.URL | str, last_event_id: str | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[Reader]:
    """A reader of the stream at that address, until the block ends: then the connection is closed."""
    reader = Reader()
    sent = {**(headers or {}), **({} if last_event_id is None else {"Last-Event-ID": last_event_id})}
    opened = threading.Event()
    with httpx.Client(timeout=60) as client:
        request = client.build_request("GET", url, headers=sent)
        response = client.send(request, stream=True)
        reader.status, reader.headers = response.status_code, response.headers

        def read() -> None:
            opened.set()
            try:
                reader.read(response)
            except (httpx.HTTPError, httpx.StreamError):
                reader.ended = True

        thread = threading.Thread(target=read)
        thread.start()
        opened.wait()
        try:
            yield reader
        finally:
            # Closing a socket does not wake whoever reads from it; shutting it down does.
            stream = response.extensions["network_stream"]
            if not reader.ended:
                stream.get_extra_info("socket").shutdown(2)
            thread.join(10)
            response.close()
