"""The service beside Optuna's ``RDBStorage``: trials and curve points a second, the cost of an ask, a crowd of clients.

*Ours* is one ``tuner serve`` process; its clients work in another and speak HTTP to it (`benchmarks.load`). *Theirs*
runs in this process, without any HTTP, on a database of the same kind on the same disk. Both are durable. They take
turns, and the medians of their turns are compared. After each turn the service is asked whether it holds exactly what
it acknowledged; a benchmark that finds otherwise ends without a table.
"""

import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks import rdb_storage
from benchmarks.load import Order
from benchmarks.servers import KINDS, CreateDatabase, load, migrated, serving
from benchmarks.table import Measurement

TURNS = 3
SECONDS = 3.0
"""Measured time of each of our turns, and of theirs."""


@dataclass(frozen=True)
class Traffic:
    """So many clients, each asking for so many trials at once; and how many times Optuna's trials/s that is to be."""

    clients: int
    count: int
    goal: float

    def __str__(self) -> str:
        who = "one client" if self.clients == 1 else f"{self.clients} clients at once"
        return who if self.count == 1 else f"{who}, batches of {self.count}"


TRAFFIC = (Traffic(1, 1, 5.0), Traffic(16, 1, 15.0), Traffic(1, 100, 100.0))


def measure() -> list[Measurement]:
    """Each kind of database."""
    rows: list[Measurement] = []
    for kind, databases in KINDS.items():
        with databases() as create:
            rows += ask_and_tell(kind, create)
    return rows


def ask_and_tell(kind: str, create: CreateDatabase) -> list[Measurement]:
    """Trials a second, random sampler."""
    theirs: list[float] = []
    ours: Mapping[Traffic, list[float]] = {traffic: [] for traffic in TRAFFIC}
    with serving(migrated(create())) as served:
        for turn in range(TURNS):
            theirs.append(rdb_storage.trials_per_second(create(), SECONDS))
            for place, traffic in enumerate(TRAFFIC):
                study = served.create_study(f"turn-{turn}-{place}")
                order = Order(
                    served.port, "ask_and_tell", [study], clients=traffic.clients, count=traffic.count, seconds=SECONDS
                )
                ours[traffic].append(load(served, order).told_in_time / SECONDS)
    return [
        _rates(f"ask + tell over HTTP, {kind}, {traffic}", "trials/s", ours[traffic], theirs, traffic.goal)
        for traffic in TRAFFIC
    ]


def _rates(what: str, unit: str, ours: list[float], theirs: list[float], goal: float) -> Measurement:
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"  {what}: {_listed(ours)}; Optuna {_listed(theirs)}", file=sys.stderr)
    return Measurement(
        what, f"{mine:,.0f} {unit}", f"{other:,.0f} {unit}", f"{mine / other:.1f}x", f">= {goal:g}x",
        mine / other >= goal,
    )  # fmt: skip


def _listed(rates: list[float]) -> str:
    return " ".join(f"{rate:,.0f}" for rate in rates)


if __name__ == "__main__":
    from benchmarks.table import markdown

    print(markdown(measure()))
