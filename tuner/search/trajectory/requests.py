"""What a plan asks for, and what it is answered.

A plan is a generator: it yields a request, is sent the answer, and decides on the next. It is a function of its task
and the answers alone, so that it can be rebuilt anywhere by asking it again and answering from what is stored: the
first request that the store cannot answer is where the search stands.
"""

import math
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tuner.space import Parameter
from tuner.trial import ParameterValue

Arm = tuple[tuple[str, ParameterValue], ...]
"""One combination of values of the further dimensions, by name, in their order; empty where there are none."""


@dataclass(frozen=True)
class Task:
    """What is searched: rates in [low, high], step counts in [fewest_steps, most_steps], and the further dimensions.

    evaluations, trials: what the search may spend in all, in gradient evaluations and in rates; None is no limit.
    Whoever carries the plan out holds it to that; the plan may use it to divide its means.
    target: the loss to reach in the fewest steps, where that is the goal; None: the lowest loss is.
    front: whether the whole trade-off of loss against steps is wanted.
    probes: whether `Probe` can be answered.
    further: the dimensions beside rate and steps, by name, none of them fixed.
    seed: of whatever is left to chance.
    """

    low: float
    high: float
    fewest_steps: int
    most_steps: int
    evaluations: int | None = None
    trials: int | None = None
    target: float | None = None
    front: bool = False
    probes: bool = True
    further: Mapping[str, Parameter] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Run:
    """Follow a rate to step ``steps``: from x_0, or on from where its descent stands.

    It ends sooner where the loss leaves the finite numbers or is above ``ceiling`` at any step after the start.
    """

    learning_rate: float
    steps: int
    ceiling: float = math.inf


@dataclass(frozen=True)
class Pass:
    """Runs to be carried out together, step by step, the most important first; no two of the same rate.

    keep: the rates, beside those of the runs, that may be continued later. Every other rate is done with.
    arm: the combination that all of them, runs and kept ones, belong to; the rates of other arms are left as they are.
    """

    runs: Sequence[Run]
    keep: Collection[float] = frozenset()
    arm: Arm = ()


@dataclass(frozen=True)
class Probe:
    """Measure the curvature at the start, and with it the rate at which descents of an arm become unstable there.

    The curvature is the same for all arms, and measured once.
    """

    arm: Arm = ()


Request = Pass | Probe


@dataclass(frozen=True)
class Trajectory:
    """A descent so far: losses at steps 0 … n, shape (n + 1,), the goal's metric in float64.

    A pass may be answered by less than it asked for: where ``losses`` ends before the run's steps, the descent ended,
    because it left the finite numbers (the last loss is one that did) or passed the ceiling, or the means are spent.
    """

    learning_rate: float
    losses: NDArray[np.float64]

    @property
    def steps(self) -> int:
        """Updates made so far."""
        return len(self.losses) - 1


@dataclass(frozen=True)
class Limit:
    """The answer to a probe: descents are unstable at the start from this rate on; None where nothing bounds it."""

    learning_rate: float | None


Plan = Generator[Request, Sequence[Trajectory] | Limit, None]
"""The trajectories are in the order of the pass's runs; a run that was refused (no means left) is missing."""
