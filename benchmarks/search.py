"""Searches for a learning rate, measured in gradient evaluations: ours beside Optuna's, and both beside the oracle.

The cost of a search is what it has spent, probes included, when its best loss first gets to f* + ε·(f(x_0) - f*);
where it does not within 20,000 gradient evaluations, it is these. The ratio is the cost over max(oracle, 30), of the
median of five seeds; the suite's is the geometric mean over its problems.

Oracles (ten minutes) and peers (hours) are measured once and cached: ``python -m benchmarks.search`` measures what is
missing. ``--only ours`` measures ours, without the clock; ``--only tpe gp`` these peers. The tables show what is known.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna

from benchmarks import cache
from benchmarks.oracle import EPSILONS, Degenerate, Oracle, oracle
from benchmarks.peers import PEERS, available
from benchmarks.problems import HIGHEST_RATE, LOWEST_RATE, MOST_STEPS, PROBLEMS, Counted, Problem
from benchmarks.spending import LIMIT, Cost, Spent, cost
from benchmarks.table import Measurement, header, markdown, seconds
from tuner.search.trajectory import Progress, Task, carry_out, plan

SEEDS = 5
JUDGED = 1e-3
"""The ε that the goals are about."""

DEAR = 200_000
"""What a search that does not get there counts in a second comparison with the peers: `LIMIT` flatters them."""

_SHORTEST = 30
"""An oracle below it counts as so many steps: a search must look before it knows."""


def ours(problem: Problem, objective: Counted, seed: int) -> Iterator[Spent]:
    """Our trajectory search."""
    task = Task(LOWEST_RATE, HIGHEST_RATE, 1, MOST_STEPS, evaluations=LIMIT, seed=seed)
    for progress in carry_out(plan(task), task, objective, initial_seed=problem.initial_seed):
        yield step_by_step(progress)


def step_by_step(progress: Progress) -> Spent:
    """A pass of R rows spends step k of all of them before step k + 1."""
    if not progress.trajectories:
        return Spent(np.array([progress.evaluations]), np.array([math.inf]))
    first = min(progress.since) + 1
    last = max(trajectory.steps for trajectory in progress.trajectories)
    evaluations = np.zeros(last - first + 1, np.int64)
    losses = np.full(last - first + 1, np.inf)
    for trajectory, since in zip(progress.trajectories, progress.since, strict=True):
        new = slice(since + 1 - first, trajectory.steps + 1 - first)
        evaluations[new] += 1
        losses[new] = np.fmin(losses[new], trajectory.losses[since + 1 :])
    return Spent(evaluations, losses)


@dataclass(frozen=True)
class Measured:
    """A problem, its oracle, and the costs of each search that is known, one a seed. Ours is named ``ours``."""

    problem: Problem
    oracle: Oracle
    costs: Mapping[str, Sequence[Cost]]

    def ratio(self, search: str, epsilon: float, unreached: int = LIMIT) -> float:
        """The median over seeds; where the target was not reached, of what that is to count."""
        spent = [unreached if (found := one.evaluations[epsilon]) is None else found for one in self.costs[search]]
        return statistics.median(spent) / max(self.oracle.steps[epsilon], _SHORTEST)

    def unreached(self, search: str, epsilon: float) -> int:
        """In how many seeds the target was not reached."""
        return sum(one.evaluations[epsilon] is None for one in self.costs[search])


def of_peer(peer: str, problem: Problem, known: Oracle, seed: int, *, measure: bool) -> Cost | None:
    """From the cache, or measured if so wished."""
    targets = [known.target(epsilon).hex() for epsilon in EPSILONS]
    question = f"{peer}, seed {seed}, targets {targets}, at most {LIMIT}, optuna {optuna.__version__}"
    kept = cache.read(peer, problem, question)
    if kept is None and measure:
        kept = cost(PEERS[peer], problem, known, seed).as_json()
        cache.write(peer, problem, question, kept)
    return None if kept is None else Cost.from_json(kept)


def compare(problems: Sequence[Problem], *, with_ours: bool, measuring: Sequence[str]) -> list[Measured]:
    """Each problem that has an oracle; the peers that are measured, or known, with all seeds."""
    measured = []
    for problem in problems:
        began = time.perf_counter()
        try:
            known = oracle(problem)
        except Degenerate as reason:
            _say(f"left out: {reason}")
            continue
        costs = {"ours": [cost(ours, problem, known, seed) for seed in range(SEEDS)]} if with_ours else {}
        for peer in PEERS:
            found = [of_peer(peer, problem, known, seed, measure=peer in measuring) for seed in range(SEEDS)]
            if None not in found:
                costs[peer] = [one for one in found if one is not None]
        measured.append(Measured(problem, known, costs))
        ratios = ", ".join(f"{search} {measured[-1].ratio(search, JUDGED):.1f}" for search in costs)
        _say(f"{problem.name}: {ratios} ({time.perf_counter() - began:.1f} s)")
    return measured


def summary(measured: Sequence[Measured]) -> str:
    """A table: each half and the whole, each ε, each search."""
    lines = [
        "| problems | ε | search | geometric mean | median | worst | unreached |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, part in _parts(measured):
        for epsilon in EPSILONS:
            for search in _searches(part):
                ratios = [one.ratio(search, epsilon) for one in part]
                unreached = sum(2 * one.unreached(search, epsilon) > SEEDS for one in part)
                lines.append(
                    f"| {title} | {epsilon:g} | {search} | {statistics.geometric_mean(ratios):.1f} | "
                    f"{statistics.median(ratios):.1f} | {max(ratios):.1f} | {unreached} |"
                )
    return "\n".join(lines)


def by_problem(measured: Sequence[Measured]) -> str:
    """A table: the ratios of each problem at the ε that is judged; in brackets where most seeds did not reach it."""
    searches = _searches(measured)
    lines = [
        f"| problem | half | oracle, steps | {' | '.join(searches)} |",
        "|---|---|---|" + "---|" * len(searches),
    ]
    for one in measured:
        cells = [
            f"({one.ratio(search, JUDGED):.1f})"
            if 2 * one.unreached(search, JUDGED) > SEEDS
            else f"{one.ratio(search, JUDGED):.1f}"
            for search in searches
        ]
        lines.append(f"| {one.problem.name} | {one.problem.half} | {one.oracle.steps[JUDGED]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def goals(measured: Sequence[Measured]) -> list[Measurement]:
    """What is promised of ours, judged on each half and on the whole."""
    rows = []
    for title, part in _parts(measured):
        searches = _searches(part)
        if "ours" not in searches:
            continue
        means = {search: statistics.geometric_mean([one.ratio(search, JUDGED) for one in part]) for search in searches}
        what = f"gradient evaluations to ε = {JUDGED:g}, {title}"
        mean = means.pop("ours")
        rows.append(
            Measurement(f"{what}: geometric mean", f"{mean:.2f}x the oracle", "", f"{mean:.2f}x", "<= 3x", mean <= 3)
        )
        if means:
            best = min(means, key=lambda peer: means[peer])
            missing = [peer for peer in PEERS if peer not in means]
            than = f"{means[best]:.1f}x the oracle ({best}; {', '.join(missing) or 'none'} not measured)"
            times = means[best] / mean
            rows.append(
                Measurement(
                    f"{what}: beside the best of Optuna's",
                    f"{mean:.2f}x the oracle",
                    than if missing else f"{means[best]:.1f}x the oracle ({best})",
                    f"{times:.1f}x fewer",
                    ">= 20x",
                    times >= 20,
                )
            )
            dear = {
                search: statistics.geometric_mean([one.ratio(search, JUDGED, DEAR) for one in part])
                for search in searches
            }
            dearest = dear.pop("ours")
            best = min(dear, key=lambda peer: dear[peer])
            rows.append(
                Measurement(
                    f"{what}: the same, unreached counted as {DEAR:,}",
                    f"{dearest:.2f}x the oracle",
                    f"{dear[best]:.1f}x the oracle ({best})",
                    f"{dear[best] / dearest:.1f}x fewer",
                    "",
                    None,
                )
            )
        unreached = sum(one.unreached("ours", JUDGED) for one in part)
        worst = max(part, key=lambda one: one.ratio("ours", JUDGED))
        ratio = worst.ratio("ours", JUDGED)
        rows += [
            Measurement(
                f"{what}: unreached within {LIMIT:,}",
                f"{unreached} of {sum(len(one.costs['ours']) for one in part)} searches",
                "",
                "",
                "none",
                unreached == 0,
            ),
            Measurement(
                f"{what}: the worst problem",
                f"{ratio:.1f}x the oracle ({worst.problem.name})",
                "",
                f"{ratio:.1f}x",
                "<= 15x",
                ratio <= 15,
            ),
        ]
    return rows


def clock(problems: Sequence[Problem], seeds: int = 3) -> Measurement:
    """The whole search in memory, ours and tpe in turns: time until both are good enough, where both are.

    Of each problem the median over seeds; of those the sum.
    """
    totals = {"ours": 0.0, "tpe": 0.0}
    reached = 0
    for problem in problems:
        try:
            known = oracle(problem)
        except Degenerate:
            continue
        times: dict[str, list[float]] = {"ours": [], "tpe": []}
        for seed in range(seeds):
            for name, search in (("ours", ours), ("tpe", PEERS["tpe"])):
                passed = cost(search, problem, known, seed, until=JUDGED).seconds[JUDGED]
                times[name].append(math.inf if passed is None else passed)
        medians = {name: statistics.median(passed) for name, passed in times.items()}
        if math.isfinite(sum(medians.values())):
            reached += 1
            totals = {name: total + medians[name] for name, total in totals.items()}
        shown = [
            f"{name} {seconds(passed) if math.isfinite(passed) else 'did not'}" for name, passed in medians.items()
        ]
        _say(f"{problem.name}: {', '.join(shown)}")
    times_faster = totals["tpe"] / totals["ours"] if reached else math.nan
    return Measurement(
        f"time to ε = {JUDGED:g} in memory, the {reached} problems that both reach",
        seconds(totals["ours"]),
        f"{seconds(totals['tpe'])} (TPESampler, one trial after another)",
        f"{times_faster:.0f}x faster",
        ">= 20x",
        times_faster >= 20,
    )


def measure(problems: Sequence[Problem] = PROBLEMS) -> list[Measurement]:
    """Everything: the tables are printed, the goals answered."""
    measured = compare(problems, with_ours=True, measuring=_peers(list(PEERS)))
    _print_tables(measured)
    return [*goals(measured), clock(problems)]


def _peers(wanted: Sequence[str]) -> list[str]:
    for peer in wanted:
        if not available(peer):
            _say(f"{peer} is not measured: PyTorch is missing (pip install 'tuner[gp]')")
    return [peer for peer in wanted if available(peer)]


def _parts(measured: Sequence[Measured]) -> Iterator[tuple[str, Sequence[Measured]]]:
    for half in ("design", "held-out"):
        part = [one for one in measured if one.problem.half == half]
        if part:
            yield f"{len(part)} {half}", part
    if len({one.problem.half for one in measured}) > 1:
        yield f"all {len(measured)}", measured


def _searches(part: Sequence[Measured]) -> list[str]:
    """Those known for every problem of the part."""
    return [search for search in ("ours", *PEERS) if all(search in one.costs for one in part)]


def _print_tables(measured: Sequence[Measured]) -> None:
    print(summary(measured))
    print()
    print(f"Cost over the oracle at ε = {JUDGED:g}:")
    print()
    print(by_problem(measured))
    print()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=["ours", *PEERS], help="ours: without the clock; peers: into the cache"
    )
    parser.add_argument("--half", choices=["design", "held-out"], help="one half of the problems")
    chosen = parser.parse_args(arguments)
    problems = [problem for problem in PROBLEMS if chosen.half in {None, problem.half}]
    if not chosen.only:
        rows = measure(problems)
        print(header())
        print()
        print(markdown(rows))
        return
    peers = _peers([peer for peer in chosen.only if peer != "ours"])
    measured = compare(problems, with_ours="ours" in chosen.only, measuring=peers)
    _print_tables(measured)
    print(markdown(goals(measured)))


if __name__ == "__main__":
    main(sys.argv[1:])
