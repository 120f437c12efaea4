"""Which parameters decide whether a trial is among the best: PED-ANOVA over our studies.

What is compared is how the best tenth of the trials lies along a parameter's range, and how all do: see
`tuner.analysis.importance`.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.samplers._tpe.sampler import _split_complete_trials_multi_objective
from optuna.study import Study
from optuna.trial import FrozenTrial

from tuner.analysis.importance import divergence
from tuner.search.view import STUDY_NAME, BatchView

Distribution = CategoricalDistribution | FloatDistribution | IntDistribution

QUANTILE = 0.1
"""Which part of the trials counts as the best."""

CELLS = 50
"""Into how many a range is cut at most."""


def importances(trials: Sequence[FrozenTrial], directions: Sequence[str]) -> dict[str, float]:
    """The share of each parameter, the greatest first; all 0 where no trial is better than another.

    Args:
        trials: complete ones, with a value for each direction. A diverged run is a bad one like any other: only the
            order of the values counts, in which infinite ones have their place.
        directions: which way each value is better. With two the best are those nearest to the front.
    """
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
    values = signs * np.array([trial.values for trial in trials], dtype=float)
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in values.T], axis=1)
    space = _searched(trials)
    best = _best(trials, ranks)
    if best.all():
        return dict.fromkeys(space, 0.0)
    found = {name: _divergence(distribution, trials, name, best) for name, distribution in space.items()}
    total = sum(found.values())
    shares = {name: one / total if total > 0 else 0.0 for name, one in found.items()}
    return dict(sorted(shares.items(), key=lambda share: -share[1]))


def _searched(trials: Sequence[FrozenTrial]) -> Mapping[str, Any]:
    """The parameters that every trial chose from the same range of more than one value, by name."""
    first, *rest = trials
    return {
        name: distribution
        for name, distribution in sorted(first.distributions.items())
        if not distribution.single() and all(one.distributions.get(name) == distribution for one in rest)
    }


def _best(trials: Sequence[FrozenTrial], ranks: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which trials are among the best part, with all that are as good; ranks: (trials, values), smaller the better."""
    wanted = math.ceil(QUANTILE * len(ranks))
    if ranks.shape[1] == 1:
        least = np.sort(ranks[:, 0])[wanted - 1]
        as_good: NDArray[np.bool_] = ranks[:, 0] <= least
        return as_good
    if (ranks == ranks[0]).all():
        return np.ones(len(ranks), dtype=np.bool_)
    shown = [_ranked(trial, place, rank) for place, (trial, rank) in enumerate(zip(trials, ranks, strict=True))]
    view = BatchView(shown, {}, ["minimize"] * ranks.shape[1], [])
    study = Study(STUDY_NAME, view, sampler=RandomSampler(), pruner=NopPruner())
    below, _ = _split_complete_trials_multi_objective(shown, study, wanted)
    found = np.zeros(len(ranks), dtype=np.bool_)
    found[[trial.number for trial in below]] = True
    return found


def _ranked(trial: FrozenTrial, place: int, rank: NDArray[np.intp]) -> FrozenTrial:
    shown = copy.copy(trial)
    shown.number = place
    shown.values = [float(one) for one in rank]
    return shown


def _divergence(distribution: Distribution, trials: Sequence[FrozenTrial], name: str, best: NDArray[np.bool_]) -> float:
    count, cells = _cells(distribution, [trial.params[name] for trial in trials])
    return divergence(
        np.bincount(cells[best], minlength=count),
        np.bincount(cells, minlength=count),
        ordered=not isinstance(distribution, CategoricalDistribution),
    )


def _cells(distribution: Distribution, values: Sequence[Any]) -> tuple[int, NDArray[np.intp]]:
    """Into how many cells a range is cut, and in which of them each value lies: in the nearest, or the lower of two."""
    if isinstance(distribution, CategoricalDistribution):
        chosen = [int(distribution.to_internal_repr(value)) for value in values]
        return len(distribution.choices), np.array(chosen, dtype=np.intp)
    low, high, count = distribution.low, distribution.high, CELLS
    if isinstance(distribution, IntDistribution) and distribution.log:
        count = min(count, math.ceil(math.log2(high - low + 1)) + 1)
    elif distribution.step is not None:
        count = min(count, round((high - low) / distribution.step) + 1)
    scale = np.log if distribution.log else np.asarray
    first, last = float(scale(low)), float(scale(high))
    width = (last - first) / (count - 1)
    places = np.ceil((scale(np.array(values, dtype=float)) - first) / width - 0.5).astype(np.intp)
    return count, np.clip(places, 0, count - 1)
