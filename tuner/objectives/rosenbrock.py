"""The classic curved valley: easy to find, slow to follow."""

from typing import Annotated

import numpy as np
from pydantic import Field

from tuner.objectives.protocol import Array


class Rosenbrock:
    """Rosenbrock's valley, in its chained form for more than two dimensions.

    ::

        f(x) = Σ_{i<D} 100·(x_{i+1} - x_i²)² + (1 - x_i)²

    The minimum is 0 at (1, …, 1). The start is (-1.2, 1, -1.2, 1, …) for initial seed 0, and that with normal noise of
    0.1 for others. All in float64. Rosenbrock, "An automatic method for finding the greatest or least value of a
    function" (1960); Moré, Garbow and Hillstrom (1981), problem 1.
    """

    minimum = 0.0

    def __init__(self, dimension: Annotated[int, Field(ge=2, le=1000, description="Number of parameters D.")] = 2):
        self.dimension = dimension
        self.optimum = np.ones(dimension)

    def initial_parameters(self, seed: int) -> Array:
        """The classic start, shape (D,), moved a little by seeds other than 0."""
        classic = np.where(np.arange(self.dimension) % 2, 1.0, -1.2)
        return classic if seed == 0 else classic + 0.1 * np.random.default_rng(seed).normal(size=self.dimension)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        ahead, here = parameters[:, 1:], parameters[:, :-1]
        climb = ahead - here**2
        along = 1 - here
        gradients = np.zeros_like(parameters)
        gradients[:, 1:] = 200 * climb
        gradients[:, :-1] -= 400 * climb * here + 2 * along
        return 100 * np.vecdot(climb, climb) + np.vecdot(along, along), gradients
