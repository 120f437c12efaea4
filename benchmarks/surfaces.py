"""Objectives for the search benchmark that nobody would start a service for: what the registered ones leave out.

Features of uneven scale, losses with a kink in their slope, curvatures that grow along the way, saddles, networks of
more than one hidden layer. All follow the protocol of `tuner.objectives`; row i of an answer depends on row i of the
question only, to the last bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tuner.objectives import Array
from tuner.objectives.datasets import load, with_ones
from tuner.objectives.losses import binary_cross_entropy, cross_entropy, squared_error
from tuner.objectives.products import rowwise_product

Floats = NDArray[np.float64]


def uneven_features(samples: int, features: int, spread: float, seed: int) -> tuple[Floats, Floats, Floats]:
    """Normal features (N, F) of standard deviations 1 … 1/spread, a linear predictor of them (N,), and noise (N,).

    Every feature matters as much as every other: the predictor weighs the standardised ones.
    """
    rng = np.random.default_rng(seed)
    standard = rng.normal(size=(samples, features))
    predictor = standard @ rng.normal(size=features) / np.sqrt(features)
    return standard * np.geomspace(1, 1 / spread, features), predictor, rng.normal(size=samples)


class _FromZero:
    """Starts at zeros for every initial seed."""

    dimension: int

    def initial_parameters(self, seed: int) -> Array:  # noqa: ARG002  (one start for every seed)
        """Zeros, shape (D,)."""
        return np.zeros(self.dimension)


class UnevenLinear(_FromZero):
    """Least squares on features of uneven scale: f(w) = |X·w - y|²/N, y the predictor and a tenth of noise."""

    def __init__(self, samples: int, features: int, spread: float, seed: int) -> None:
        columns, predictor, noise = uneven_features(samples, features, spread, seed)
        self._design, self._targets = with_ones(columns), predictor + 1 + 0.1 * noise
        self.dimension = features + 1

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        residuals = rowwise_product(parameters, self._design.T) - self._targets
        scale = 1 / len(self._targets)
        return np.vecdot(residuals, residuals) * scale, rowwise_product(residuals, self._design) * (2 * scale)


class UnevenLogistic(_FromZero):
    """Logistic regression of two classes on features of uneven scale; ``positives`` is the share of the first class."""

    def __init__(self, samples: int, features: int, spread: float, positives: float, seed: int) -> None:
        columns, predictor, noise = uneven_features(samples, features, spread, seed)
        scores = predictor + 0.5 * noise
        self._design = with_ones(columns)
        self._labels = (scores > np.quantile(scores, 1 - positives)).astype(np.intp)
        self.dimension = features + 1

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        values, slopes = binary_cross_entropy(rowwise_product(parameters, self._design.T), self._labels)
        return values, rowwise_product(slopes, self._design)


class RawIris(_FromZero):
    """Multinomial logistic regression on Fisher's irises in centimetres, neither shifted nor scaled."""

    def __init__(self) -> None:
        from sklearn.datasets import load_iris  # noqa: PLC0415  (slow to import)

        features, labels = load_iris(return_X_y=True)
        self._design, self._labels = with_ones(features), labels.astype(np.intp)
        self.dimension = self._design.shape[1] * 3

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        weights = parameters.reshape(len(parameters), -1, 3)
        values, slopes = cross_entropy(np.matmul(self._design, weights), self._labels)
        return values, np.matmul(self._design.T, slopes).reshape(parameters.shape)


class Huber(_FromZero):
    """Regression with Huber's loss: quadratic for residuals within ``delta``, linear beyond.

    The mean over samples of r²/2, or delta·(|r| - delta/2) beyond (Huber 1964). From far away the curvature is that of
    the few samples within delta, near the minimum that of nearly all. A tenth of the targets are outliers.
    """

    def __init__(self, *, samples: int, features: int, spread: float, delta: float, far: float, seed: int) -> None:
        columns, predictor, noise = uneven_features(samples, features, spread, seed)
        self._design, self._delta = with_ones(columns), delta
        self._targets = far + predictor + 0.1 * noise
        self._targets[::10] += 20 * noise[::10]
        self.dimension = features + 1

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        residuals = rowwise_product(parameters, self._design.T) - self._targets
        slopes = np.clip(residuals, -self._delta, self._delta)
        scale = 1 / len(self._targets)
        return np.vecdot(slopes, residuals - slopes / 2) * scale, rowwise_product(slopes, self._design) * scale


class Poisson(_FromZero):
    """Poisson regression: f(w) = mean(e^z - y·z), z = X·w. The curvature e^z grows where the prediction does."""

    def __init__(self, samples: int, features: int, spread: float, level: float, seed: int) -> None:
        columns, predictor, _ = uneven_features(samples, features, spread, seed)
        self._design = with_ones(columns)
        rates = np.exp(np.log(level) + predictor)
        self._counts = np.random.default_rng((seed, 1)).poisson(rates).astype(np.float64)
        self.dimension = features + 1

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        predictions = rowwise_product(parameters, self._design.T)
        means = np.exp(predictions)
        values = (means - self._counts * predictions).mean(axis=1)
        return values, rowwise_product(means - self._counts, self._design) / len(self._counts)


