"""Tree-structured Parzen estimator: the point that Optuna's tpe chooses, in half its time.

The good trials give one density, the rest another; of some candidates drawn from the first, the one is chosen where it
stands highest above the second. Bergstra et al. (2011), Algorithms for hyper-parameter optimization; Falkner et al.
(2018), BOHB, for densities over the whole space at once; Watanabe (2023), Tree-structured Parzen estimator, for the
widths and weights of the kernels, which are Optuna's.

Optuna walks over the trials several times for each point, and evaluates the normal distribution one number at a time.
Here trials become columns once, and densities are a few operations on arrays. The candidates are Optuna's to the last
bit. The densities agree with Optuna's up to rounding; where that could decide between two candidates, Optuna's do.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_gamma, default_weights
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tuner.search.normal import mass, quantile
from tuner.search.sampler import Point, is_fixed, plain
from tuner.space import Choices, FloatRange, SearchSpace
from tuner.storage.frozen import distributions

OPTUNAS_KERNELS = _ParzenEstimatorParameters(
    prior_weight=1.0, consider_magic_clip=True, consider_endpoints=False, weights=default_weights, multivariate=True
)

_ROUNDING = 1e-9
"""Scores that differ by less may be in an order that rounding made."""

_MISSING = math.nan


class Evidence:
    """The trials of a study, as columns, and those that are chosen meanwhile.

    Args:
        trials: complete, pruned and running ones, ascending by number; none is `beyond`.
        space: the search space.
        weights: how many trials one of them stands for, by number; 1 where it is not said.
        direction: of the goal.
    """

    def __init__(
        self, trials: Sequence[FrozenTrial], space: SearchSpace, weights: Mapping[int, float], direction: str
    ) -> None:
        self._space = space
        self._distributions = distributions(space)
        points = [one.params for one in trials]
        self._columns = {name: _column(name, part, points) for name, part in self._distributions.items()}
        self._stands_for = np.array([weights.get(one.number, 1.0) for one in trials]) if weights else None

        states = np.array([one.state for one in trials], dtype=int)
        complete, pruned = states == TrialState.COMPLETE, states == TrialState.PRUNED
        ended = complete | pruned
        self.finished = int(ended.sum())
        count = self.finished if self._stands_for is None else float(self._stands_for[ended].sum())
        values = [one.values for one in trials]
        losses = np.array([values[row][0] for row in np.flatnonzero(complete)], dtype=float)
        order = np.argsort(-losses if direction == "maximize" else losses, kind="stable")
        # Complete trials rank by value, pruned ones behind them.
        ranked = np.concatenate([np.flatnonzero(complete)[order], np.flatnonzero(pruned)])
        self._good = ranked[: default_gamma(round(count))]

    def choose(self, rng: np.random.RandomState, candidates: int, *, together: bool) -> Point:
        """The point of one more trial, which from now on is known to run.

        It draws from ``rng`` what Optuna draws: so many candidates for all parameters together, or for each by itself.
        """
        found: dict[str, Any] = {
            name: parameter.choices[0] if isinstance(parameter, Choices) else parameter.low
            for name, parameter in self._space.items()
            if is_fixed(parameter)
        }
        names = sorted(self._space.keys() - found.keys())
        # In a range of a few neighbouring floats densities are 0, and their logarithms rightly infinite.
        with np.errstate(all="ignore"):
            if together and names:
                best = self._best(names, rng, candidates)
                # What comes of a bound's logarithm may lie beyond the bound: it is chosen again, by itself.
                found |= {name: value for name, value in best.items() if _is_within(self._space[name], value)}
            for name in self._space:
                if name not in found:
                    found |= self._best([name], rng, candidates)
        point = plain(self._space, found)
        for name, part in self._distributions.items():
            self._columns[name] = np.append(self._columns[name], part.to_internal_repr(point[name]))
        if self._stands_for is not None:
            self._stands_for = np.append(self._stands_for, 1.0)
        return point

    def _best(self, names: Sequence[str], rng: np.random.RandomState, candidates: int) -> dict[str, Any]:
        """Values of these parameters: of some candidates, where the good density is highest beside the other."""
        space = {name: self._distributions[name] for name in names}
        columns = np.array([self._columns[name] for name in names])
        # Each trial that has all of them.
        whole = ~np.isnan(columns).any(axis=0)
        good = np.zeros_like(whole)
        good[self._good] = True
        good, rest = whole & good, whole & ~good
        weights = None if self._stands_for is None else rising_weights(self._stands_for[rest])
        axes = [_axis(part) for part in space.values()]
        of_good, of_rest = Density(axes, columns[:, good]), Density(axes, columns[:, rest], weights)
        points = of_good.draw(rng, candidates)
        (ahead, error), (behind, other_error) = of_good.logarithm(points), of_rest.logarithm(points)
        scores = ahead - behind
        best = int(np.argmax(scores))
        same = (points == points[:, best : best + 1]).all(axis=0)
        clear = scores[best] - scores > _ROUNDING + error + other_error
        if not (np.isfinite(scores).all() and (same | clear).all()):
            optunas = [
                _ParzenEstimator(dict(zip(names, columns[:, part], strict=True)), space, OPTUNAS_KERNELS, given)
                for part, given in ((good, None), (rest, weights))
            ]
            drawn = dict(zip(names, points, strict=True))
            best = int(np.argmax(optunas[0].log_pdf(drawn) - optunas[1].log_pdf(drawn)))
        return {
            name: part.to_external_repr(value)
            for (name, part), value in zip(space.items(), points[:, best].tolist(), strict=True)
        }


@dataclass(frozen=True)
class Numbers:
    """The axis of a number. ``low`` and ``high`` bound its values, ``left`` and ``right`` what kernels are cut to.

    A whole number is the middle of a cell of width 1. Kernels live on the logarithm of what is searched by its
    logarithm; ``span`` are ``left`` and ``right`` by NumPy's logarithm, the last bit of which may be another.
    """

    low: float
    high: float
    whole: bool
    log: bool
    left: float
    right: float
    span: tuple[float, float]


@dataclass(frozen=True)
class Categories:
    """The axis of a choice: how many there are."""

    count: int


def _axis(part: BaseDistribution) -> Numbers | Categories:
    match part:
        case CategoricalDistribution():
            return Categories(len(part.choices))
        case FloatDistribution() | IntDistribution():
            whole = isinstance(part, IntDistribution)
            left, right = (part.low - 0.5, part.high + 0.5) if whole else (part.low, part.high)
            if part.log:
                span = float(np.log(left)), float(np.log(right))
                return Numbers(part.low, part.high, whole, True, math.log(left), math.log(right), span)
            return Numbers(part.low, part.high, whole, False, left, right, (left, right))
    raise TypeError(f"no axis for {part}")


class Density:
    """A mixture of kernels, one around each trial and a wide one over all: products over the axes of the space.

    Args:
        axes: of each parameter.
        columns: shape (parameters, trials), as Optuna's densities take them.
        weights: of the trials, (trials,); Optuna's where there are none.
    """

    def __init__(
        self, axes: Sequence[Numbers | Categories], columns: np.ndarray, weights: np.ndarray | None = None
    ) -> None:
        count = columns.shape[1]
        self._axes = axes
        self._weights = np.append(default_weights(count) if weights is None else weights, 1.0)
        self._weights /= self._weights.sum()
        self._numbers = [place for place, axis in enumerate(axes) if isinstance(axis, Numbers)]
        self._mu, self._sigma = self._kernels(columns[self._numbers])
        self._choices = {
            place: self._choices_of(axis.count, columns[place])
            for place, axis in enumerate(axes)
            if isinstance(axis, Categories)
        }

    def _kernels(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centres and widths on the axes of numbers, each (axes, kernels): as far as the farther neighbour."""
        axes = [axis for axis in self._axes if isinstance(axis, Numbers)]
        for row, axis in enumerate(axes):
            if axis.log:
                columns[row] = np.log(columns[row])
        left, right = np.array([axis.span for axis in axes]).reshape(-1, 2).T[:, :, None]
        order = np.argsort(columns, axis=1)
        ladder = np.concatenate([left, np.take_along_axis(columns, order, axis=1), right], axis=1)
        gaps = ladder[:, 1:] - ladder[:, :-1]
        widths = np.maximum(gaps[:, :-1], gaps[:, 1:])
        count = columns.shape[1]
        if count > 1:
            # The ends of the range are no neighbours.
            widths[:, 0], widths[:, -1] = gaps[:, 1], gaps[:, -2]
        sigma = np.empty_like(columns)
        np.put_along_axis(sigma, order, np.clip(widths, (right - left) / min(100.0, count + 2.0), right - left), axis=1)
        return np.append(columns, 0.5 * (left + right), axis=1), np.append(sigma, right - left, axis=1)

    @staticmethod
    def _choices_of(choices: int, column: np.ndarray) -> np.ndarray:
        """Of each kernel, the probabilities of the choices: (kernels, choices)."""
        kernels = len(column) + 1
        found = np.full((kernels, choices), 1.0 / kernels)
        found[np.arange(len(column)), column.astype(int)] += 1
        found /= found.sum(axis=1, keepdims=True)
        return found

    def draw(self, rng: np.random.RandomState, count: int) -> np.ndarray:
        """So many points: (parameters, points)."""
        points = np.empty((len(self._axes), count))
        kernel = rng.choice(len(self._weights), p=self._weights, size=count)
        for place, choices in self._choices.items():
            at = rng.rand(count)
            edges = np.cumsum(choices[kernel], axis=1)
            edges[:, -1] = 1
            points[place] = (edges < at[:, None]).sum(axis=1)
        if not self._numbers:
            return points
        mu, sigma = self._mu[:, kernel], self._sigma[:, kernel]
        axes: list[Any] = [self._axes[place] for place in self._numbers]
        left = np.array([axis.left for axis in axes])[:, None]
        right = np.array([axis.right for axis in axes])[:, None]
        at = rng.uniform(0, 1, mu.shape)
        drawn = quantile(at.ravel(), ((left - mu) / sigma).ravel(), ((right - mu) / sigma).ravel())
        points[self._numbers] = drawn.reshape(mu.shape) * sigma + mu
        for place, axis in zip(self._numbers, axes, strict=True):
            values = np.exp(points[place]) if axis.log else points[place]
            points[place] = (
                np.clip(axis.low + np.round(values - axis.low), axis.low, axis.high) if axis.whole else values
            )
        return points

    def logarithm(self, points: np.ndarray) -> tuple[np.ndarray, float]:
        """The logarithm at these points, up to a constant, and how far Optuna's and ours may be apart.

        Points: (parameters, points). The result: (points,); not a number where Optuna's own has to be asked.
        """
        of_kernels = np.log(self._weights)
        total = np.zeros((points.shape[1], len(of_kernels)))
        for place, choices in self._choices.items():
            total += np.log(choices.T)[points[place].astype(int)]
        outside = np.zeros(points.shape[1], dtype=bool)
        error = 0.0
        for place, mu, sigma in zip(self._numbers, self._mu, self._sigma, strict=True):
            axis: Any = self._axes[place]
            of_kernels -= np.log(mass(axis.left, axis.right, mu, sigma))
            if axis.whole:
                cells, narrowest = _log_mass_of_cells(axis, points[place], mu, sigma)
                total += cells
                # A cell's mass is a difference, of which Optuna's logarithms lose more the narrower the cell.
                error += 1e-13 / max(narrowest, 1e-300)
            else:
                at = np.log(points[place]) if axis.log else points[place]
                outside |= (at < axis.left) | (at > axis.right)
                of_kernels -= np.log(sigma)
                z = (at[:, None] - mu) / (math.sqrt(2) * sigma)
                total -= np.square(z, out=z)
        total += of_kernels
        highest = total.max(axis=1)
        total -= highest[:, None]
        found: np.ndarray = np.log(np.exp(total, out=total).sum(axis=1)) + highest
        found[outside] = np.nan
        return found, error


