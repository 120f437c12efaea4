"""Bodies that are too large, over plain sockets: the client always reads the refusal, and nothing is held in memory."""

import json
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from tests.api.requests import external, problem, strict
from tests.api.server import serving
from tuner.settings import Settings

LIMIT = 100_000
LARGE = 50_000_000


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    path: Path = tmp_path_factory.mktemp("limited") / "tuner.db"
    with serving(create_app(Settings(database_url=f"sqlite:///{path}", max_body_bytes=LIMIT))) as client:
        yield client


def body(size: int) -> bytes:
    """A good definition of exactly so many bytes."""
    document = json.dumps(external())
    return (document + " " * (size - len(document))).encode()


HEADERS = {"Content-Type": "application/json"}


def test_the_limit_itself_is_allowed(client: httpx.Client) -> None:
    assert client.post("/v1/studies", content=body(LIMIT), headers=HEADERS).status_code in {200, 201}
    response = client.post("/v1/studies", content=body(LIMIT + 1), headers=HEADERS)
    assert (response.status_code, problem(response)["code"]) == (413, "body_too_large")
    assert problem(response)["errors"][0]["field"] == "body"


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_client_that_sends_50_megabytes_reads_the_refusal(client: httpx.Client, chunked: bool) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(LARGE // 500_000):
            yield b" " * 500_000

    tracemalloc.start()
    length = {} if chunked else {"Content-Length": str(LARGE)}
    response = client.post("/v1/studies", content=chunks(), headers={**HEADERS, **length})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (response.status_code, problem(response)["code"]) == (413, "body_too_large")
    assert response.headers["connection"] == "close"
    assert peak < LARGE / 5, "of client and server together"
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/studies/x/trials:ask", "/"])
def test_it_does_not_matter_where_it_is_sent(client: httpx.Client, path: str) -> None:
    assert client.post(path, content=body(LIMIT + 1), headers=HEADERS).status_code == 413


def exchange(client: httpx.Client, *parts: bytes) -> bytes:
    """All that the server says until it closes."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while data := connection.recv(65536):
            received += data
    return received


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_client_that_reads_only_when_it_has_sent_everything_is_not_cut_off(
    client: httpx.Client, chunked: bool
) -> None:
    head = b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    megabyte = b" " * 1_000_000
    if chunked:
        part = b"%x\r\n%s\r\n" % (len(megabyte), megabyte)
        received = exchange(client, head + b"Transfer-Encoding: chunked\r\n\r\n", *[part] * 50, b"0\r\n\r\n")
    else:
        received = exchange(client, head + b"Content-Length: 50000000\r\n\r\n", *[megabyte] * 50)
    assert received.startswith(b"HTTP/1.1 413")
    assert received.count(b"body_too_large") == 2, "in the code and in the type, and nothing after"


def test_who_asks_first_is_told_before_sending(client: httpx.Client) -> None:
    head = b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    received = exchange(client, head + b"Content-Length: 50000000\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 413")
    assert b"100 Continue" not in received


def test_a_length_that_lies_does_not_help(client: httpx.Client) -> None:
    for length in (b"-5", b"1e3", b"0x10"):
        received = exchange(
            client, b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + b"\r\n\r\n"
        )
        assert received.startswith(b"HTTP/1.1 400")


def test_a_connection_serves_many_requests_and_errors(client: httpx.Client) -> None:
    request = b"POST /v1/studies/x/trials:ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    received = exchange(
        client,
        request + b"Content-Length: 2\r\n\r\n{}",
        request + b"Content-Length: 1\r\n\r\n{",
        request + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    lines = [line.split(b"\r\n")[0] for line in received.split(b"HTTP/1.1 ")[1:]]
    assert lines == [b"404 Not Found", b"400 Bad Request", b"404 Not Found", b"200 OK"]


def test_a_client_that_goes_away_in_the_middle_harms_nobody(client: httpx.Client) -> None:
    threads = []
    for _ in range(8):

        def hang_up() -> None:
            with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=20) as connection:
                connection.sendall(b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{")

        threads.append(threading.Thread(target=hang_up))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert strict(client.get("/healthz")) == {"status": "alive"}
