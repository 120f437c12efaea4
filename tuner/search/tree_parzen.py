"""Optuna's tpe without its detours: the same choice from the same trials, in about half the time.

Between an ask and its answer Optuna walks over the trials several times, to look for constraints and for parameters
that are half written. The trials of a service study have neither; where one has, Optuna's own way is taken.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.sampler import default_gamma
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState


class DirectTPESampler(TPESampler):
    """Optuna's, for one goal and no constraints, told what it would look for among all trials.

    Args:
        space: the search space.
        weights: of the trials that are shown, how many each stands for, by number; 1 where it is not said.
        settings: Optuna's.
    """

    def __init__(
        self, space: Mapping[str, BaseDistribution], weights: Mapping[int, float] | None = None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self._shown_weights = weights or {}
        self._searched = {name: space[name] for name in sorted(space) if not space[name].single()}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """The whole space at once, or nothing: each parameter by itself."""
        return self._searched if self._multivariate else {}

    def _sample(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """The best of the candidates drawn from the density of the good trials."""
        shown = study._storage.get_all_trials(study._study_id, deepcopy=False)
        if any(one.intermediate_values or (one.system_attrs and _is_constrained(one)) for one in shown):
            return super()._sample(study, trial, search_space)
        others = [one for one in shown if one._trial_id != trial._trial_id]
        running = TrialState.RUNNING
        if self._shown_weights:
            weights = [self._shown_weights.get(one.number, 1.0) for one in others if one.state != running]
            count = round(sum(weights))
        else:
            count = sum(one.state != running for one in others)
        good, rest = _split(others, study.direction, default_gamma(count))
        names = search_space.keys()
        good, rest = ([one for one in part if one.params.keys() >= names] for part in (good, rest))
        of_good = self._density(good, search_space, study, None)
        of_rest = self._density(rest, search_space, study, self._weights(rest) if self._shown_weights else None)
        candidates = of_good.sample(self._rng.rng, self._n_ei_candidates)
        chosen = self._compare(candidates, self._compute_acquisition_func(candidates, of_good, of_rest))
        return {name: distribution.to_external_repr(chosen[name]) for name, distribution in search_space.items()}

    def _density(
        self,
        trials: Sequence[FrozenTrial],
        space: dict[str, BaseDistribution],
        study: Study,
        weights: np.ndarray | None,
    ) -> _ParzenEstimator:
        """The density of these trials' parameters. Weights: shape (trials,), or None for Optuna's."""
        observed = self._get_internal_repr(list(trials), space, study)
        return _ParzenEstimator(observed, space, self._parzen_estimator_parameters, weights)

    def _weights(self, trials: Sequence[FrozenTrial]) -> np.ndarray:
        """Optuna's, which rise with the trials' place in their order, where each stands for so many."""
        stands_for = np.array([self._shown_weights.get(one.number, 1.0) for one in trials])
        ends = np.cumsum(stands_for)
        count = float(ends[-1]) if len(ends) else 0.0
        if count <= 26:
            return stands_for
        ramp = np.interp(ends - stands_for / 2, [0.5, count - 25.5], [1 / count, 1.0])
        weights: np.ndarray = ramp * stands_for
        return weights

    def _get_internal_repr(
        self,
        trials: list[FrozenTrial],
        search_space: dict[str, BaseDistribution],
        study: Study,  # noqa: ARG002
    ) -> dict[str, np.ndarray]:
        """Parameters as Optuna's densities take them: name → (trials,); a category is its index."""
        return {
            name: np.asarray(
                [distribution.to_internal_repr(one.params[name]) for one in trials]
                if isinstance(distribution, CategoricalDistribution)
                else [float(one.params[name]) for one in trials],
                dtype=float,
            )
            for name, distribution in search_space.items()
        }


def _is_constrained(trial: FrozenTrial) -> bool:
    return any(name.startswith("constraints") for name in trial.system_attrs)


def _split(
    trials: Sequence[FrozenTrial], direction: StudyDirection, count: int
) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """The ``count`` best, and the rest. Complete trials rank by value, pruned ones behind them, running ones last."""
    sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
    complete = [one for one in trials if one.state == TrialState.COMPLETE]
    complete.sort(key=lambda one: sign * one.values[0])
    ranked = complete + [one for one in trials if one.state == TrialState.PRUNED]
    good = {one._trial_id for one in ranked[:count]}
    return [one for one in trials if one._trial_id in good], [one for one in trials if one._trial_id not in good]
