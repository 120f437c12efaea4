"""The densities that tpe draws points from and weighs them by: mixtures of kernels over a whole search space.

There is a kernel around each trial, and a wide one over all. Watanabe (2023), Tree-structured Parzen estimator, for
their widths and weights, which are Optuna's. What is drawn is Optuna's to the last bit.

The arrays of a hundred trials are so small that the number of operations on them is what takes time: what depends on
the space alone is made once, and the kernels of all densities are weighed together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.sampler import default_weights

from tuner.search.normal import mass, quantile


@dataclass(frozen=True)
class Number:
    """A parameter that is a number: the bounds of its values. A whole number is the middle of a cell of width 1."""

    low: float
    high: float
    whole: bool
    log: bool

    @property
    def ends(self) -> tuple[float, float]:
        """Of the range that kernels are cut to."""
        return (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)


class Axes:
    """The parameters that densities are over, by their place among them.

    ``choices``: how many each choice has. ``numbers``: the others. Kernels live on the logarithm of what is searched by
    its logarithm, cut to ``left`` … ``right``; ``first`` and ``last`` are the same by NumPy's logarithm, the last bit
    of which may be another. Arrays are of shape (numbers, 1).
    """

    def __init__(self, parts: Sequence[BaseDistribution]) -> None:
        self.count = len(parts)
        self.choices = {
            place: len(part.choices) for place, part in enumerate(parts) if isinstance(part, CategoricalDistribution)
        }
        self.numbers = {
            place: Number(part.low, part.high, isinstance(part, IntDistribution), part.log)
            for place, part in enumerate(parts)
            if isinstance(part, FloatDistribution | IntDistribution)
        }
        self.places = list(self.numbers)
        self.rows = np.arange(len(self.numbers))[:, None]
        kinds = self.numbers.values()
        self.left, self.right = (
            np.array([math.log(one.ends[side]) if one.log else one.ends[side] for one in kinds])[:, None]
            for side in (0, 1)
        )
        self.first, self.last = (
            np.array([np.log(one.ends[side]) if one.log else one.ends[side] for one in kinds])[:, None]
            for side in (0, 1)
        )
        self.width = self.last - self.first
        self.middle = 0.5 * (self.first + self.last)


@lru_cache(maxsize=64)
def axes_over(*parts: BaseDistribution) -> Axes:
    """The axes of these parameters, made once: it takes as long as to make a density."""
    return Axes(parts)


class Density:
    """A mixture of kernels, one around each trial and a wide one over all: products over the axes of the space.

    Args:
        axes: of each parameter.
        columns: shape (parameters, trials), as Optuna's densities take them.
        weights: of the trials, (trials,); Optuna's where there are none.
    """

    def __init__(self, axes: Axes, columns: np.ndarray, weights: np.ndarray | None = None) -> None:
        self.axes = axes
        self.weights = np.append(default_weights(columns.shape[1]) if weights is None else weights, 1.0)
        self.weights /= self.weights.sum()
        self.mu, self.sigma = _kernels(axes, columns[axes.places])
        self.choices = {place: _probabilities(count, columns[place]) for place, count in axes.choices.items()}

    def draw(self, rng: np.random.RandomState, count: int) -> np.ndarray:
        """So many points: (parameters, points)."""
        axes = self.axes
        points = np.empty((axes.count, count))
        # What RandomState.choice does, which never changes, without its checks: they take five times as long.
        ends = self.weights.cumsum()
        kernel = (ends / ends[-1]).searchsorted(rng.random_sample(count), side="right")
        for place, choices in self.choices.items():
            at = rng.random_sample(count)
            edges = np.cumsum(choices[kernel], axis=1)
            edges[:, -1] = 1
            points[place] = (edges < at[:, None]).sum(axis=1)
        if not axes.numbers:
            return points
        mu, sigma = self.mu[:, kernel], self.sigma[:, kernel]
        at = rng.random_sample(mu.shape)
        drawn = quantile(at.ravel(), ((axes.left - mu) / sigma).ravel(), ((axes.right - mu) / sigma).ravel())
        points[axes.places] = drawn.reshape(mu.shape) * sigma + mu
        for place, axis in axes.numbers.items():
            values = points[place]
            if axis.log:
                values = np.exp(values)
            if axis.whole:
                values = np.minimum(np.maximum(axis.low + np.rint(values - axis.low), axis.low), axis.high)
            points[place] = values
        return points


def _kernels(axes: Axes, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres and widths on the axes of numbers, each (numbers, kernels): as far as the farther neighbour.

    Columns: (numbers, trials); they are changed.
    """
    for row, axis in enumerate(axes.numbers.values()):
        if axis.log:
            columns[row] = np.log(columns[row])
    count = columns.shape[1]
    order = columns.argsort(axis=1)
    ladder = np.empty((len(columns), count + 2))
    ladder[:, :1], ladder[:, 1:-1], ladder[:, -1:] = axes.first, columns[axes.rows, order], axes.last
    gaps = ladder[:, 1:] - ladder[:, :-1]
    widths = np.maximum(gaps[:, :-1], gaps[:, 1:])
    if count > 1:
        # The ends of the range are no neighbours.
        widths[:, 0], widths[:, -1] = gaps[:, 1], gaps[:, -2]
    mu, sigma = np.empty((2, len(columns), count + 1))
    mu[:, :-1], mu[:, -1:] = columns, axes.middle
    sigma[axes.rows, order] = np.minimum(np.maximum(widths, axes.width / min(100.0, count + 2.0)), axes.width)
    sigma[:, -1:] = axes.width
    return mu, sigma


