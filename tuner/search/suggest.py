"""A batch of points from a definition, a history and the numbers of the trials: the same three, the same points.

Random numbers come from the study's seed and the trial's number alone (``tuner/search/seeds.py``), whoever asks, in
whatever process, after whatever restart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.pruners import NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from tuner.definition import Choices, FloatRange, IntRange, StudyDefinition
from tuner.search.registry import sampler_of
from tuner.search.sampler import Design, Learner, Point
from tuner.search.seeds import study_seed, trial_seed
from tuner.search.sight import Trials
from tuner.search.view import STUDY_ID, STUDY_NAME, BatchView
from tuner.storage.frozen import distributions
from tuner.trial import ParameterValue

PLACE = "search:place"
"""The study's attribute that says how many points of a design that ends have been given out."""

RELATIVE_PARAMETERS = ":relative_params:"
"""In keys of what a sampler notes for those who look while a trial's parameters are half written: never so here."""


@dataclass(frozen=True)
class History:
    """What a sampler may know of the study.

    trials: complete, pruned and running ones, ascending by number: those that the sampler looks at (`look`). Failed,
    excluded and waiting ones are left out.
    system_attrs: the study's, where samplers keep their state. Read and write them in one transaction: a grid's
    place is there.
    weights: how many trials one of them stands for, by number; 1 where it is not said.
    """

    trials: Sequence[FrozenTrial]
    system_attrs: Mapping[str, Any]
    weights: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Suggestion:
    """A point, in the order of the search space, and the sampler's state to store with its trial."""

    parameters: dict[str, ParameterValue]
    system_attrs: dict[str, Any]


@dataclass(frozen=True)
class Suggestions:
    """A batch of points.

    trials: one per number, fewer where a grid ended. system_attrs: those of the study that changed.
    exhausted: nothing further will ever be suggested. forgotten: the study's attributes that are of no further use.
    """

    trials: list[Suggestion]
    system_attrs: dict[str, Any]
    exhausted: bool
    forgotten: frozenset[str] = frozenset()

    def applied_to(self, system_attrs: Mapping[str, Any]) -> dict[str, Any]:
        """The study's attributes from now on."""
        return {
            name: value for name, value in {**system_attrs, **self.system_attrs}.items() if name not in self.forgotten
        }


def look(definition: StudyDefinition, trials: Trials) -> History:
    """What the definition's sampler may know of the study: as much of it as the sampler looks at.

    Raises:
        InvalidInput: as `suggest`.
    """
    match sampler_of(definition.sampler):
        case Design():
            return History([], trials.system_attrs)
        case Learner() as learner:
            sight = learner.look(trials)
            return History(sight.trials, trials.system_attrs, sight.weights)


def suggest(definition: StudyDefinition, history: History, numbers: Sequence[int]) -> Suggestions:
    """Choose points for trials of these numbers.

    Each later one of the batch sees the earlier ones as running. ``history.trials`` is not looked at where the sampler
    does not learn (``SAMPLERS[name].learns``).

    Raises:
        InvalidInput: the definition's sampler is none, as in `resolve_sampler`.
    """
    match sampler_of(definition.sampler):
        case Design() as design:
            return _laid_out(design, definition, history, numbers)
        case Learner() as learner:
            return _learned(learner, definition, history, numbers)


def _laid_out(design: Design, definition: StudyDefinition, history: History, numbers: Sequence[int]) -> Suggestions:
    space, seed = definition.search_space, definition.sampler.seed
    size = design.size(space)
    if size is None:
        points = design.points(space, seed, numbers)
        return Suggestions([Suggestion(point, {}) for point in points], {}, exhausted=False)
    # By place and not by number: points that users enqueue take numbers too.
    first = int(history.system_attrs.get(PLACE, 0))
    after = min(first + len(numbers), size)
    points = design.points(space, seed, range(first, after))
    return Suggestions([Suggestion(point, {}) for point in points], {PLACE: after}, exhausted=after >= size)


def _learned(learner: Learner, definition: StudyDefinition, history: History, numbers: Sequence[int]) -> Suggestions:
    direction = definition.goal.direction
    view = BatchView(learner.view(history.trials, direction), history.system_attrs, direction, numbers)
    space = distributions(definition.search_space)
    seed = definition.sampler.seed
    found = []
    for number in numbers:
        sampler = learner.build(space, study_seed(seed), trial_seed(seed, number), history.weights)
        study = Study(STUDY_NAME, view, sampler=sampler, pruner=NopPruner())
        # In a range of a few neighbouring floats densities are 0, and their logarithms rightly infinite.
        with np.errstate(all="ignore"):
            asked = study.ask(fixed_distributions=space)
        trial = view.get_trial(asked._trial_id)
        found.append(
            Suggestion(
                _plain(definition, trial.params),
                {name: value for name, value in trial.system_attrs.items() if RELATIVE_PARAMETERS not in name},
            )
        )
    forgotten = learner.forgotten(view.get_study_system_attrs(STUDY_ID)) if view.changed else set()
    return Suggestions(found, view.changed, exhausted=False, forgotten=frozenset(forgotten))


def _plain(definition: StudyDefinition, parameters: Mapping[str, Any]) -> Point:
    """The parameters in the order of the search space, as the types of the definition: samplers leave NumPy's."""
    point: Point = {}
    for name, parameter in definition.search_space.items():
        match parameter:
            case FloatRange():
                point[name] = float(parameters[name])
            case IntRange():
                point[name] = int(parameters[name])
            case Choices():
                point[name] = parameters[name]
    return point
