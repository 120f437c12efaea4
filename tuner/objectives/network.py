"""The smallest network that learns features: not convex, and it overfits, so that steps are a real choice."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuner.objectives.datasets import TARGETS, Data, Floats, TrainFraction, load
from tuner.objectives.losses import cross_entropy, squared_error
from tuner.objectives.protocol import Array
from tuner.objectives.settings import Seed


class Network:
    """One hidden layer of tanh units on a data set, with a squared or a softmax loss.

    With the N training samples as rows of X, shape (N, F), H hidden units and K outputs::

        A = tanh(X·W₁ + b₁)      (N, H)        Z = A·W₂ + b₂      (N, K)

        softmax:  f = mean(log Σₖ e^(Zₖ) - Z_y)          squared:  f = mean(Σₖ (Zₖ - Yₖ)²)

    Y is one-hot for classes, the number itself (K = 1) else. The gradient is by back-propagation (Rumelhart, Hinton
    and Williams 1986). Parameters are W₁, b₁, W₂, b₂, each row by row, D = F·H + H + H·K + K. The start: weights
    normal with standard deviation 1/√(inputs of the unit), drawn by the initial seed; biases 0. In float32, the usual
    precision of networks; losses are averaged in float64.
    """

    def __init__(
        self,
        data: Data = "synthetic",
        loss: Annotated[
            Literal["softmax", "squared"], Field(description="softmax predicts classes; squared also numbers.")
        ] = "softmax",
        hidden: Annotated[int, Field(ge=1, le=1024, description="Hidden units H.")] = 16,
        train_fraction: TrainFraction = 0.75,
        seed: Seed = 0,
    ) -> None:
        numbers = loss == "squared" and "numbers" in TARGETS[data]
        split = load(data, "numbers" if numbers else "classes", seed, train_fraction)
        self._softmax = loss == "softmax"
        self._train = self._prepare(split.features, split.targets, split.classes)
        self._validation = self._prepare(split.validation_features, split.validation_targets, split.classes)
        inputs, outputs = split.features.shape[1], max(1, split.classes)
        self._shapes = ((inputs, hidden), (1, hidden), (hidden, outputs), (1, outputs))
        self.dimension = sum(height * width for height, width in self._shapes)

    def _prepare(self, features: Floats, targets: Floats, classes: int) -> tuple[Array, NDArray[Any]]:
        inputs = features.astype(np.float32)
        if self._softmax:
            return inputs, targets.astype(np.intp)
        if classes:
            return inputs, np.eye(classes, dtype=np.float32)[targets.astype(np.intp)]
        return inputs, targets.astype(np.float32)[:, None]

    def initial_parameters(self, seed: int) -> Array:
        """A random start, shape (D,)."""
        rng = np.random.default_rng(seed)
        first, first_bias, second, second_bias = self._shapes
        parts = (
            rng.normal(0, first[0] ** -0.5, first),
            np.zeros(first_bias),
            rng.normal(0, second[0] ** -0.5, second),
            np.zeros(second_bias),
        )
        return np.concatenate([part.ravel() for part in parts]).astype(np.float32)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) in float64 and gradients (B, D) at parameters (B, D)."""
        return self._propagate(parameters, *self._train)

    def sample_value_and_gradient(
        self, parameters: Array, rng: np.random.Generator, batch_size: int
    ) -> tuple[Array, Array]:
        """The same on ``batch_size`` training samples drawn without replacement."""
        inputs, targets = self._train
        chosen = rng.choice(len(targets), min(batch_size, len(targets)), replace=False)
        return self._propagate(parameters, inputs[chosen], targets[chosen])

    def validation_value(self, parameters: Array) -> Array:
        """Losses (B,) on the validation part."""
        inputs, targets = self._validation
        return self._loss(self._forward(self._unpack(parameters), inputs)[1], targets)[0]

    def _propagate(self, parameters: Array, inputs: Array, targets: NDArray[Any]) -> tuple[Array, Array]:
        weights = self._unpack(parameters)
        activations, outputs = self._forward(weights, inputs)
        values, slopes = self._loss(outputs, targets)
        gradients = np.empty_like(parameters)
        first, first_bias, second, second_bias = self._unpack(gradients)
        np.matmul(activations.transpose(0, 2, 1), slopes, out=second)
        np.sum(slopes, axis=1, keepdims=True, out=second_bias)
        hidden_slopes = slopes @ weights[2].transpose(0, 2, 1)
        np.square(activations, out=activations)
        hidden_slopes *= np.subtract(1, activations, out=activations)
        np.matmul(inputs.T, hidden_slopes, out=first)
        np.sum(hidden_slopes, axis=1, keepdims=True, out=first_bias)
        return values, gradients

    def _forward(self, weights: tuple[Array, ...], inputs: Array) -> tuple[Array, Array]:
        # Stacked products: one per row, so that a row's bits do not depend on how many rows there are.
        first, first_bias, second, second_bias = weights
        activations = inputs @ first
        activations += first_bias
        np.tanh(activations, out=activations)
        outputs = activations @ second
        outputs += second_bias
        return activations, outputs

    def _loss(self, outputs: Array, targets: NDArray[Any]) -> tuple[Array, Array]:
        return cross_entropy(outputs, targets) if self._softmax else squared_error(outputs, targets)

    def _unpack(self, parameters: Array) -> tuple[Array, ...]:
        """Views of (B, D) as W₁ (B, F, H), b₁ (B, 1, H), W₂ (B, H, K), b₂ (B, 1, K)."""
        parts, begin = [], 0
        for shape in self._shapes:
            end = begin + shape[0] * shape[1]
            parts.append(parameters[:, begin:end].reshape(len(parameters), *shape))
            begin = end
        return tuple(parts)
