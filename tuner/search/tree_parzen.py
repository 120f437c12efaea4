"""Tree-structured Parzen estimator: the point that Optuna's tpe chooses, in a fraction of its time.

The good trials give one density, the rest another; of some candidates drawn from the first, the one is chosen where it
stands highest above the second. Bergstra et al. (2011), Algorithms for hyper-parameter optimization; Falkner et al.
(2018), BOHB, for densities over the whole space at once.

Optuna walks over the trials several times for each point, and evaluates the normal distribution one number at a time.
Here trials are columns, and densities are a few operations on arrays. The candidates are Optuna's to the last
bit. The densities agree with Optuna's up to rounding; where that could decide between two candidates, Optuna's do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_gamma, default_weights
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tuner.search.density import Density, axes_over, logarithms
from tuner.search.sampler import Point, is_fixed, plain
from tuner.space import Choices, FloatRange, SearchSpace
from tuner.storage.columns import Columns
from tuner.storage.frozen import distributions

OPTUNAS_KERNELS = _ParzenEstimatorParameters(
    prior_weight=1.0, consider_magic_clip=True, consider_endpoints=False, weights=default_weights, multivariate=True
)

_ROUNDING = 1e-9
"""Scores that differ by less may be in an order that rounding made."""


class Evidence:
    """The trials of a study, the good ones apart, and those that are chosen meanwhile.

    Args:
        columns: complete, pruned and running trials, none of which `goes_beyond` what columns hold.
        space: the search space.
        weights: how many trials each of them stands for, (trials,); None: itself alone.
        direction: of the goal.
    """

    def __init__(self, columns: Columns, space: SearchSpace, weights: np.ndarray | None, direction: str) -> None:
        self._space = space
        self._distributions = distributions(space)
        self._rows = {name: row for row, name in enumerate(space)}

        [complete] = (columns.states == TrialState.COMPLETE).nonzero()
        [pruned] = (columns.states == TrialState.PRUNED).nonzero()
        finished = np.concatenate([complete, pruned])
        count = len(finished) if weights is None else round(float(weights[finished].sum()))
        values = columns.values[complete]
        order = (-values if direction == "maximize" else values).argsort(kind="stable")
        # Complete trials rank by value, pruned ones behind them.
        good = np.concatenate([complete[order], pruned])[: default_gamma(count)]
        # The good ones first, so that they and the rest are two parts of one array.
        others = np.ones(len(columns), dtype=bool)
        others[good] = False
        places = np.concatenate([np.sort(good), others.nonzero()[0]])
        self._good = len(good)
        self._columns = columns.parameters[:, places]
        self._whole = not np.isnan(self._columns).any()
        self._stands_for = None if weights is None else weights[places]

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
        chosen = [[part.to_internal_repr(point[name])] for name, part in self._distributions.items()]
        self._columns = np.concatenate([self._columns, chosen], axis=1)
        if self._stands_for is not None:
            self._stands_for = np.append(self._stands_for, 1.0)
        return point

    def _best(self, names: Sequence[str], rng: np.random.RandomState, candidates: int) -> dict[str, Any]:
        """Values of these parameters: of some candidates, where the good density is highest beside the other."""
        parts = [self._distributions[name] for name in names]
        columns = self._columns[[self._rows[name] for name in names]]
        good, rest = columns[:, : self._good], columns[:, self._good :]
        stands_for = None if self._stands_for is None else self._stands_for[self._good :]
        if not self._whole:
            # Each trial that has all of them.
            has = ~np.isnan(rest).any(axis=0)
            good, rest = good[:, ~np.isnan(good).any(axis=0)], rest[:, has]
            stands_for = None if stands_for is None else stands_for[has]
        weights = None if stands_for is None else rising_weights(stands_for)
        axes = axes_over(*parts)
        of_good, of_rest = Density(axes, good), Density(axes, rest, weights)
        points = of_good.draw(rng, candidates)
        (ahead, behind), error = logarithms(points, of_good, of_rest)
        scores = ahead - behind
        best = int(scores.argmax())
        same = (points == points[:, best : best + 1]).all(axis=0)
        clear = scores[best] - scores > _ROUNDING + 2 * error
        if not (np.isfinite(scores).all() and (same | clear).all()):
            space = dict(zip(names, parts, strict=True))
            optunas = [
                _ParzenEstimator(dict(zip(names, part, strict=True)), space, OPTUNAS_KERNELS, given)
                for part, given in ((good, None), (rest, weights))
            ]
            drawn = dict(zip(names, points, strict=True))
            best = int(np.argmax(optunas[0].log_pdf(drawn) - optunas[1].log_pdf(drawn)))
        return {
            name: part.to_external_repr(value)
            for name, part, value in zip(names, parts, points[:, best].tolist(), strict=True)
        }


def rising_weights(stands_for: np.ndarray) -> np.ndarray:
    """Optuna's, which rise with the trials' place in their order, where each stands for so many. Shape (trials,)."""
    ends = np.cumsum(stands_for)
    count = float(ends[-1]) if len(ends) else 0.0
    if count <= 26:
        return stands_for
    weights: np.ndarray = np.interp(ends - stands_for / 2, [0.5, count - 25.5], [1 / count, 1.0]) * stands_for
    return weights


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
