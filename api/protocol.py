"""HTTP/1.1 as the server speaks it, but for two things.

One segment a response: its head and its body leave together, if they are there within one step of the event loop. The
server hands them over one after the other, and each would be sent by itself: one more system call here, and there a
client that wakes up for a head without a body.

And a head that does not arrive in time ends its connection, which would otherwise be held for as long as its client
likes. (Bodies: `api.body.BodyLimit`. Between two requests the server's own limit holds.)
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tuner.settings import Settings

ENOUGH = 16_384
"""Bytes that are written at once: whoever writes as much is to be told soon where the other side does not take it."""


class Gathering:
    """A transport that passes on what is written to it when the present step is over; all else is the given one's."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._gathered = bytearray()

    def write(self, data: bytes) -> None:
        """Write, soon."""
        if not self._gathered:
            self._loop.call_soon(self.pass_on)
        self._gathered += data
        if len(self._gathered) >= ENOUGH:
            self.pass_on()

    def close(self) -> None:
        """Close the connection when all is written."""
        self.pass_on()
        self._transport.close()

    def pass_on(self) -> None:
        """Write now."""
        gathered, self._gathered = self._gathered, bytearray()
        # One that the other side has closed meanwhile refuses to be written to.
        if gathered and not self._transport.is_closing():
            self._transport.write(gathered)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, over a transport that gathers; ``head_seconds``: how long a head may take."""

    def __init__(self, *arguments: Any, head_seconds: float = 60.0, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_seconds = head_seconds
        self._in_head = False
        self._too_slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a connection."""
        super().connection_made(transport)
        self._gathering = Gathering(transport)
        self.transport = self._gathering  # type: ignore[assignment]
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on. Most heads arrive at once: only what is left in the midst of one is waited for."""
        super().data_received(data)
        if self._in_head and self._too_slow is None:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        """Begin with a request."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer it."""
        self._in_head = False
        self._wait_no_more()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Let a whole response go: what is still to do after it need not be waited for."""
        self._gathering.pass_on()
        super().on_response_complete()

    def _wait_for_head(self) -> None:
        self._too_slow = self.loop.call_later(self._head_seconds, self._give_up)

    def _wait_no_more(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def _give_up(self) -> None:
        # Nothing is said to who has said nothing: a browser opens connections before it needs them. While a request
        # before this one is answered, `shutdown` lets the connection live until it is.
        if self._in_head and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(TOO_SLOW)
        self.shutdown()


def server_config(application: Callable[..., Any], settings: Settings, **options: Any) -> Config:
    """How the server speaks for an application, or for what makes one (``factory=True``); ``options`` are uvicorn's."""
    return Config(
        application,
        http=cast("Any", partial(Protocol, head_seconds=settings.request_seconds)),
        timeout_keep_alive=settings.idle_seconds,
        # Requests are logged by the application, which knows what each is about.
        access_log=False,
        **options,
    )
