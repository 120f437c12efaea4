"""Studies of training clients: how many steps all of them make until one is told that is good enough.

Clients are simulated in process, with the service's own use cases on SQLite: each asks for a trial, descends, reports
its loss every few steps, stops where it is told to, and tells the loss it ends with. Several make their steps in turns,
as many at a time as they report. `trajectory` is compared with `tpe` and the median pruner at its defaults.

``python -m benchmarks.external`` prints the table for every third problem of ``benchmarks/problems.py``, and with
``--others`` that for the rest (each a quarter of an hour or more).
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.oracle import oracle
from benchmarks.problems import HIGHEST_RATE, LOWEST_RATE, MOST_STEPS, PROBLEMS, Counted, Problem
from benchmarks.table import header
from tuner.definition import StudyDefinition
from tuner.descent import Descent, Row
from tuner.service import studies
from tuner.service.ask import ask
from tuner.service.report import NewPoints, Report, Reported, report
from tuner.service.tell import Ending, tell
from tuner.storage import migration
from tuner.storage.database import Database
from tuner.trial import Lease

EPSILON = 1e-2
LIMIT = 20_000
"""Steps after which a study is given up."""

REPORT_EVERY = 8
"""Steps from one report to the next."""

SEEDS = 3
CLIENTS = (1, 4)
SEARCHES: dict[str, dict[str, Any]] = {
    "trajectory": {"sampler": {"name": "trajectory"}},
    "tpe, median": {"sampler": {"name": "tpe"}, "pruner": {"name": "median"}},
}


@dataclass
class Client:
    """One that trains: its trial and where it stands in it."""

    lease: Lease
    rate: float
    wanted: int
    descent: Descent
    step: int = 0

    def train(self) -> tuple[int, NewPoints]:
        """Make some steps: how many it made, and their losses, the start's with the first."""
        before = self.step
        self.descent.advance(REPORT_EVERY)
        losses = self.descent.loss_curve(0).values
        self.step = len(losses) - 1
        first = before + 1 if before else 0
        return self.step - before, NewPoints("loss", np.arange(first, self.step + 1), losses[first:])

    @property
    def loss(self) -> float:
        """What it would tell."""
        return float(self.descent.loss_curve(0, since=self.step).values[-1])


@dataclass(frozen=True)
class Spent:
    """Steps and trials until the target was told; None where it was not within the limit."""

    steps: int | None
    trials: int


