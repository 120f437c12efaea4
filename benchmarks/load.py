"""Clients for a service under measurement, light enough to share its machine: ``python -m benchmarks.load``.

One process plays any number of training clients: raw keep-alive HTTP/1.1 connections, one request under way on each,
bodies encoded beforehand, answers hardly parsed. It imports nothing beyond the standard library. The order comes as a
JSON object on standard input (the fields of `Order`), what was counted goes to standard output as another (`Tally`).

Every answer's status is checked: the first that is not 200 ends the run. Every trial that was asked for is told,
exactly once, also those under way when the time is over; rates count only what was answered within the measured time.
"""

import json
import math
import random
import re
import selectors
import socket
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

PATIENCE = 60.0
"""Seconds within which any answer arrives."""

_LOSSES = [b"%.17g" % math.exp(random.Random(number).gauss(0.0, 2.0)) for number in range(997)]
_LEASES = re.compile(rb'"number":(\d+),"attempt":(\d+)')


@dataclass(frozen=True)
class Order:
    """What to do: ``clients`` connections play ``script`` on ``study`` for ``seconds``, after ``warm_up`` seconds.

    count: trials an ask. points: curve points a report. reports: reports a trial. period: seconds from one report of
    a client to its next; 0: at once. run: makes idempotency keys different from those of other runs.
    """

    port: int
    script: str
    studies: list[str]
    clients: int = 1
    seconds: float = 3.0
    warm_up: float = 0.5
    count: int = 1
    points: int = 10
    reports: int = 20
    period: float = 0.0
    run: str = "run"


@dataclass
class Tally:
    """What was done, all of it, by study; and what was answered within the measured time.

    latencies: seconds from a request's first byte to its answer's last, by kind of request.
    """

    seconds: float = 0.0
    told: dict[str, int] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    told_in_time: int = 0
    points_in_time: int = 0
    latencies: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request: its kind, under which latencies are kept, and its bytes."""

    kind: str
    path: str
    body: bytes
    told: int = 0
    points: int = 0


@dataclass(frozen=True)
class Pause:
    """Nothing until a moment of `time.perf_counter`."""

    until: float


Script = Generator[Request | Pause, bytes, None]
"""What a client does: yields requests, is sent the bodies of their answers."""


class Failed(Exception):
    """An answer was not 200."""


def ask_and_tell(order: Order, study: str, client: int, over: Callable[[], bool]) -> Script:
    """Ask for trials, tell their results at once."""
    ask = b'{"count":%d,"worker":"client-%d"}' % (order.count, client)
    while not over():
        answer = yield Request("ask", f"/v1/studies/{study}/trials:ask", ask)
        leases = [(int(number), int(attempt)) for number, attempt in _LEASES.findall(answer)]
        if len(leases) != order.count:
            raise Failed(f"asked for {order.count} trials, got {answer[:300]!r}")
        if order.count == 1:
            yield _tell(study, *leases[0], _LOSSES[leases[0][0] % len(_LOSSES)])
            continue
        results = b",".join(
            b'{"number":%d,"attempt":%d,"state":"complete","values":{"loss":%b}}'
            % (number, attempt, _LOSSES[number % len(_LOSSES)])
            for number, attempt in leases
        )
        answer = yield Request(
            "tell", f"/v1/studies/{study}/trials:tell", b'{"results":[' + results + b"]}", told=len(leases)
        )
        if answer.count(b'"status":200') != len(leases):
            raise Failed(f"told {len(leases)} results, got {answer[:300]!r}")


def ask_and_tell_in_turns(order: Order, _study: str, client: int, over: Callable[[], bool]) -> Script:
    """One trial of each study in turn, its loss made from its parameters, so that a learning sampler has what to learn.

    Latencies are kept by the study.
    """
    ask = b'{"count":1,"worker":"client-%d"}' % client
    while not over():
        for study in order.studies:
            answer = yield Request(f"ask {study}", f"/v1/studies/{study}/trials:ask", ask)
            [trial] = json.loads(answer)["trials"]
            told = _tell(study, trial["number"], trial["attempt"], b"%.17g" % loss_at(trial["parameters"]))
            yield Request(f"tell {study}", told.path, told.body, told=1)


def report(order: Order, study: str, client: int, over: Callable[[], bool]) -> Script:
    """Ask for a trial, report its curve in columns, tell it, and so on."""
    ask = b'{"count":1,"worker":"client-%d"}' % client
    bodies = [_columns(first, order.points, client) for first in range(1, order.reports * order.points, order.points)]
    # Clients that report at a pace do not all begin at once.
    due = time.perf_counter() + order.period * (client / order.clients)
    while not over():
        if order.period:
            yield Pause(due)
        answer = yield Request("ask", f"/v1/studies/{study}/trials:ask", ask)
        [(number, attempt)] = [(int(number), int(attempt)) for number, attempt in _LEASES.findall(answer)]
        for body in bodies:
            if order.period:
                due += order.period
                yield Pause(due)
            if over():
                break
            path = f"/v1/studies/{study}/trials/{number}:report"
            yield Request("report", path, b'{"attempt":%d,%b' % (attempt, body), points=order.points)
        yield _tell(study, number, attempt, _LOSSES[number % len(_LOSSES)])


SCRIPTS: Mapping[str, Callable[[Order, str, int, Callable[[], bool]], Script]] = {
    "ask_and_tell": ask_and_tell,
    "ask_and_tell_in_turns": ask_and_tell_in_turns,
    "report": report,
}


def loss_at(parameters: Mapping[str, Any]) -> float:
    """A valley: best at a rate of 0.03 and as many steps as there may be, with a ripple in place of noise."""
    off: float = math.log10(parameters["learning_rate"]) - math.log10(0.03)
    steps: int = parameters["steps"]
    return off * off + 20.0 / steps + 0.05 * math.sin(97.0 * off)


def _tell(study: str, number: int, attempt: int, loss: bytes) -> Request:
    body = b'{"attempt":%d,"state":"complete","values":{"loss":%b}}' % (attempt, loss)
    return Request("tell", f"/v1/studies/{study}/trials/{number}:tell", body, told=1)


def _columns(first: int, points: int, client: int) -> bytes:
    """The rest of a report's body: a falling, noisy loss at consecutive steps, in full double precision."""
    draw = random.Random(first * 1009 + client)
    steps = ",".join(str(step) for step in range(first, first + points))
    losses = ",".join(repr(math.exp(-step / 500) + 0.01 * draw.random()) for step in range(first, first + points))
    return f'"steps":[{steps}],"values":{{"loss":[{losses}]}}}}'.encode()


