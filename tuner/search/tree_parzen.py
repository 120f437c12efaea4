"""Tree-structured Parzen estimator: the point that Optuna's tpe chooses, in a fraction of its time.

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
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.probability_distributions import (
    _BatchedCategoricalDistributions,
    _MixtureOfProductDistribution,
)
from optuna.samplers._tpe.sampler import default_gamma, default_weights
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tuner.definition import Choices, FloatRange, SearchSpace
from tuner.search.sampler import Point, is_fixed, plain
from tuner.storage.frozen import distributions

_KERNELS = _ParzenEstimatorParameters(
    prior_weight=1.0, consider_magic_clip=True, consider_endpoints=False, weights=default_weights, multivariate=True
)
"""Optuna's defaults."""

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
        good, rest = self._densities(names)
        drawn = good.sample(rng, candidates)
        points = np.array([drawn[name] for name in names])
        ahead, error_ahead = _log_density(good._mixture_distribution, points)
        behind, error_behind = _log_density(rest._mixture_distribution, points)
        scores = ahead - behind
        best = int(np.argmax(scores))
        lead = scores[best] - scores
        same = (points == points[:, best : best + 1]).all(axis=0)
        if not (np.isfinite(scores).all() and (same | (lead > _ROUNDING + error_ahead + error_behind)).all()):
            best = int(np.argmax(good.log_pdf(drawn) - rest.log_pdf(drawn)))
        return {name: self._distributions[name].to_external_repr(drawn[name][best].item()) for name in names}

    def _densities(self, names: Sequence[str]) -> tuple[_ParzenEstimator, _ParzenEstimator]:
        """Of the good trials and of the rest, over these parameters; of those trials that have all of them."""
        space = {name: self._distributions[name] for name in names}
        columns = np.array([self._columns[name] for name in names])
        whole = ~np.isnan(columns).any(axis=0)
        good = np.zeros_like(whole)
        good[self._good] = True
        good, rest = whole & good, whole & ~good
        weights = None if self._stands_for is None else rising_weights(self._stands_for[rest])
        return (
            _ParzenEstimator(dict(zip(names, columns[:, good], strict=True)), space, _KERNELS),
            _ParzenEstimator(dict(zip(names, columns[:, rest], strict=True)), space, _KERNELS, weights),
        )


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


def _log_density(mixture: _MixtureOfProductDistribution, points: np.ndarray) -> tuple[np.ndarray, float]:
    """The logarithm of the density at each point, up to a constant, and how far Optuna's and ours may be apart.

    Points: shape (parameters, points). The result: (points,); not a number where Optuna's own has to be asked.
    """
    of_kernels = np.log(mixture.weights)
    total = np.zeros((points.shape[1], len(of_kernels)))
    outside = np.zeros(points.shape[1], dtype=bool)
    error = 0.0
    part: Any
    for values, part in zip(points, mixture.distributions, strict=True):
        if isinstance(part, _BatchedCategoricalDistributions):
            total += np.log(part.weights.T)[values.astype(int)]
            continue
        of_kernels -= np.log(_mass(part.adapted_low, part.adapted_high, part.mu, part.sigma))
        if part.step:
            mass, narrowest = _log_mass_of_cells(values, part)
            total += mass
            # A cell's mass is a difference, of which Optuna's logarithms lose more the narrower the cell.
            error += 1e-13 / max(narrowest, 1e-300)
        else:
            at = np.log(values) if part.is_log else values
            outside |= (at < part.adapted_low) | (at > part.adapted_high)
            of_kernels -= np.log(part.sigma)
            z = (at[:, None] - part.mu) / (math.sqrt(2) * part.sigma)
            total -= np.square(z, out=z)
    total += of_kernels
    highest = total.max(axis=1)
    total -= highest[:, None]
    density = np.log(np.exp(total, out=total).sum(axis=1)) + highest
    density[outside] = np.nan
    return density, error


def _log_mass_of_cells(values: np.ndarray, part: Any) -> tuple[np.ndarray, float]:
    """What of each kernel lies in the cells around these whole numbers; the narrowest cell's share of the range.

    Values: (points,). The result: (points, kernels), logarithms. Of a range of a few numbers many cells, and many
    kernels, are the same: each is computed once.
    """
    cells, cell = np.unique(values, return_inverse=True)
    order = np.argsort(part.mu, kind="stable")
    mu, sigma = part.mu[order], part.sigma[order]
    first = np.ones(len(mu), dtype=bool)
    first[1:] = (mu[1:] != mu[:-1]) | (sigma[1:] != sigma[:-1])
    kernel = np.empty(len(mu), dtype=int)
    kernel[order] = np.cumsum(first) - 1
    left, right = cells - part.step / 2, cells + part.step / 2
    if part.is_log:
        left, right = np.log(left), np.log(right)
    narrowest = float((right - left).min() / (part.adapted_high - part.adapted_low))
    mass = np.log(_mass(left[:, None], right[:, None], mu[first], sigma[first]))
    return mass.take(kernel, axis=1).take(cell, axis=0), narrowest


def _mass(left: Any, right: Any, mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """What of each kernel lies between left and right, seen from the left tail, where small numbers keep digits."""
    from scipy.special import ndtr  # noqa: PLC0415 (takes a tenth of a second to import)

    a, b = (left - mu) / sigma, (right - mu) / sigma
    mirrored = a + b > 0
    mass: np.ndarray = ndtr(np.where(mirrored, -a, b)) - ndtr(np.where(mirrored, -b, a))
    return mass


class ToldTPESampler(TPESampler):
    """Optuna's own, told the search space that it would look for among all trials."""

    def __init__(self, space: Mapping[str, BaseDistribution], **settings: Any) -> None:
        super().__init__(**settings)
        self._searched = {name: space[name] for name in sorted(space) if not space[name].single()}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """The whole space at once, or nothing: each parameter by itself."""
        return self._searched if self._multivariate else {}
