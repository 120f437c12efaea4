"""Successive halving without waiting (ASHA), and Hyperband: several of it side by side."""

import math
from bisect import bisect
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from tuner.errors import InvalidInput
from tuner.search.pruners.pruner import Comparison, RungPruner, StepCount, most_steps
from tuner.search.pruners.rungs import GeometricRungs, Rungs
from tuner.space import SearchSpace

Factor = Annotated[int, Field(ge=2, le=1000, description="Of so many trials, one goes on.")]


class _Halving(RungPruner):
    """The rule that both share."""

    share: ClassVar[int]
    """What part of the highest steps ``min_resource`` is where it is null: 10 is a tenth."""

    min_resource: Annotated[
        StepCount | None,
        Field(description="Steps before which none is stopped; without it, a small share of the highest steps."),
    ] = None
    reduction_factor: Factor = 4

    def fitted(self, space: SearchSpace) -> Self:
        """With its least resource filled in."""
        if self.min_resource is not None:
            return self
        return self.model_copy(update={"min_resource": max(1, (most_steps(space) or 1) // self.share)})

    @property
    def _first(self) -> int:
        return self.min_resource or 1

    def decisive(self, crossed: Sequence[int]) -> Sequence[int]:
        """All of them: only what is good enough at one is let on to the next."""
        return crossed

    def decide(self, at: Comparison) -> str | None:
        """Stop a trial that is not among the best 1/factor of those that reached the rung, itself among them."""
        reached = len(at.peers) + 1
        stay = max(1, reached // self.reduction_factor)
        if stay > len(at.peers):
            return at.never_finite()
        # Among the best: fewer than `stay` peers are better.
        limit = float(np.partition(at.peers, stay - 1)[stay - 1])
        if at.value <= limit and math.isfinite(at.value):
            return None
        missed = f"among the best {stay}" if stay > 1 else "the best"
        return at.never_finite() or f"not {missed} of {reached} trials {at.against(limit)}"


class Asha(_Halving):
    """Stop all but the best 1/reduction_factor at each of few, geometrically spaced steps.

    Asynchronous successive halving: Li et al. (2020), A system for massively parallel hyperparameter tuning
    (arXiv:1810.05934), in the form of Ray Tune and Optuna, which stops trials instead of pausing them until a rung has
    filled. Rungs are ``min_resource · reduction_factor^(k + min_early_stopping_rate)``; ``min_resource`` null is a
    tenth of the highest steps: earlier, the noise of a curve decides as much as its learning rate.
    """

    share = 10

    min_early_stopping_rate: Annotated[int, Field(ge=0, le=100, description="Rungs left out at the beginning.")] = 0

    def rungs(self, bracket: int) -> Rungs:  # noqa: ARG002
        """From the first resource on, without end."""
        return GeometricRungs(self._first * self.reduction_factor**self.min_early_stopping_rate, self.reduction_factor)


class Hyperband(_Halving):
    """Successive halving in brackets that begin to stop earlier or later, so that no single guess when decides.

    Li et al. (2018), Hyperband: a novel bandit-based approach to hyperparameter optimization (JMLR 18). Bracket 0
    begins to stop at ``min_resource``, each further one ``reduction_factor`` times later, the last one not at all.
    Trials go to the brackets in the paper's proportions, by their number alone. ``max_resource`` null is the highest
    steps of the search space, ``min_resource`` null a hundredth of them: brackets that begin later make up for it.
    """

    share = 100

    reduction_factor: Factor = 3
    max_resource: Annotated[
        StepCount | None, Field(description="Steps of a trial that is never stopped; without it, the highest steps.")
    ] = None

    def fitted(self, space: SearchSpace) -> Self:
        """With its least and most resource filled in."""
        most = self.max_resource or most_steps(space)
        if most is None:
            raise InvalidInput.at("settings.max_resource", "is required where the search space has no steps")
        fitted = super().fitted(space).model_copy(update={"max_resource": most})
        if fitted._first > most:
            raise InvalidInput.at("settings.min_resource", f"must not be greater than max_resource ({most})")
        return fitted

    @property
    def _most(self) -> int:
        return self.max_resource or self._first

    @cached_property
    def allotments(self) -> list[int]:
        """Trials of each bracket in one round of all: the paper's n = ⌈(s_max + 1) / (s + 1) · η^s⌉."""
        brackets = len(GeometricRungs(self._first, self.reduction_factor).between(0, self._most))
        return [-(-brackets * self.reduction_factor**s // (s + 1)) for s in range(brackets - 1, -1, -1)]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(self.allotments))

    def bracket(self, number: int) -> int:
        """Each round of trials fills each bracket exactly; within it, brackets are dealt out well mixed."""
        size = self._ends[-1]
        # Multiples of about the golden ratio of a number, modulo it, visit all places, far from the last one each.
        stride = next(k for k in range(round(0.618 * size), size + 2) if math.gcd(k, size) == 1)
        return bisect(self._ends, number * stride % size)

    def rungs(self, bracket: int) -> Rungs:
        """Up to the last one from which there is a whole factor to go."""
        first = self._first * self.reduction_factor**bracket
        return GeometricRungs(first, self.reduction_factor, last=self._most // self.reduction_factor)
