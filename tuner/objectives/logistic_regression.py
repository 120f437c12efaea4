"""Classification by a linear model: convex, but without a closed form."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuner.objectives.datasets import Data, Floats, TrainFraction, load, with_ones
from tuner.objectives.losses import binary_cross_entropy, cross_entropy
from tuner.objectives.products import rowwise_product
from tuner.objectives.protocol import Array
from tuner.objectives.settings import Seed


class LogisticRegression:
    """Predict a class by weighted sums of features, by maximum likelihood.

    With the N training samples as rows of X, shape (N, F+1), whose last column is ones. Two classes y of 0 and 1::

        z = X·w,  w: (F+1,)        f(w) = mean(log(1 + eᶻ) - y·z) + ½·λ·|w'|²     ∇f = Xᵀ·(sigmoid(z) - y) / N + λ·w'

    More classes K (multinomial)::

        Z = X·W,  W: (F+1, K)      f(W) = mean(log Σₖ e^(Zₖ) - Z_y) + ½·λ·|W'|²      ∇f = Xᵀ·(softmax(Z) - Y) / N + λ·W'

    where w' is w with 0 for the intercepts and Y is one-hot. Parameters are 0 at the start for every initial seed.
    The validation loss is without the penalty. All in float64. See Bishop, Pattern Recognition and Machine Learning
    (2006), sections 4.3.2 and 4.3.4.
    """

    def __init__(
        self,
        data: Data = "synthetic",
        regularisation: Annotated[float, Field(ge=0, le=1e6, description="Weight λ of the squared weights.")] = 0.0,
        train_fraction: TrainFraction = 0.75,
        seed: Seed = 0,
    ) -> None:
        split = load(data, "classes", seed, train_fraction)
        self._train = with_ones(split.features), split.targets.astype(np.intp)
        self._validation = with_ones(split.validation_features), split.validation_targets.astype(np.intp)
        self._outputs = 1 if split.classes == 2 else split.classes
        self._inputs = self._train[0].shape[1]
        self.dimension = self._inputs * self._outputs
        self._penalty = np.full(self.dimension, regularisation)
        self._penalty[-self._outputs :] = 0
        columns = (*split.feature_names, "intercept")
        self.names = (
            columns
            if self._outputs == 1
            else tuple(f"{column} [{label}]" for column in columns for label in range(split.classes))
        )

    def initial_parameters(self, seed: int) -> Array:  # noqa: ARG002  (one start for every seed)
        """Zeros, shape (D,)."""
        return np.zeros(self.dimension)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        return self._penalised(parameters, *self._train)

    def sample_value_and_gradient(
        self, parameters: Array, rng: np.random.Generator, batch_size: int
    ) -> tuple[Array, Array]:
        """The same on ``batch_size`` training samples drawn without replacement."""
        design, labels = self._train
        chosen = rng.choice(len(labels), min(batch_size, len(labels)), replace=False)
        return self._penalised(parameters, design[chosen], labels[chosen])

    def validation_value(self, parameters: Array) -> Array:
        """Cross-entropies (B,) on the validation part, without the penalty."""
        return self._cross_entropy(parameters, *self._validation)[0]

    def _penalised(self, parameters: Array, design: Floats, labels: NDArray[np.intp]) -> tuple[Array, Array]:
        values, gradients = self._cross_entropy(parameters, design, labels)
        pull = self._penalty * parameters
        return values + np.vecdot(pull, parameters) / 2, gradients + pull

    def _cross_entropy(self, parameters: Array, design: Floats, labels: NDArray[np.intp]) -> tuple[Array, Array]:
        if self._outputs == 1:
            values, slopes = binary_cross_entropy(rowwise_product(parameters, design.T), labels)
            return values, rowwise_product(slopes, design)
        weights = parameters.reshape(len(parameters), self._inputs, self._outputs)
        values, slopes = cross_entropy(np.matmul(design, weights), labels)
        return values, np.matmul(design.T, slopes).reshape(parameters.shape)
