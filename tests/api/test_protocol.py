"""What leaves the server in one piece, over plain sockets and over a transport that notes what reaches it."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.protocol import ENOUGH, Gathering
from tests.api.requests import external
from tests.api.server import serving
from tuner.settings import Settings


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    path: Path = tmp_path_factory.mktemp("protocol") / "tuner.db"
    with serving(create_app(Settings(database_url=f"sqlite:///{path}"))) as client:
        yield client


def test_a_response_arrives_in_one_piece(client: httpx.Client) -> None:
    assert client.post("/v1/studies", json=external()).status_code == 201
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=30) as connection:
        for _ in range(20):
            connection.sendall(b"GET /v1/studies HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            head, _, body = connection.recv(1 << 18).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert f"content-length: {len(body)}".encode() in head.split(b"\r\n")
            assert len(body) > 0


def test_requests_that_come_together_are_answered_in_order(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=30) as connection:
        wanted = [b"/healthz", b"/nowhere", b"/healthz"]
        connection.sendall(b"".join(b"GET %b HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" % path for path in wanted))
        arrived = b""
        while arrived.count(b"HTTP/1.1 ") < len(wanted):
            arrived += connection.recv(1 << 18)
        statuses = [part[:3] for part in arrived.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"200", b"404", b"200"]


class Noted(asyncio.Transport):
    """What reaches the connection itself."""

    def __init__(self) -> None:
        super().__init__({"peername": ("here", 1)})
        self.happened: list[bytes | str] = []
        self.gone = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.happened.append(bytes(data))

    def close(self) -> None:
        self.happened.append("closed")

    def is_closing(self) -> bool:
        return self.gone


def in_one_step(act: Callable[[Gathering, Noted], None]) -> list[bytes | str]:
    """What has reached the connection after one step and the next."""

    async def run() -> list[bytes | str]:
        noted = Noted()
        act(Gathering(noted), noted)
        await asyncio.sleep(0)
        return noted.happened

    return asyncio.run(run())


def test_what_is_written_in_one_step_is_passed_on_as_one() -> None:
    def act(it: Gathering, noted: Noted) -> None:
        it.write(b"head")
        it.write(b"body")
        assert noted.happened == []

    assert in_one_step(act) == [b"headbody"]


def test_much_is_passed_on_at_once() -> None:
    def act(it: Gathering, noted: Noted) -> None:
        it.write(b"head")
        it.write(b"x" * ENOUGH)
        assert noted.happened == [b"head" + b"x" * ENOUGH]
        it.write(b"more")

    assert in_one_step(act) == [b"head" + b"x" * ENOUGH, b"more"]


def test_closing_comes_after_what_was_written() -> None:
    def act(it: Gathering, _noted: Noted) -> None:
        it.write(b"last")
        it.close()

    assert in_one_step(act) == [b"last", "closed"]


def test_nothing_is_written_to_whoever_has_gone() -> None:
    def act(it: Gathering, noted: Noted) -> None:
        it.write(b"too late")
        noted.gone = True

    assert in_one_step(act) == []


def test_everything_else_is_the_transports_own() -> None:
    def act(it: Gathering, noted: Noted) -> None:
        assert it.get_extra_info("peername") == ("here", 1)
        noted.gone = True
        assert it.is_closing()

    assert in_one_step(act) == []
