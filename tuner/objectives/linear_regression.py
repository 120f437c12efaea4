"""Least squares on real data: a quadratic whose curvatures come from the data, not from us."""

import numpy as np

from tuner.objectives.datasets import Data, Floats, TrainFraction, load, with_ones
from tuner.objectives.products import rowwise_product
from tuner.objectives.protocol import Array
from tuner.objectives.settings import Seed


class LinearRegression:
    """Predict a number by a weighted sum of features, by least squares.

    With the N training samples as rows of X, shape (N, F+1), whose last column is ones::

        f(w) = |X·w - y|² / N        ∇f = 2·Xᵀ·(X·w - y) / N

    Parameters are a weight per feature and the intercept, D = F+1, all 0 at the start for every initial seed. The
    Hessian 2·XᵀX/N is the same everywhere; minimum and curvatures are computed from it. All in float64.
    """

    def __init__(self, data: Data = "synthetic", train_fraction: TrainFraction = 0.75, seed: Seed = 0) -> None:
        split = load(data, "numbers", seed, train_fraction)
        self._design, self._targets = with_ones(split.features), split.targets
        self._validation = with_ones(split.validation_features), split.validation_targets
        self.dimension = self._design.shape[1]
        self.names = (*split.feature_names, "intercept")

        self.optimum, *_ = np.linalg.lstsq(self._design, self._targets)
        self.minimum = float(np.mean((self._design @ self.optimum - self._targets) ** 2))
        eigenvalues = np.linalg.eigvalsh(2 * self._design.T @ self._design / len(self._targets))
        self.curvature = (max(0.0, float(eigenvalues[0])), float(eigenvalues[-1]))

    def initial_parameters(self, seed: int) -> Array:  # noqa: ARG002  (one start for every seed)
        """Zeros, shape (D,)."""
        return np.zeros(self.dimension)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        return _mean_square(parameters, self._design, self._targets)

    def sample_value_and_gradient(
        self, parameters: Array, rng: np.random.Generator, batch_size: int
    ) -> tuple[Array, Array]:
        """The same on ``batch_size`` training samples drawn without replacement."""
        chosen = rng.choice(len(self._targets), min(batch_size, len(self._targets)), replace=False)
        return _mean_square(parameters, self._design[chosen], self._targets[chosen])

    def validation_value(self, parameters: Array) -> Array:
        """Mean squared errors (B,) on the validation part."""
        return _mean_square(parameters, *self._validation)[0]


def _mean_square(parameters: Array, design: Floats, targets: Floats) -> tuple[Array, Array]:
    residuals = rowwise_product(parameters, design.T)
    residuals -= targets
    scale = 1 / len(targets)
    return np.vecdot(residuals, residuals) * scale, rowwise_product(residuals, design) * (2 * scale)
