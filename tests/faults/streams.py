"""Readers of event streams, and clients that hang on to a connection without asking for anything."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx


class Reader:
    """Reads one event stream in a thread for as long as there is one.

    Args:
        address: of the stream.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self.status: int | None = None
        self.lines: list[str] = []
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Open the stream."""
        self._thread.start()

    def _read(self) -> None:
        try:
            with httpx.stream("GET", self._address, timeout=60) as response:
                self.status = response.status_code
                for line in response.iter_lines():
                    self.lines.append(line)
        except httpx.TransportError:
            pass
        finally:
            self.ended.set()


@contextmanager
def reading(addresses: list[str]) -> Iterator[list[Reader]]:
    """Readers of these streams. Each ends with its stream, at the latest when whoever serves it is gone."""
    readers = [Reader(address) for address in addresses]
    for reader in readers:
        reader.start()
    yield readers
    deadline = time.monotonic() + 60
    for reader in readers:
        assert reader.ended.wait(max(0.0, deadline - time.monotonic())), "a stream goes on"


UNFINISHED = (
    b"",
    b"GET /v1/studies HTTP/1.1\r\nHost: a\r\n",
    b"POST /v1/studies HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
)
"""What a client may have sent that will never send the rest."""


@contextmanager
def hanging_on(port: int) -> Iterator[None]:
    """Connections on which nothing happens any more."""
    with ExitStack() as stack:
        for begun in UNFINISHED:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(begun)
        yield