class _Client:
    """One connection and the script that it plays."""

    def __init__(self, port: int, script: Script) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.script = script
        self.received = bytearray()
        self.request: Request | None = None
        self.began = 0.0

    def answer(self) -> bytes | None:
        """Take what has arrived; the body once it is whole.

        Raises:
            Failed: the status is not 200, or the server has gone.
        """
        arrived = self.socket.recv(1 << 18)
        if not arrived:
            raise Failed("the server closed a connection")
        self.received += arrived
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return None
        declared = re.search(rb"(?i)\r\ncontent-length: *(\d+)", self.received[:head])
        end = head + 4 + int(declared[1]) if declared else -1
        if len(self.received) < end:
            return None
        if self.received[9:12] != b"200" or end != len(self.received):
            assert self.request is not None
            raise Failed(f"{self.request.path}: {bytes(self.received[:1000])!r}")
        body = bytes(self.received[head + 4 :])
        self.received.clear()
        return body


class _Play:
    """An order being carried out: one thread, which waits for whichever client is answered first."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.tally = Tally(order.seconds, dict.fromkeys(order.studies, 0), dict.fromkeys(order.studies, 0))
        self.begin = time.perf_counter() + order.warm_up
        self.end = self.begin + order.seconds
        self.numbers = count()
        self.selector = selectors.DefaultSelector()
        self.sleeping: list[tuple[float, int, _Client]] = []
        self.playing = 0

    def run(self) -> None:
        """Play every script to its end."""
        with self.selector, ExitStack() as connections:
            for number in range(self.order.clients):
                study = self.order.studies[number % len(self.order.studies)]
                client = _Client(self.order.port, SCRIPTS[self.order.script](self.order, study, number, self._over))
                connections.callback(client.socket.close)
                self.selector.register(client.socket, selectors.EVENT_READ, client)
                self.playing += 1
                self._advance(client, None)
            self._wait_and_advance()

    def _wait_and_advance(self) -> None:
        while self.playing:
            wait = max(0.0, self.sleeping[0][0] - time.perf_counter()) if self.sleeping else PATIENCE
            ready = self.selector.select(wait)
            if not ready and not self.sleeping:
                raise Failed(f"no answer within {PATIENCE} s")
            for key, _ in ready:
                body = key.data.answer()
                if body is not None:
                    self._count(key.data)
                    self._advance(key.data, body)
            while self.sleeping and self.sleeping[0][0] <= time.perf_counter():
                self._advance(heappop(self.sleeping)[2], None)

    def _over(self) -> bool:
        return time.perf_counter() >= self.end

    def _count(self, client: _Client) -> None:
        moment = time.perf_counter()
        request = client.request
        assert request is not None
        study = request.path.split("/", 4)[3]
        self.tally.told[study] += request.told
        self.tally.points[study] += request.points
        if self.begin <= moment < self.end:
            self.tally.told_in_time += request.told
            self.tally.points_in_time += request.points
            self.tally.latencies.setdefault(request.kind, []).append(moment - client.began)

    def _advance(self, client: _Client, answer: bytes | None) -> None:
        """Let a client go on to its next request, pause, or end."""
        try:
            todo = next(client.script) if answer is None else client.script.send(answer)
        except StopIteration:
            self.selector.unregister(client.socket)
            self.playing -= 1
            return
        if isinstance(todo, Pause):
            heappush(self.sleeping, (todo.until, next(self.numbers), client))
            return
        head = (
            f"POST {todo.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Idempotency-Key: {self.order.run}-{next(self.numbers)}\r\nContent-Length: {len(todo.body)}\r\n\r\n"
        ).encode()
        client.request = todo
        client.began = time.perf_counter()
        client.socket.sendall(head + todo.body)


def play(order: Order) -> Tally:
    """Carry out an order.

    Raises:
        Failed: an answer was not what it should be.
    """
    playing = _Play(order)
    playing.run()
    return playing.tally


def main() -> int:
    """Read an order, play it, write the tally."""
    try:
        tally = play(Order(**json.load(sys.stdin)))
    except Failed as error:
        print(f"benchmarks.load: {error}", file=sys.stderr)
        return 1
    json.dump(asdict(tally), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