def _probabilities(choices: int, column: np.ndarray) -> np.ndarray:
    """Of each kernel, the probabilities of the choices: (kernels, choices)."""
    kernels = len(column) + 1
    found = np.full((kernels, choices), 1.0 / kernels)
    found[np.arange(len(column)), column.astype(int)] += 1
    found /= found.sum(axis=1, keepdims=True)
    return found


def logarithms(points: np.ndarray, *densities: Density) -> tuple[list[np.ndarray], float]:
    """The logarithm of each density at these points, up to a constant, and how far Optuna's and ours may be apart.

    Points: (parameters, points); densities are over the same axes. A result: (points,); not finite where Optuna's own
    has to be asked.
    """
    axes = densities[0].axes
    mu = np.concatenate([one.mu for one in densities], axis=1)
    sigma = np.concatenate([one.sigma for one in densities], axis=1)
    # Products, since the logarithm of each factor takes longer than all else. Each is measured by what it would be if
    # every place on its axis were as likely, so that they come near no end of what a double holds.
    heights = np.concatenate([one.weights for one in densities])
    heights /= mass(axes.middle, 0.5 * axes.width, mu, sigma).prod(axis=0)
    squares = np.zeros((points.shape[1], len(heights)))
    factors = []
    for place in axes.choices:
        choices = np.concatenate([one.choices[place] for one in densities])
        factors.append(choices.T[points[place].astype(int)])
    error = 0.0
    outside = np.zeros(points.shape[1], dtype=bool)
    for (place, axis), left, right, centres, widths in zip(
        axes.numbers.items(), axes.left.flat, axes.right.flat, mu, sigma, strict=True
    ):
        if axis.whole:
            cells, narrowest = _mass_of_cells(axis, points[place], centres, widths)
            factors.append(cells)
            # A cell's mass is a difference, of which Optuna's logarithms lose more the narrower the cell.
            error += 1e-13 / max(narrowest / (right - left), 1e-300)
        else:
            at = np.log(points[place]) if axis.log else points[place]
            outside |= (at < left) | (at > right)
            heights *= (right - left) / widths
            z = at[:, None] - centres
            z /= math.sqrt(2) * widths
            squares -= np.square(z, out=z)
    shares = np.exp(squares, out=squares)
    for factor in factors:
        shares *= factor
    found = []
    start = 0
    for one in densities:
        end = start + len(one.weights)
        logarithm: np.ndarray = np.log(shares[:, start:end] @ heights[start:end])
        logarithm[outside] = np.nan
        found.append(logarithm)
        start = end
    return found, error


def _mass_of_cells(axis: Number, values: np.ndarray, mu: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, float]:
    """What of each kernel lies in the cells around these whole numbers, in cells; the width of the narrowest.

    Values: (points,). The result: (points, kernels). Of a range of a few numbers many cells, and many kernels, are the
    same: each is computed once.
    """
    cells, place = np.unique(values, return_inverse=True)
    left, right = cells - 0.5, cells + 0.5
    if axis.log:
        left, right = np.log(left), np.log(right)
    widths = right - left
    # Where there are no more kernels than numbers, few are the same.
    kernel = None
    if len(mu) > axis.high - axis.low:
        first, kernel = _distinct(mu, sigma)
        mu, sigma = mu[first], sigma[first]
    found = mass((0.5 * (left + right))[:, None], (0.5 * widths)[:, None], mu, sigma)
    found *= axis.high - axis.low + 1
    if kernel is not None:
        found = found.take(kernel, axis=1)
    return found.take(place, axis=0), float(widths.min())


def _distinct(mu: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One of each kind of kernel, and of each kernel which of these it is like; places, (kinds,) and (kernels,)."""
    order = mu.argsort()
    new = np.ones(len(mu), dtype=bool)
    new[1:] = (np.diff(mu[order]) != 0) | (np.diff(sigma[order]) != 0)
    kernel = np.empty(len(mu), dtype=int)
    kernel[order] = new.cumsum() - 1
    return order[new], kernel
