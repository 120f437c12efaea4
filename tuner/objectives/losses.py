"""Losses over samples, with their slopes, for objectives that learn from data.

Each answers the mean loss of every row, shape (B,) in float64, and its derivative by the predictions, in their shape.
"""

import numpy as np
from numpy.typing import NDArray

from tuner.objectives.protocol import Array


def squared_error(predictions: Array, targets: Array) -> tuple[Array, Array]:
    """Σ_k (p_k - t_k)², a mean over samples, without a half; predictions (B, N, K), targets (N, K)."""
    residuals = predictions - targets
    samples = predictions.shape[1]
    flat = residuals.reshape(len(residuals), -1).astype(np.float64)
    residuals *= 2 / samples
    return np.vecdot(flat, flat) / samples, residuals


def binary_cross_entropy(logits: Array, labels: NDArray[np.intp]) -> tuple[Array, Array]:
    """log(1 + eᶻ) - y·z, a mean over samples; logits z (B, N), labels y (N,) of 0 and 1.

    Written with e^-|z|, which cannot overflow.
    """
    decay = np.exp(-np.abs(logits))
    losses = np.maximum(logits, 0) - labels * logits + np.log1p(decay)
    probabilities = np.where(logits >= 0, 1, decay) / (1 + decay)
    return losses.mean(axis=1, dtype=np.float64), (probabilities - labels) / logits.shape[1]


def cross_entropy(logits: Array, labels: NDArray[np.intp]) -> tuple[Array, Array]:
    """log Σ_k e^(z_k) - z_y, a mean over samples; logits z (B, N, K), labels y (N,) in 0 … K-1.

    Written with logits shifted by their largest, so that no exponential overflows.
    """
    samples = np.arange(logits.shape[1])
    shifted = logits - logits.max(axis=2, keepdims=True)
    chosen = shifted[:, samples, labels]
    exponentials = np.exp(shifted, out=shifted)
    totals = exponentials.sum(axis=2)
    losses = np.log(totals) - chosen
    exponentials /= totals[:, :, None]
    exponentials[:, samples, labels] -= 1
    exponentials /= len(samples)
    return losses.mean(axis=1, dtype=np.float64), exponentials