def spend(problem: Problem, search: str, clients: int, seed: int, target: float, *, show: bool = False) -> Spent:
    """Let clients train until one tells the target or better."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as directory:
        database = Database(f"sqlite:///{Path(directory) / 'tuner.db'}")
        migration.upgrade(database)
        document = {
            "name": "study",
            "search_space": {
                "learning_rate": {"type": "float", "low": LOWEST_RATE, "high": HIGHEST_RATE, "scale": "log"},
                "steps": {"type": "int", "low": 1, "high": MOST_STEPS, "scale": "log"},
            },
            "budget": {"gradient_evaluations": 10 * LIMIT},
            **SEARCHES[search],
        }
        document["sampler"] = {**document["sampler"], "seed": zlib.crc32(f"{seed}, {problem.name}".encode())}
        studies.create(database, StudyDefinition.model_validate(document))
        try:
            return _spend(database, problem, problem.create(), clients, target, show=show)
        finally:
            database.close()


def _spend(
    database: Database, problem: Problem, objective: Counted, clients: int, target: float, *, show: bool
) -> Spent:
    training: list[Client] = []
    steps = trials = 0
    while steps < LIMIT:
        while len(training) < clients:
            [lease] = ask(database, "study", lease_seconds=3600).trials
            rate, wanted = lease.parameters["learning_rate"], lease.parameters["steps"]
            assert isinstance(rate, float)
            assert isinstance(wanted, int)
            descent = Descent(objective, [Row(rate, wanted)], initial_seed=problem.initial_seed)
            training.append(Client(lease, rate, wanted, descent))
            trials += 1
        for client in list(training):
            made, points = client.train()
            steps += made
            [answer] = report(database, "study", [Report(client.lease.number, client.lease.attempt, [points])])
            assert isinstance(answer, Reported)
            if not answer.should_stop and client.step < client.wanted and made == REPORT_EVERY:
                continue
            complete = client.step >= client.wanted or not math.isfinite(client.loss)
            ending = Ending(
                client.lease.number,
                client.lease.attempt,
                "complete" if complete else "pruned",
                values={"loss": client.loss},
                reason=answer.reason,
            )
            tell(database, "study", [ending])
            training.remove(client)
            if show:
                print(
                    f"{steps:6d} {ending.number:3d} {client.rate:10.4g} {client.step:4d}/{client.wanted:4d}"
                    f" {client.loss:10.4g} {ending.reason or ''}"
                )
            if ending.state == "complete" and client.loss <= target:
                return Spent(steps, trials)
    return Spent(None, trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=SEARCHES, default=list(SEARCHES))
    parser.add_argument("--clients", nargs="*", type=int, default=list(CLIENTS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--others", action="store_true", help="the other two thirds of the problems")
    parser.add_argument("--problem", help="one problem, its trials shown")
    chosen = parser.parse_args()
    problems = [one for place, one in enumerate(PROBLEMS) if (place % 3 > 0) is chosen.others]
    if chosen.problem:
        problems = [one for one in PROBLEMS if one.name == chosen.problem]
    _print(_measure(problems, chosen.only, chosen.clients, range(chosen.seeds), show=bool(chosen.problem)))


Column = tuple[str, int]


def _measure(
    problems: Sequence[Problem], searches: Sequence[str], clients: Sequence[int], seeds: Sequence[int], *, show: bool
) -> dict[str, tuple[int, dict[Column, list[Spent]]]]:
    measured: dict[str, tuple[int, dict[Column, list[Spent]]]] = {}
    for problem in problems:
        known = oracle(problem)
        began = time.perf_counter()
        columns = {
            (search, count): [spend(problem, search, count, seed, known.target(EPSILON), show=show) for seed in seeds]
            for count in clients
            for search in searches
        }
        measured[problem.name] = known.steps[EPSILON], columns
        steps = ", ".join(f"{search} x {count}: {_median(found):g}" for (search, count), found in columns.items())
        print(f"{problem.name}: {steps} ({time.perf_counter() - began:.0f} s)", file=sys.stderr, flush=True)
    return measured


def _median(found: Sequence[Spent]) -> float:
    """Steps; where the target was not told, the limit."""
    return statistics.median(LIMIT if one.steps is None else one.steps for one in found)


def _print(measured: dict[str, tuple[int, dict[Column, list[Spent]]]]) -> None:
    columns = list(next(iter(measured.values()))[1])
    print(header(), end="\n\n")
    titles = [f"{search}, {count} client{'s' if count > 1 else ''}" for search, count in columns]
    print(f"| problem | oracle, steps | {' | '.join(titles)} |")
    print("|---|---|" + "---|" * len(columns))
    for name, (best, found) in measured.items():
        cells = [_cell(found[column]) for column in columns]
        print(f"| {name} | {best} | {' | '.join(cells)} |")
    means = [
        f"{statistics.geometric_mean([_median(found[column]) for _, found in measured.values()]):,.0f}"
        for column in columns
    ]
    print(f"| geometric mean | | {' | '.join(means)} |")


def _cell(found: Sequence[Spent]) -> str:
    """Steps and trials, medians; in brackets where most seeds did not get there."""
    trials = statistics.median(one.trials for one in found)
    text = f"{_median(found):,.0f} ({trials:g} trials)"
    return f"[{text}]" if 2 * sum(one.steps is None for one in found) > len(found) else text


if __name__ == "__main__":
    main()
