"""Two dimensions with flat arms and steep walls: one rate does not fit all places."""

import numpy as np

from tuner.objectives.protocol import Array


class Beale:
    """Beale's function of two parameters.

    ::

        f(x, y) = Σ_{i=1..3} r_i²        r_i = c_i - x·(1 - yⁱ)        c = (1.5, 2.25, 2.625)

    The minimum is 0 at (3, ½). The start is (1, 1) for initial seed 0, and that with normal noise of 0.1 for others.
    All in float64. Beale, "On an iterative method of finding a local minimum of a function of more than one variable"
    (1958); Moré, Garbow and Hillstrom (1981), problem 5.
    """

    dimension = 2
    names = ("x", "y")
    minimum = 0.0
    optimum = np.array([3, 0.5])

    def initial_parameters(self, seed: int) -> Array:
        """The classic start, shape (2,), moved a little by seeds other than 0."""
        classic = np.ones(2)
        return classic if seed == 0 else classic + 0.1 * np.random.default_rng(seed).normal(size=2)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, 2) at parameters (B, 2)."""
        x, y = parameters[:, :1], parameters[:, 1:]
        powers = np.concatenate([y, y**2, y**3], axis=1)
        residuals = np.array([1.5, 2.25, 2.625]) - x * (1 - powers)
        slopes = np.concatenate([np.ones_like(y), 2 * y, 3 * y**2], axis=1)
        by_x = -2 * np.vecdot(residuals, 1 - powers)
        by_y = 2 * x[:, 0] * np.vecdot(residuals, slopes)
        return np.vecdot(residuals, residuals), np.stack([by_x, by_y], axis=1)
