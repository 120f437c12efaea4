"""The problem of which everything is known: the yardstick for stability limits and fastest rates."""

from typing import Annotated

import numpy as np
from pydantic import Field

from tuner.objectives.products import rowwise_product
from tuner.objectives.protocol import Array
from tuner.objectives.settings import Seed


class Quadratic:
    """A quadratic bowl of chosen dimension, condition number and largest curvature.

    ::

        f(x) = ½·(x - x*)ᵀ·H·(x - x*)        ∇f = H·(x - x*)

    H has the eigenvalues L/κ … L, evenly spaced on a log scale, in a random orthogonal basis; x* is normal, both drawn
    by the seed. In one dimension the only eigenvalue is L. The minimum is 0; gradient descent converges exactly when
    learning_rate < 2/L, fastest at 2/(L+μ) (Polyak, Introduction to Optimization, 1987, section 1.4). The start is
    normal around 0, drawn by the initial seed. All in float64.
    """

    minimum = 0.0

    def __init__(
        self,
        dimension: Annotated[int, Field(ge=1, le=1000, description="Number of parameters D.")] = 20,
        condition_number: Annotated[float, Field(ge=1, le=1e12, description="κ = L/μ.")] = 100.0,
        curvature_scale: Annotated[float, Field(ge=1e-12, le=1e12, description="The largest curvature L.")] = 1.0,
        seed: Seed = 0,
    ) -> None:
        rng = np.random.default_rng(seed)
        eigenvalues = curvature_scale * np.logspace(0, -np.log10(condition_number), dimension)
        basis, _ = np.linalg.qr(rng.normal(size=(dimension, dimension)))
        hessian = (basis * eigenvalues) @ basis.T
        self.dimension = dimension
        self.curvature = (float(eigenvalues[-1]), float(eigenvalues[0]))
        self.optimum = rng.normal(size=dimension)
        self._hessian = (hessian + hessian.T) / 2

    def initial_parameters(self, seed: int) -> Array:
        """A normal start, shape (D,)."""
        return np.random.default_rng(seed).normal(size=self.dimension)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        offsets = parameters - self.optimum
        gradients = rowwise_product(offsets, self._hessian)
        return np.vecdot(offsets, gradients) / 2, gradients
