"""What it costs to know the answer beforehand: the limit that no search can pass.

1,500 rates, evenly spaced on a log scale, are run in full. f* is the best loss that one in a hundred of them (15)
reaches, so that one lucky rate at the edge of chaos sets no standard; the oracle of ε is the fewest steps within which
one in a hundred reaches f* + ε·(f(x_0) - f*).

``python -m benchmarks.oracle`` prints them for every problem, and measures those that are not in the cache (minutes).
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import cache
from benchmarks.problems import HIGHEST_RATE, LOWEST_RATE, MOST_STEPS, PROBLEMS, Problem
from tuner.descent import Descent, Row

RATES = 1500
LUCKY = RATES // 100
"""As many rates must reach a loss before it counts as reachable."""

EPSILONS = (1e-2, 1e-3, 1e-4)

_BATCH = 125


@dataclass(frozen=True)
class Oracle:
    """f(x_0), f*, the oracle's steps for each ε, and the rates [lowest, highest] that reach the target of ε = 1e-3."""

    start: float
    best: float
    steps: Mapping[float, int]
    reaching: tuple[float, float]

    def target(self, epsilon: float) -> float:
        """The loss f* + ε·(f(x_0) - f*)."""
        return self.best + epsilon * (self.start - self.best)


class Degenerate(Exception):
    """No problem to search: fewer than one in a hundred rates reach a loss below the start's."""


def oracle(problem: Problem) -> Oracle:
    """From the cache, or measured: 1.5 million gradient evaluations.

    Raises:
        Degenerate: no rate worth finding.
    """
    question = f"{RATES} rates in [{LOWEST_RATE}, {HIGHEST_RATE}], {MOST_STEPS} steps"
    known = cache.read("oracle", problem, question)
    if known is None:
        known = _measure(problem)
        cache.write("oracle", problem, question, known)
    start, best = float(known["start"]), float(known["best"])
    if not best < start:
        raise Degenerate(
            f"{problem.name}: the best loss of {LUCKY} in {RATES} rates is {best:g}, at the start {start:g}"
        )
    steps = {epsilon: int(known["steps"][str(epsilon)]) for epsilon in EPSILONS}
    return Oracle(start, best, steps, tuple(known["reaching"]))


def _measure(problem: Problem) -> dict[str, object]:
    rates = np.geomspace(LOWEST_RATE, HIGHEST_RATE, RATES)
    lowest = np.concatenate([_lowest(problem, rates[begin : begin + _BATCH]) for begin in range(0, RATES, _BATCH)])
    start = float(lowest[0, 0])
    best = float(np.sort(lowest[:, -1])[LUCKY - 1])
    steps = {}
    for epsilon in EPSILONS:
        first = np.argmax(lowest <= best + epsilon * (start - best), axis=1)
        reached = lowest[:, -1] <= best + epsilon * (start - best)
        steps[str(epsilon)] = int(np.sort(first[reached])[LUCKY - 1])
    reaching = rates[lowest[:, -1] <= best + 1e-3 * (start - best)]
    return {"start": start, "best": best, "steps": steps, "reaching": [float(reaching[0]), float(reaching[-1])]}


def _lowest(problem: Problem, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lowest loss up to each step, shape (R, steps + 1)."""
    rows = [Row(float(rate), MOST_STEPS) for rate in rates]
    descent = Descent(problem.create(), rows, initial_seed=problem.initial_seed)
    descent.advance()
    lowest = np.full((len(rates), MOST_STEPS + 1), np.inf)
    for row in range(len(rates)):
        losses = descent.loss_curve(row).values
        lowest[row, : len(losses)] = np.where(np.isfinite(losses), losses, np.inf)
    return np.minimum.accumulate(lowest, axis=1)


def main() -> None:
    print("| problem | half | f(x_0) | f* | " + " | ".join(f"ε = {epsilon:g}" for epsilon in EPSILONS) + " | rates |")
    print("|---|---|---|---|" + "---|" * (len(EPSILONS) + 1))
    for problem in PROBLEMS:
        began = time.perf_counter()
        try:
            known = oracle(problem)
        except Degenerate as reason:
            print(f"left out: {reason}", file=sys.stderr)
            continue
        steps = " | ".join(str(known.steps[epsilon]) for epsilon in EPSILONS)
        rates = "{:.3g} … {:.3g}".format(*known.reaching)
        print(
            f"| {problem.name} | {problem.half} | {known.start:.6g} | {known.best:.6g} | {steps} | {rates} |",
            flush=True,
        )
        print(f"  {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
