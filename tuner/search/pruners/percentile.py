"""Median and percentile stopping: a trial goes on while it keeps up with its peers."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuner.search.pruners.pruner import PEERS, Comparison, RungPruner, Step, StepCount, most_steps
from tuner.search.pruners.rungs import GeometricRungs, LinearRungs, Rungs
from tuner.space import SearchSpace


class _Quantile(RungPruner):
    """The settings and the rule that both share.

    The first values of a noisy curve say nothing yet about the trial. Half of all trials go on anyway, so a warm-up of
    a tenth of the highest steps costs little, and by then a best value stands on many.
    """

    n_startup_trials: Annotated[
        int, Field(ge=0, le=PEERS, description="Trials that must have got as far before one is stopped.")
    ] = 5
    n_warmup_steps: Annotated[
        Step | None,
        Field(description="Steps before which none is stopped; without it, a tenth of the highest steps."),
    ] = None
    interval_steps: Annotated[
        StepCount | None, Field(description="Steps from one comparison to the next; without it, at each doubling.")
    ] = None

    def fitted(self, space: SearchSpace) -> Self:
        """With its warm-up filled in."""
        if self.n_warmup_steps is not None:
            return self
        return self.model_copy(update={"n_warmup_steps": (most_steps(space) or 0) // 10})

    def rungs(self, bracket: int) -> Rungs:  # noqa: ARG002
        """At each doubling from the end of the warm-up, or every ``interval_steps`` from there; none at step 0."""
        if self.interval_steps is None:
            return GeometricRungs(self.n_warmup_steps or 1, 2)
        return LinearRungs(self.n_warmup_steps or self.interval_steps, self.interval_steps)

    def decisive(self, crossed: Sequence[int]) -> Sequence[int]:
        """The last one: it knows the most."""
        return crossed[-1:]

    def decide(self, at: Comparison) -> str | None:
        """Stop a trial whose best is worse than the quantile of its peers' bests."""
        if len(at.peers) < max(1, self.n_startup_trials):
            return None
        limit = quantile(at.peers, self._share())
        if at.value <= limit and math.isfinite(at.value):
            return None
        return at.never_finite() or f"worse than the {self._name()} of {len(at.peers)} trials {at.against(limit)}"

    @abstractmethod
    def _share(self) -> float:
        """The quantile, in [0, 1]: the best value is at 0."""

    @abstractmethod
    def _name(self) -> str:
        """The quantile's name."""


class Median(_Quantile):
    """Stop what is worse than the median of the trials at the same step.

    Golovin et al. (2017), Google Vizier: a service for black-box optimization, section 3.2.2. As there, a trial is held
    to its *best* value so far, so the noise of its last one does not count; the peers are held to theirs, where Vizier
    takes their running averages. ``n_warmup_steps`` null is a tenth of the highest steps.
    """

    def _share(self) -> float:
        return 0.5

    def _name(self) -> str:
        return "median"


class Percentile(_Quantile):
    """Stop what is not within the best per cent of the trials at the same step.

    ``percentile`` says how many of a hundred go on, whichever way the goal points: 25 keeps the best quarter, 50 is the
    median. Otherwise as the median pruner.
    """

    percentile: Annotated[float, Field(ge=0, le=100, description="Of a hundred trials, how many go on.")] = 25.0

    def _share(self) -> float:
        return self.percentile / 100

    def _name(self) -> str:
        return f"best {self.percentile:g} %"


def quantile(values: NDArray[np.float64], share: float) -> float:
    """The quantile of values (n,), interpolated linearly; infinite as soon as an infinite one has a part in it."""
    ordered = np.sort(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    low, high = float(ordered[below]), float(ordered[math.ceil(place)])
    if low == high:
        return low
    return low + (place - below) * (high - low)
