"""The tutorial problem that everyone can check by hand: a straight line through noisy points."""

import numpy as np

from tuner.objectives.products import rowwise_product
from tuner.objectives.protocol import Array
from tuner.objectives.settings import Seed


class LineFit:
    """Fit a line w·x + b to 100 points by least squares, from a bad start, in single precision.

    The points: x uniform on [0, 1], y = 0.1·x + 0.5 + Gaussian noise of 0.01, drawn in that order by
    ``numpy.random.default_rng(seed)``. With residuals rᵢ = w·xᵢ + b - yᵢ::

        f(w, b) = mean(r²)        ∇f = 2·(mean(r·x), mean(r))

    Parameters are (w, b), D = 2; the start is (0, -1) for every initial seed. Parameters, residuals and gradient are
    float32; the loss is accumulated in float64, so that it stays finite as long as the residuals do.
    """

    dimension = 2
    names = ("w", "b")

    def __init__(self, seed: Seed = 5) -> None:
        rng = np.random.default_rng(seed)
        x = rng.uniform(0, 1, 100)
        y = 0.1 * x + 0.5 + rng.normal(0, 0.01, 100)
        # Residuals are (w, b, 1) times these rows; gradients are residuals times the first two.
        self._points = np.stack([x, np.ones(100), -y]).astype(np.float32)
        self._design = np.ascontiguousarray(self._points[:2].T)

        design, targets = self._design.astype(np.float64), -self._points[2].astype(np.float64)
        self.optimum, *_ = np.linalg.lstsq(design, targets)
        self.minimum = float(np.mean((design @ self.optimum - targets) ** 2))
        mu, curvature_scale = np.linalg.eigvalsh(2 * design.T @ design / 100)
        self.curvature = (float(mu), float(curvature_scale))

    def initial_parameters(self, seed: int) -> Array:  # noqa: ARG002  (one start for every seed)
        """The start (0, -1), shape (2,)."""
        return np.array([0, -1], dtype=np.float32)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) in float64 and gradients (B, 2) at parameters (B, 2)."""
        weights = np.ones((len(parameters), 3), parameters.dtype)
        weights[:, :2] = parameters
        residuals = rowwise_product(weights, self._points)
        gradients = rowwise_product(residuals, self._design)
        gradients *= 0.02
        exact = residuals.astype(np.float64)
        return np.vecdot(exact, exact) / 100, gradients
