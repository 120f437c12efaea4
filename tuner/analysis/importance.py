"""How much an axis has to do with who is among the best: the density of the best along it, against that of all.

Watanabe, Bansal and Hutter, PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary subspaces (2023).
Where the two densities differ, the axis decides. They are mixtures of kernels on a grid, so that what is looked at is
how many trials each cell holds, and not how many trials there are. Width and weight of kernels are Optuna's, and so are
the numbers that come out; to import Optuna's own evaluator takes longer than all of this, since it loads scikit-learn.
"""

import math

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

NARROWEST = 0.5 / 1.64
"""The width of a kernel at least, in cells: nine tenths of it lie within its own."""

NEVER = 1e-12
"""What is added to each probability, so that none is 0."""


def divergence(best: Counts, everyone: Counts, *, ordered: bool) -> float:
    """Pearson's divergence of the density of the best from that of all: 0 where they are alike.

    Args:
        best: how many of the best each cell holds, shape (cells,), one of them at least.
        everyone: the same of all.
        ordered: whether cells lie side by side, as numbers do, or are choices.
    """
    density = _of_numbers if ordered else _of_choices
    at_best, at_all = density(best) + NEVER, density(everyone) + NEVER
    return float(at_all @ (at_best / at_all - 1) ** 2)


def _of_choices(counts: Counts) -> Floats:
    """The probability of each cell: a kernel at each that holds any, and one over all of them that counts as one."""
    held = np.flatnonzero(counts)
    kernels = np.append(counts[held], 1) / (counts.sum() + 1)
    prior = 1 / (len(held) + 1)
    shape = np.full((len(held) + 1, len(counts)), prior)
    shape[np.arange(len(held)), held] += 1
    found: Floats = kernels @ (shape / shape.sum(axis=1, keepdims=True))
    return found


def _of_numbers(counts: Counts) -> Floats:
    """The same of cells side by side: kernels are normal distributions of a width by Scott's rule, cut to the grid."""
    size, held = len(counts), np.flatnonzero(counts)
    weights = counts[held].astype(np.float64)
    total = float(weights.sum())
    middle = held @ weights / total
    spread = math.sqrt(float((held - middle) ** 2 @ weights) / max(1.0, total - 1))
    upto = np.cumsum(weights)
    quarters = (
        np.searchsorted(upto, total // 4, side="left"),
        min(len(held) - 1, int(np.searchsorted(upto, total * 3 // 4, side="right"))),
    )
    between = float(held[quarters[1]] - held[quarters[0]])
    width = max(1.059 * min(between / 1.34, spread) * total**-0.2, NARROWEST)
    centres = np.append(held, (size - 1) / 2)
    widths = np.append(np.full(len(held), width), size)
    edges = np.arange(size + 1) - 0.5
    below = _below((edges - centres[:, None]) / widths[:, None])
    shape = np.diff(below, axis=1) / (below[:, -1:] - below[:, :1])
    found: Floats = np.append(weights, 1) / (total + 1) @ shape
    return found


def _below(at: Floats) -> Floats:
    """What of a standard normal distribution lies below each point."""
    scaled = (at / math.sqrt(2)).ravel().tolist()
    return 0.5 + 0.5 * np.array(list(map(math.erf, scaled))).reshape(at.shape)