def _log_mass_of_cells(
    axis: Numbers, values: np.ndarray, mu: np.ndarray, sigma: np.ndarray
) -> tuple[np.ndarray, float]:
    """What of each kernel lies in the cells around these whole numbers; the narrowest cell's share of the range.

    Values: (points,). The result: (points, kernels), logarithms. Of a range of a few numbers many cells, and many
    kernels, are the same: each is computed once.
    """
    cells, cell = np.unique(values, return_inverse=True)
    order = np.argsort(mu)
    mu, sigma = mu[order], sigma[order]
    first = np.ones(len(mu), dtype=bool)
    first[1:] = (mu[1:] != mu[:-1]) | (sigma[1:] != sigma[:-1])
    kernel = np.empty(len(mu), dtype=int)
    kernel[order] = np.cumsum(first) - 1
    left, right = cells - 0.5, cells + 0.5
    if axis.log:
        left, right = np.log(left), np.log(right)
    narrowest = float((right - left).min() / (axis.right - axis.left))
    logs = np.log(mass(left[:, None], right[:, None], mu[first], sigma[first]))
    return logs.take(kernel, axis=1).take(cell, axis=0), narrowest


def beyond(trial: FrozenTrial) -> bool:
    """Whether there is more to the trial than this module looks at: constraints, or a curve that ranks it."""
    return bool(trial.intermediate_values) or any(name.startswith("constraints") for name in trial.system_attrs)


