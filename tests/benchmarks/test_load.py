"""The clients that measure the service: they tell what they asked for, and notice a service that does not keep it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.load import Failed, Order, Tally, play
from benchmarks.servers import Served, check, load, serving


@pytest.fixture
def served(database_url: str) -> Iterator[Served]:
    """A running service, in a process of its own, on each backend."""
    with serving(database_url) as running:
        yield running


@pytest.mark.parametrize(("clients", "count"), [(3, 1), (2, 5)])
def test_clients_tell_every_trial_that_they_asked_for(served: Served, clients: int, count: int) -> None:
    study = served.create_study("asked")
    tally = load(served, Order(served.port, "ask_and_tell", [study], clients=clients, count=count, seconds=0.3))
    held = served.get(f"/v1/studies/{study}")["trials"]
    assert held["complete"] == tally.told[study] > 0
    assert sum(held.values()) == held["complete"]
    assert set(tally.latencies) == {"ask", "tell"}


def test_reported_points_are_counted_as_they_are_stored(served: Served) -> None:
    study = served.create_study("reported")
    order = Order(served.port, "report", [study], clients=2, seconds=0.4, points=7, reports=3, period=0.02)
    tally = load(served, order)
    trials = served.get(f"/v1/studies/{study}/trials")["trials"]
    found = [served.get(f"/v1/studies/{study}/trials/{one['number']}/curve")["curves"] for one in trials]
    # The time may be over before a trial has reported.
    assert sum(curves["loss"]["points"] for curves in found if curves) == tally.points[study] > 0


def test_a_loss_is_noticed(served: Served) -> None:
    study = served.create_study("lost")
    order = Order(served.port, "report", [study], seconds=0.2, points=7, reports=3)
    tally = play(order)
    check(served, order, tally)
    with pytest.raises(RuntimeError, match="results were acknowledged"):
        check(served, order, Tally(told={study: tally.told[study] + 1}, points=tally.points))
    with pytest.raises(RuntimeError, match="points were acknowledged"):
        check(served, order, Tally(told=tally.told, points={study: tally.points[study] + 1}))


@contextmanager
def _answering(answer: bytes) -> Iterator[int]:
    """A server that gives one connection this answer to its first request; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        answering = threading.Thread(target=run)
        answering.start()
        yield listening.getsockname()[1]
        answering.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}",
        b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"trials":[]}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
    ],
    ids=["refused", "no trials", "half an answer"],
)
def test_an_answer_that_is_no_trial_ends_the_run(answer: bytes) -> None:
    with _answering(answer) as port, pytest.raises(Failed):
        play(Order(port, "ask_and_tell", ["s"], seconds=5.0))
