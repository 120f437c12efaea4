"""One segment a response: its head and its body leave together, if they are there within one step of the event loop.

The server hands over a response's head and its body one after the other, and each would be sent by itself: one more
system call here, and there a client that wakes up for a head without a body.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, over a transport that gathers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a connection."""
        super().connection_made(transport)
        self._gathering = Gathering(transport)
        self.transport = self._gathering  # type: ignore[assignment]

    def on_response_complete(self) -> None:
        """Let a whole response go: what is still to do after it need not be waited for."""
        self._gathering.pass_on()
        super().on_response_complete()
