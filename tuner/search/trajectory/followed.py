"""What the descent at one rate has shown so far: how low it got, and whether it is still on its way down."""

import math

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]

FALLING_SHARE = 1e-9
"""Movement below this share of what the search has gained altogether is rounding, not roughness."""


class Followed:
    """A rate and its losses at steps 0 … n.

    Args:
        learning_rate: the rate.
        losses: shape (n + 1,), the last one possibly not finite.
        fewest_steps: a step count below it is no answer: `best` passes over it.
        exploded: whether it is over, because it left the finite numbers or passed its ceiling.
    """

    def __init__(self, learning_rate: float, losses: Losses, *, fewest_steps: int, exploded: bool) -> None:
        self.learning_rate = learning_rate
        self.steps = len(losses) - 1
        self.exploded = exploded
        self._losses = np.where(np.isfinite(losses), losses, np.inf)
        self._lowest = np.minimum.accumulate(self._losses)
        self._fewest = fewest_steps

    @property
    def start(self) -> float:
        """The loss at x_0."""
        return float(self._losses[0])

    @property
    def last(self) -> float:
        """The loss where it stands."""
        return float(self._losses[-1])

    @property
    def best(self) -> float:
        """The lowest loss at a step count that is an answer; infinite where there is none."""
        return float(self._losses[self._fewest :].min(initial=math.inf))

    @property
    def lowest(self) -> float:
        """As `best`, of all its steps: how low it has come, whether or not that is an answer."""
        return float(self._losses[min(self._fewest, 1) :].min(initial=math.inf))

    @property
    def best_step(self) -> int:
        """The step of the lowest loss, 0 and the fewest steps included."""
        return int(self._losses.argmin())

    @property
    def typical(self) -> float:
        """The median loss of its last quarter: where it is, whatever its luck at single steps."""
        return float(np.median(self._losses[-max(4, self.steps // 4) :]))

    @property
    def second_half(self) -> float:
        """How much lower the second half of its steps has brought it."""
        return float(self._lowest[self.steps // 2] - self._lowest[-1])

    def roughness(self, gained: float) -> float:
        """The share of its movement over its last half that went up: 0 on a way that only falls, 1/2 where it is stuck.

        Args:
            gained: what the search has gained altogether; movement that is nothing beside it counts as none.
        """
        if self.exploded:
            return 1.0
        with np.errstate(invalid="ignore"):
            moves = np.diff(self._losses[-max(4, self.steps // 2) - 1 :])
        total = float(np.abs(moves).sum())
        if not math.isfinite(total):
            return 1.0
        return float(moves[moves > 0].sum()) / total if total > FALLING_SHARE * gained else 0.0

    def steps_to(self, loss: float) -> int:
        """The first step at which it was that low; one more than it has gone where it never was."""
        return int(np.searchsorted(-self._lowest, -loss))
