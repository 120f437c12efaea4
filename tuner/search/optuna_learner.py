"""Learners that are Optuna's samplers: a study in memory is asked, as Optuna's own loop would ask it."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from tuner.definition import StudyDefinition
from tuner.search.sampler import History, Learner, Suggestion, Suggestions, plain
from tuner.search.seeds import study_seed, trial_seed
from tuner.search.view import STUDY_ID, STUDY_NAME, BatchView
from tuner.storage.frozen import distributions

Distributions = Mapping[str, BaseDistribution]
"""A search space as Optuna knows it."""

RELATIVE_PARAMETERS = ":relative_params:"
"""In keys of what a sampler notes for those who look while a trial's parameters are half written: never so here."""


class OptunaLearner(Learner):
    """A learner that Optuna brings."""

    @abstractmethod
    def build(self, space: Distributions, study_seed: int, trial_seed: int) -> BaseSampler:
        """Optuna's sampler, to choose one point.

        Args:
            space: the study's search space.
            study_seed: the same for every trial of the study, 32 bits.
            trial_seed: of this trial alone, 32 bits; no two trials of a study share it.
        """

    def forgotten(self, system_attrs: Mapping[str, Any]) -> set[str]:  # noqa: ARG002
        """The notes on the study that are of no further use."""
        return set()

    def view(self, trials: Sequence[FrozenTrial], directions: Sequence[str]) -> Sequence[FrozenTrial]:  # noqa: ARG002
        """The trials as this sampler can bear them: most rank values, and take infinite ones."""
        return trials

    def choose(self, definition: StudyDefinition, history: History, numbers: Sequence[int]) -> Suggestions:
        """What Optuna's sampler chooses."""
        directions = [direction for _, direction in definition.goal.aims]
        view = BatchView(self.view(history.trials, directions), history.system_attrs, directions, numbers)
        space = distributions(definition.search_space)
        seed = definition.sampler.seed
        found = []
        for number in numbers:
            sampler = self.build(space, study_seed(seed), trial_seed(seed, number))
            study = Study(STUDY_NAME, view, sampler=sampler, pruner=NopPruner())
            # In a range of a few neighbouring floats densities are 0, and their logarithms rightly infinite.
            with np.errstate(all="ignore"):
                asked = study.ask(fixed_distributions=dict(space))
            trial = view.get_trial(asked._trial_id)
            found.append(
                Suggestion(
                    plain(definition.search_space, trial.params),
                    {name: value for name, value in trial.system_attrs.items() if RELATIVE_PARAMETERS not in name},
                )
            )
        forgotten = self.forgotten(view.get_study_system_attrs(STUDY_ID)) if view.changed else set()
        return Suggestions(found, view.changed, exhausted=False, forgotten=frozenset(forgotten))
