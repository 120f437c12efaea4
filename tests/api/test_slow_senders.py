"""Who sends slowly, or nothing at all, holds no connection for ever: over plain sockets."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx

from api.app import create_app
from tests.api.server import serving
from tuner.settings import Settings


def said_until_closed(url: httpx.URL, sent: bytes, dripping: bytes = b"") -> bytes:
    """All that the service says before it closes a connection on which this is sent, and then a drop now and again."""
    received = b""
    with socket.create_connection((url.host, url.port or 0), timeout=0.1) as connection:
        connection.sendall(sent)
        for _ in range(200):
            try:
                data = connection.recv(65536)
            except TimeoutError:
                # A drop that reaches a connection just closed is answered by a reset.
                with suppress(ConnectionError):
                    connection.sendall(dripping)
                continue
            except ConnectionResetError:
                return received
            if not data:
                return received
            received += data
    raise AssertionError(f"the connection is still open; the service said {received!r}")


def test_a_slow_sender_does_not_hold_a_connection(tmp_path: Path) -> None:
    head = b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'tuner.db'}", request_seconds=0.5, idle_seconds=1)
    with serving(create_app(settings)) as client, ThreadPoolExecutor(4) as threads:
        url = client.base_url
        silent = threads.submit(said_until_closed, url, b"")
        in_its_head = threads.submit(said_until_closed, url, head + b"X-Slow: ", b"o")
        in_its_body = threads.submit(said_until_closed, url, head + b"Content-Length: 1000\r\n\r\n{", b" ")
        idle = threads.submit(said_until_closed, url, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert silent.result() == b""
        assert in_its_head.result().startswith(b"HTTP/1.1 408 ")
        assert in_its_body.result().startswith(b"HTTP/1.1 408 ")
        assert b'"code": "request_timeout"' in in_its_body.result()
        assert idle.result().startswith(b"HTTP/1.1 200 ")
