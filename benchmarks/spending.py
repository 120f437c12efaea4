"""What a search for a learning rate spends until it is good enough, exact to the single gradient evaluation."""

import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.oracle import EPSILONS, Oracle
from benchmarks.problems import Counted, Problem

LIMIT = 20_000
"""Gradient evaluations after which a search is given up."""


@dataclass(frozen=True)
class Spent:
    """What a search did next, in order: so many gradient evaluations together, shape (n,), and the lowest loss of each.

    Losses that are not finite count for nothing.
    """

    evaluations: NDArray[np.int64]
    losses: NDArray[np.float64]


Search = Callable[[Problem, Counted, int], Iterator[Spent]]
"""From a problem, its objective and a seed: what the search does, one thing after another, as long as it is asked."""


@dataclass(frozen=True)
class Cost:
    """Gradient evaluations and seconds to the target of each ε; None where the search did not get there."""

    evaluations: Mapping[float, int | None]
    seconds: Mapping[float, float | None]

    def as_json(self) -> dict[str, Any]:
        """For the cache."""
        return {
            "evaluations": {str(epsilon): cost for epsilon, cost in self.evaluations.items()},
            "seconds": {str(epsilon): cost for epsilon, cost in self.seconds.items()},
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Cost":
        """From the cache."""
        return cls(
            {float(epsilon): cost for epsilon, cost in kept["evaluations"].items()},
            {float(epsilon): cost for epsilon, cost in kept["seconds"].items()},
        )


def cost(search: Search, problem: Problem, oracle: Oracle, seed: int, until: float = min(EPSILONS)) -> Cost:
    """Let a search run until it gets to the target of ``until``, is over, or has spent the limit.

    Each problem has its own random numbers: what all of them begin with would be measured again and again.

    Raises:
        RuntimeError: it said that it spent something else than it did.
    """
    objective = problem.create()
    missing = sorted((epsilon for epsilon in EPSILONS if epsilon >= until), reverse=True)
    evaluations: dict[float, int | None] = dict.fromkeys(EPSILONS)
    seconds: dict[float, float | None] = dict.fromkeys(EPSILONS)
    spent = 0
    began = time.perf_counter()
    for part in search(problem, objective, zlib.crc32(f"{seed}, {problem.name}".encode())):
        passed = time.perf_counter() - began
        totals = spent + np.cumsum(part.evaluations)
        losses = np.where(np.isfinite(part.losses), part.losses, math.inf)
        while missing:
            reached = np.flatnonzero(losses <= oracle.target(missing[0]))
            if not len(reached):
                break
            if totals[reached[0]] <= LIMIT:
                evaluations[missing[0]], seconds[missing[0]] = int(totals[reached[0]]), passed
            missing.pop(0)
        spent = int(totals[-1]) if len(totals) else spent
        if spent != objective.evaluations:
            raise RuntimeError(f"{problem.name}: {objective.evaluations} gradient evaluations, {spent} declared")
        if not missing or spent >= LIMIT:
            break
    return Cost(evaluations, seconds)
