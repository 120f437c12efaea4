"""The service beside Optuna's ``RDBStorage``: trials and curve points a second, the cost of an ask, a crowd of clients.

*Ours* is one ``tuner serve`` process; its clients work in another and speak HTTP to it (`benchmarks.load`). *Theirs*
runs in this process, without any HTTP, on a database of the same kind on the same disk. Both are durable. They take
turns, and the medians of their turns are compared. After each turn the service is asked whether it holds exactly what
it acknowledged; a benchmark that finds otherwise ends without a table.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks import crowd, learning, rdb_storage
from benchmarks.load import Order
from benchmarks.servers import KINDS, CreateDatabase, load, migrated, serving
from benchmarks.table import Measurement, header, markdown

TURNS, REPORT_TURNS = 5, 3
SECONDS = 2.0
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


@dataclass(frozen=True)
class Reports:
    """So many clients, each reporting so many points at once, twenty times a trial; and the goal, if there is one."""

    clients: int
    points: int
    goal: float | None

    def __str__(self) -> str:
        who = "one client" if self.clients == 1 else f"{self.clients} clients at once"
        return f"{who}, {self.points:,} points a report"


REPORTS = (Reports(1, 1000, 200.0), Reports(16, 10, None))

TRAFFIC = (Traffic(1, 1, 5.0), Traffic(16, 1, 15.0), Traffic(1, 100, 100.0))


def measure() -> list[Measurement]:
    """Each kind of database."""
    rows: list[Measurement] = []
    for kind, databases in KINDS.items():
        with databases() as create:
            rows += ask_and_tell(kind, create)
            rows += report(kind, create)
    return rows + learning.measure() + crowd.measure()


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


def report(kind: str, create: CreateDatabase) -> list[Measurement]:
    """Curve points a second."""
    theirs: list[float] = []
    ours: Mapping[Reports, list[float]] = {reports: [] for reports in REPORTS}
    with serving(migrated(create())) as served:
        for turn in range(REPORT_TURNS):
            theirs.append(rdb_storage.points_per_second(create(), SECONDS))
            for place, reports in enumerate(REPORTS):
                study = served.create_study(f"turn-{turn}-{place}")
                order = Order(
                    served.port, "report", [study], clients=reports.clients, points=reports.points, seconds=SECONDS
                )
                ours[reports].append(load(served, order).points_in_time / SECONDS)
    return [
        _rates(f"reported curve points over HTTP, {kind}, {reports}", "points/s", ours[reports], theirs, reports.goal)
        for reports in REPORTS
    ]


def _rates(what: str, unit: str, ours: list[float], theirs: list[float], goal: float | None) -> Measurement:
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"  {what}: {_listed(ours)}; Optuna {_listed(theirs)}", file=sys.stderr)
    return Measurement(
        what,
        f"{mine:,.0f} {unit}",
        f"{other:,.0f} {unit}",
        f"{mine / other:.1f}x",
        "" if goal is None else f">= {goal:g}x",
        None if goal is None else mine / other >= goal,
    )


def _listed(rates: list[float]) -> str:
    return " ".join(f"{rate:,.0f}" for rate in rates)


def main() -> None:
    """Measure the service, or one part of it longer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=main.__doc__)
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="measure only the crowd of clients, for so long")
    parser.add_argument("--on", choices=[*KINDS], action="append", help="with --soak: on which database; default: each")
    given = parser.parse_args()
    rows = measure() if given.soak is None else crowd.measure(given.soak, 10.0, given.on or KINDS)
    print(header())
    print()
    print(markdown(rows))


if __name__ == "__main__":
    main()
