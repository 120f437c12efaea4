"""Two hundred clients at once, each reporting twice a second: how long a report takes, and whether the server grows.

Each client has a trial of its own, reports eight points at a time for twenty seconds, tells it and asks for the next.
One that is behind its time sends at once.
"""

import statistics
import sys
import threading
import time
from collections.abc import Iterable

from benchmarks.load import Order, Tally
from benchmarks.servers import KINDS, Served, check, clients, migrated, serving
from benchmarks.table import Measurement, seconds

CLIENTS = 200
PERIOD = 0.5
POINTS = 8
SECONDS = 30.0


def measure(
    duration: float = SECONDS, sampled_every: float = 5.0, kinds: Iterable[str] = tuple(KINDS)
) -> list[Measurement]:
    """For so many seconds on each kind of database."""
    return [_watched(kind, duration, sampled_every) for kind in kinds]


def _watched(kind: str, duration: float, sampled_every: float) -> Measurement:
    with KINDS[kind]() as create, serving(migrated(create())) as served:
        study = served.create_study("crowd")
        order = Order(
            served.port, "report", [study], clients=CLIENTS, seconds=duration, warm_up=3.0, points=POINTS, reports=40,
            period=PERIOD,
        )  # fmt: skip
        tally, memory = _watch(served, order, sampled_every)
        check(served, order, tally)
    reports = sorted(tally.latencies["report"])
    middle, late = statistics.median(reports), reports[int(0.99 * len(reports))]
    due = CLIENTS * duration / PERIOD
    growth = _slope(memory[len(memory) // 3 :])
    what = f"{CLIENTS} clients at once, each reporting twice a second for {duration:g} s, {kind}"
    for moment, size in memory:
        print(f"  {what}: after {moment:5.0f} s {size:.1f} MB", file=sys.stderr)
    return Measurement(
        what,
        f"p50 {seconds(middle)}, p99 {seconds(late)}, no errors, {len(reports) / duration:,.0f} reports/s; memory "
        f"{memory[0][1]:.0f} → {memory[-1][1]:.0f} MB, {growth * 60:+.2f} MB/min over the last two thirds",
        "",
        f"{len(reports) / due:.0%} of what was due",
        "no errors, >= 95 % of what was due",
        len(reports) >= 0.95 * due,
    )


def _watch(served: Served, order: Order, sampled_every: float) -> tuple[Tally, list[tuple[float, float]]]:
    """What the clients did; and (seconds since their beginning, MB of the server)."""
    memory: list[tuple[float, float]] = []
    over = threading.Event()
    with clients(order) as wait:
        began = time.perf_counter()

        def sample() -> None:
            while not over.wait(sampled_every):
                moment = time.perf_counter() - began
                if order.warm_up <= moment <= order.warm_up + order.seconds:
                    memory.append((moment, served.memory()))

        sampling = threading.Thread(target=sample)
        sampling.start()
        try:
            tally = wait()
        finally:
            over.set()
            sampling.join()
    return tally, memory


def _slope(samples: list[tuple[float, float]]) -> float:
    """MB a second, by least squares."""
    return statistics.linear_regression(*zip(*samples, strict=True)).slope if len(samples) > 1 else 0.0
