"""Which parameters decide whether a trial is among the best: PED-ANOVA, Optuna's, over our studies.

Watanabe, Bansal and Hutter, PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary subspaces (2023).
For each parameter the density of the best tenth of the trials is set against that of all: where the two differ, the
parameter decides.
"""

import copy
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from tuner.search.view import STUDY_NAME, BatchView

QUANTILE = 0.1
"""Which part of the trials counts as the best."""


def importances(trials: Sequence[FrozenTrial], directions: Sequence[str]) -> dict[str, float]:
    """The share of each parameter, the greatest first; all 0 where no trial is better than another.

    Args:
        trials: complete ones, with a value for each direction. A diverged run is a bad one like any other: only the
            order of the values counts, in which infinite ones have their place.
        directions: which way each value is better. With two the best are those nearest to the front.
    """
    # Where scikit-learn is installed, Optuna loads it here for its other methods, as much again as the whole service.
    from optuna.importance import PedAnovaImportanceEvaluator  # noqa: PLC0415

    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
    values = signs * np.array([trial.values for trial in trials], dtype=float)
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in values.T], axis=1)
    names = _searched(trials)
    if not names or _all_alike(ranks):
        return dict.fromkeys(names, 0.0)
    shown = [_ranked(trial, rank) for trial, rank in zip(trials, ranks, strict=True)]
    view = BatchView(shown, {}, ["minimize"] * len(directions), [])
    study = Study(STUDY_NAME, view, sampler=RandomSampler(), pruner=NopPruner())
    found = PedAnovaImportanceEvaluator(target_quantile=QUANTILE).evaluate(study, names)
    total = sum(found.values())
    shares = {name: found[name] / total if total > 0 else 0.0 for name in names}
    return dict(sorted(shares.items(), key=lambda share: -share[1]))


def _searched(trials: Sequence[FrozenTrial]) -> list[str]:
    """The parameters that every trial chose from the same range of more than one value, by name."""
    first, *rest = trials
    return sorted(
        name
        for name, distribution in first.distributions.items()
        if not distribution.single() and all(one.distributions.get(name) == distribution for one in rest)
    )


def _all_alike(ranks: NDArray[np.intp]) -> bool:
    """Whether the best part, with all that are as good, would be everything."""
    if ranks.shape[1] > 1:
        return bool((ranks == ranks[0]).all())
    least_of_the_best = np.sort(ranks[:, 0])[math.ceil(QUANTILE * len(ranks)) - 1]
    return bool((ranks[:, 0] <= least_of_the_best).all())


def _ranked(trial: FrozenTrial, rank: NDArray[np.intp]) -> FrozenTrial:
    shown = copy.copy(trial)
    shown.values = [float(place) for place in rank]
    return shown