class Factorisation:
    """Split a matrix M (n, n) into U·Vᵀ of rank r: f(U, V) = |U·Vᵀ - M|²/(2n).

    M is of that rank, and noise. Near the start, small and random, lies the saddle U = V = 0; descents leave it slowly
    and then speed up, one singular value after another (Saxe, McClelland and Ganguli 2014).
    """

    def __init__(self, size: int, rank: int, spread: float, start: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        left, _ = np.linalg.qr(rng.normal(size=(size, rank)))
        right, _ = np.linalg.qr(rng.normal(size=(size, rank)))
        self._matrix = size**0.5 * (left * np.geomspace(1, 1 / spread, rank)) @ right.T
        self._matrix += 0.01 * rng.normal(size=(size, size))
        self._size, self._rank, self._start = size, rank, start
        self.dimension = 2 * size * rank

    def initial_parameters(self, seed: int) -> Array:
        """Small and normal, shape (D,)."""
        return self._start * np.random.default_rng(seed).normal(size=self.dimension)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        left, right = np.moveaxis(parameters.reshape(-1, 2, self._size, self._rank), 1, 0)
        residuals = left @ right.transpose(0, 2, 1) - self._matrix
        flat = residuals.reshape(len(parameters), -1)
        gradients = np.stack([residuals @ right, residuals.transpose(0, 2, 1) @ left], axis=1)
        return np.vecdot(flat, flat) / (2 * self._size), gradients.reshape(parameters.shape) / self._size


@dataclass(frozen=True)
class _Activation:
    """A function of a unit's input z, and its derivative by z, from z and the function's value."""

    value: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]


def _sigmoid(inputs: Array) -> Array:
    return (1 + np.tanh(inputs / 2)) / 2


_ACTIVATIONS: Mapping[str, _Activation] = {
    "tanh": _Activation(np.tanh, lambda _, value: 1 - value**2),
    "relu": _Activation(lambda z: np.maximum(z, 0), lambda z, _: (z > 0).astype(z.dtype)),
    "sigmoid": _Activation(_sigmoid, lambda _, value: value * (1 - value)),
    "softplus": _Activation(lambda z: np.logaddexp(z, 0), lambda z, _: _sigmoid(z)),
}


class Layers:
    """A network of any number of hidden layers, by full-batch descent in float32.

    Weights start normal with standard deviation gain/√(inputs of the unit), biases at 0. ``data`` is a data set of
    ``tuner.objectives.datasets``, of which the first ``samples`` of the training part are learnt, or ``waves``:
    sin(3x) + x/2 at evenly spaced x in [-2, 2].
    """

    def __init__(
        self,
        *,
        data: Literal["waves", "synthetic", "digits", "wine", "breast_cancer", "diabetes"],
        hidden: Sequence[int],
        activation: Literal["tanh", "relu", "sigmoid", "softplus"],
        gain: float = 1.0,
        samples: int = 100,
        classes: bool = False,
    ) -> None:
        if data == "waves":
            inputs = np.linspace(-2, 2, samples)[:, None]
            answers, outputs = np.sin(3 * inputs[:, 0]) + inputs[:, 0] / 2, 1
        else:
            split = load(data, "classes" if classes else "numbers", 0, 0.75)
            inputs, answers, outputs = split.features[:samples], split.targets[:samples], max(1, split.classes)
        self._classes = classes
        self._inputs = inputs.astype(np.float32)
        self._targets: Any = answers.astype(np.intp) if classes else answers.astype(np.float32)[:, None]
        self._activation, self._gain = _ACTIVATIONS[activation], gain
        self._widths = (inputs.shape[1], *hidden, outputs)
        self.dimension = sum((ins + 1) * outs for ins, outs in self._layers())

    def _layers(self) -> list[tuple[int, int]]:
        return list(zip(self._widths, self._widths[1:], strict=False))

    def initial_parameters(self, seed: int) -> Array:
        """A random start, shape (D,)."""
        rng = np.random.default_rng(seed)
        parts = []
        for ins, outs in self._layers():
            weights = np.zeros((ins + 1, outs))
            weights[:-1] = rng.normal(0, self._gain * ins**-0.5, (ins, outs))
            parts.append(weights.ravel())
        return np.concatenate(parts).astype(np.float32)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) in float64 and gradients (B, D) at parameters (B, D)."""
        weights = self._unpack(parameters)
        signals, inputs = [np.broadcast_to(self._inputs, (len(parameters), *self._inputs.shape))], []
        for place, layer in enumerate(weights):
            inputs.append(signals[-1] @ layer[:, :-1] + layer[:, -1:])
            if place < len(weights) - 1:
                signals.append(self._activation.value(inputs[-1]))
        outputs = inputs.pop()
        values, slopes = (cross_entropy if self._classes else squared_error)(outputs, self._targets)
        gradients = np.empty_like(parameters)
        for place, gradient in reversed(list(enumerate(self._unpack(gradients)))):
            gradient[:, :-1] = signals[place].transpose(0, 2, 1) @ slopes
            gradient[:, -1] = slopes.sum(axis=1)
            if place:
                slopes = slopes @ weights[place][:, :-1].transpose(0, 2, 1)
                slopes *= self._activation.slope(inputs[place - 1], signals[place])
        return values, gradients

    def _unpack(self, parameters: Array) -> list[Array]:
        """Views of (B, D), one a layer: (B, inputs + 1, outputs), the last of which are the biases."""
        parts, begin = [], 0
        for ins, outs in self._layers():
            end = begin + (ins + 1) * outs
            parts.append(parameters[:, begin:end].reshape(len(parameters), ins + 1, outs))
            begin = end
        return parts