def rising_weights(stands_for: np.ndarray) -> np.ndarray:
    """Optuna's, which rise with the trials' place in their order, where each stands for so many. Shape (trials,)."""
    ends = np.cumsum(stands_for)
    count = float(ends[-1]) if len(ends) else 0.0
    if count <= 26:
        return stands_for
    weights: np.ndarray = np.interp(ends - stands_for / 2, [0.5, count - 25.5], [1 / count, 1.0]) * stands_for
    return weights


def _column(name: str, part: BaseDistribution, points: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """A parameter as Optuna's densities take it, (trials,): a category is its index. What a trial lacks is NaN."""
    try:
        values = [point[name] for point in points]
    except KeyError:
        values = [point.get(name, _MISSING) for point in points]
    if isinstance(part, CategoricalDistribution):
        places = {_MISSING: math.nan} | {choice: place for place, choice in reversed(list(enumerate(part.choices)))}
        values = [places[value] if value in places else part.to_internal_repr(value) for value in values]
    return np.array(values, dtype=float)


def _is_within(parameter: Any, value: Any) -> bool:
    return not isinstance(parameter, FloatRange) or parameter.low <= value <= parameter.high


class ToldTPESampler(TPESampler):
    """Optuna's own, told the search space that it would look for among all trials."""

    def __init__(self, space: Mapping[str, BaseDistribution], **settings: Any) -> None:
        super().__init__(**settings)
        self._searched = {name: space[name] for name in sorted(space) if not space[name].single()}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """The whole space at once, or nothing: each parameter by itself."""
        return self._searched if self._multivariate else {}
