"""Learners: the samplers of Optuna, each with the settings that are worth turning and that Optuna stands by.

Defaults are Optuna's. What Optuna calls deprecated or experimental is left out.
"""

# Each takes what it needs of what all are given.
# ruff: noqa: ARG002

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler
from optuna.trial import FrozenTrial
from pydantic import Field

from tuner.definition import StudyDefinition
from tuner.errors import InvalidInput
from tuner.search.genetic import NSGAIISampler
from tuner.search.optuna_learner import Distributions, OptunaLearner
from tuner.search.sampler import History, Suggestion, Suggestions, is_fixed
from tuner.search.seeds import generator, trial_seed
from tuner.search.sight import Sight, Trials, spread
from tuner.search.tree_parzen import Evidence, ToldTPESampler
from tuner.space import Choices, IntRange, SearchSpace
from tuner.storage.columns import Columns
from tuner.storage.frozen import distributions

MOST_WHOLE_NUMBERS = 1_000_000
"""In one range that the Gaussian process searches: Optuna lays them all out in memory, for every point."""

MOST_RUNNING = 128
"""Running trials that a learner looks at, the latest: they keep new points away from where they are."""

KEPT_GENERATIONS = 3
"""Generations of nsga2 whose parents stay noted: the present one's are needed, those before should it be excluded."""

_CMA_GENERATION = "cma:generation"
_CMA_STATE = "cma:optimizer"
_NSGA_GENERATION = "NSGAIISampler:generation"
_NSGA_PARENTS = "NSGAIISampler:parent:"

Startup = Annotated[int, Field(ge=1, le=10_000, description="Trials at random, before it learns from any.")]
Probability = Annotated[float, Field(ge=0, le=1)]


class TreeParzen(OptunaLearner):
    """Tree-structured Parzen estimator: densities of the good and of the bad points, and where they differ most.

    Bergstra et al. (2011), Algorithms for hyper-parameter optimization; Watanabe (2023), Tree-structured Parzen
    estimator. Points of a batch that are not evaluated yet count among the bad ones, so that a batch spreads out.
    """

    best: ClassVar[int] = 100
    """Optuna's good trials are 25 at most; where those behind them lie says where it need not go again."""

    latest: ClassVar[int] = 1000
    """Those with most weight, and where the search is now."""

    spread: ClassVar[int] = 256
    """Of the others, so many at most; each stands for several (``docs/decisions``, 8)."""

    n_startup_trials: Startup = 10
    n_ei_candidates: Annotated[
        int, Field(ge=1, le=10_000, description="Candidates that each point is chosen from.")
    ] = 24
    multivariate: Annotated[bool, Field(description="Look at the parameters together, not at each alone.")] = True

    def look(self, trials: Trials) -> Sight:
        """The best, the latest, those that run, and of the others a spread, each of which stands for several."""
        last = trials.next_number
        latest = np.arange(max(0, last - self.latest), last)
        if len(latest) == last:
            return self._sight(trials, latest)
        evenly = np.array(spread(last, self.spread))
        best = trials.best(max(self.best, self.n_startup_trials))
        certain = np.unique(np.concatenate([latest, trials.running(MOST_RUNNING), best]).astype(np.int64))
        sight = self._sight(trials, np.union1d(certain, evenly))
        if len(evenly) == last:
            return sight
        # As many of all numbers are of trials that count as of those that are spread.
        numbers = sight.numbers
        counting = int(np.count_nonzero(np.isin(numbers, evenly))) * last / len(evenly)
        alone = ~np.isin(numbers, certain)
        each = (counting - int(np.count_nonzero(~alone))) / max(1, int(np.count_nonzero(alone)))
        return replace(sight, weights=np.where(alone, max(1.0, each), 1.0))

    def _sight(self, trials: Trials, numbers: np.ndarray) -> Sight:
        """Columns where they do: not before the startup is over, when Optuna's own sampler chooses."""
        columns = trials.columns(numbers)
        if columns is None or columns.finished < self.n_startup_trials:
            return Sight(trials.show(numbers.tolist()))
        return Sight([], columns)

    def default_batch_size(self, space: SearchSpace) -> int:
        """Up to 4 at once find what one at a time finds, 5 and more measurably less (``benchmarks/sampling.py``)."""
        return 4

    def build(self, space: Distributions, study_seed: int, trial_seed: int) -> BaseSampler:
        """Optuna's ``TPESampler``."""
        return ToldTPESampler(
            space,
            n_startup_trials=self.n_startup_trials,
            n_ei_candidates=self.n_ei_candidates,
            multivariate=self.multivariate,
            seed=trial_seed,
        )

    def choose(self, definition: StudyDefinition, history: History, numbers: Sequence[int]) -> Suggestions:
        """What Optuna would choose, faster.

        Optuna itself where there is too little to learn from, where there are constraints, or where which trials are
        good is a matter of fronts.
        """
        if definition.goal.is_trade_off:
            return super().choose(definition, history, numbers)
        columns = history.columns
        if columns is None:
            columns = Columns.of_trials(history.trials, distributions(definition.search_space))
        if columns.goes_beyond or columns.finished < self.n_startup_trials:
            return super().choose(definition, history, numbers)
        [(_, direction)] = definition.goal.aims
        evidence = Evidence(columns, definition.search_space, history.weights, direction)
        found = []
        for number in numbers:
            rng = generator(trial_seed(definition.sampler.seed, number))
            point = evidence.choose(rng, self.n_ei_candidates, together=self.multivariate)
            found.append(Suggestion(point, {}))
        return Suggestions(found, {}, exhausted=False)


class CovarianceAdaptation(OptunaLearner):
    """CMA-ES: a Gaussian cloud of points that moves, stretches and shrinks by generations. Numbers only.

    Hansen (2016), The CMA evolution strategy: a tutorial. ``popsize`` points make a generation; null lets their number
    follow the dimension: 4 + ⌊3 ln d⌋. The first batch is random.
    """

    trades_off: ClassVar[bool] = False

    n_startup_trials: Startup = 1
    popsize: Annotated[
        Annotated[int, Field(ge=4, le=1000)] | None,
        Field(description="Points of a generation; without it, as many as the number of parameters asks for."),
    ] = None

    def look(self, trials: Trials) -> Sight:
        """The latest complete ones: from the first of the present generation on, with the state of that generation.

        A trial's generation is never less than that of one with a smaller number: whoever asks later knows as much.
        """

        def enough(latest: Sequence[FrozenTrial]) -> bool:
            with_state = [one for one in latest if any(name.startswith(_CMA_STATE) for name in one.system_attrs)]
            return bool(with_state) and _begins_before(latest, _CMA_GENERATION, with_state[-1].system_attrs)

        return Sight(_latest_until(trials, max(4 * (self.popsize or 16), self.n_startup_trials), enough))

    def check(self, space: SearchSpace) -> None:
        """Choices have no covariance; rather than draw them at random, as Optuna does, say so."""
        categorical = [name for name, part in space.items() if isinstance(part, Choices) and not is_fixed(part)]
        if categorical:
            raise InvalidInput.at(
                "name", f"cmaes searches numbers only, and {', '.join(categorical)} is categorical: choose tpe or nsga2"
            )

    def default_batch_size(self, space: SearchSpace) -> int:
        """One generation: its points are independent of each other anyway."""
        free = sum(not is_fixed(parameter) for parameter in space.values())
        return self.popsize or 4 + math.floor(3 * math.log(max(1, free)))

    def build(self, space: Distributions, study_seed: int, trial_seed: int) -> BaseSampler:
        """Optuna's ``CmaEsSampler``.

        It adds the trial's number to a seed of at most 16 bits: with the same seed throughout the study no two points
        of a generation share their random numbers, with a seed per trial some would.
        """
        return CmaEsSampler(
            n_startup_trials=self.n_startup_trials,
            popsize=self.popsize,
            seed=study_seed,
            independent_sampler=RandomSampler(seed=trial_seed),
            warn_independent_sampling=False,
        )


class GeneticAlgorithm(OptunaLearner):
    """NSGA-II: generations of points that recombine and mutate the best of the one before.

    Deb et al. (2002), A fast and elitist multiobjective genetic algorithm.
    """

    population_size: Annotated[int, Field(ge=2, le=1000, description="Points of a generation.")] = 50
    mutation_prob: Annotated[
        Probability | None,
        Field(description="How often a parameter is drawn anew; without it, once a point on average."),
    ] = None
    crossover_prob: Annotated[Probability, Field(description="How often a point has two parents.")] = 0.9
    swapping_prob: Annotated[Probability, Field(description="How often a parameter is the second parent's.")] = 0.5

    def look(self, trials: Trials) -> Sight:
        """The latest complete ones, from the first of the present generation on, and the parents that are noted.

        A trial's generation is never less than that of one with a smaller number: whoever asks later knows as much.
        """

        def enough(latest: Sequence[FrozenTrial]) -> bool:
            known = [one for one in latest if _NSGA_GENERATION in one.system_attrs]
            return bool(known) and _begins_before(latest, _NSGA_GENERATION, known[-1].system_attrs)

        parents = {one for name in _noted_parents(trials.system_attrs).values() for one in trials.system_attrs[name]}
        latest = _latest_until(trials, 2 * self.population_size, enough)
        return Sight(trials.show({*(one.number for one in latest), *trials.of_ids(parents)}))

    def forgotten(self, system_attrs: Mapping[str, Any]) -> set[str]:
        """The parents of generations that are past; Optuna keeps those of every generation."""
        noted = _noted_parents(system_attrs)
        return {name for generation, name in noted.items() if generation <= max(noted) - KEPT_GENERATIONS}

    def default_batch_size(self, space: SearchSpace) -> int:
        """One generation: its points are independent of each other anyway."""
        return self.population_size

    def build(self, space: Distributions, study_seed: int, trial_seed: int) -> BaseSampler:
        """Optuna's ``NSGAIISampler``."""
        return NSGAIISampler(
            population_size=self.population_size,
            mutation_prob=self.mutation_prob,
            crossover_prob=self.crossover_prob,
            swapping_prob=self.swapping_prob,
            seed=trial_seed,
        )


def _noted_parents(system_attrs: Mapping[str, Any]) -> dict[int, str]:
    """Generation → the attribute that names its parents."""
    return {int(name.removeprefix(_NSGA_PARENTS)): name for name in system_attrs if name.startswith(_NSGA_PARENTS)}


def _latest_until(trials: Trials, count: int, enough: Callable[[Sequence[FrozenTrial]], bool]) -> list[FrozenTrial]:
    """The latest complete trials: ``count``, and on from there while they are not enough, to a limit."""
    for size in (count, 2 * count, 4 * count, 8 * count):
        latest = trials.show(trials.latest(size))
        if len(latest) < size or enough(latest):
            break
    return latest


def _begins_before(latest: Sequence[FrozenTrial], attribute: str, of: Mapping[str, Any]) -> bool:
    """Whether the first of these trials that has a generation is of an earlier one."""
    generations = (one.system_attrs[attribute] for one in latest if attribute in one.system_attrs)
    first: int = next(generations)
    return first < int(of[attribute])


class GaussianProcess(OptunaLearner):
    """Gaussian process with expected improvement: the most careful with few trials, the slowest. Needs the extra gp."""

    extra: ClassVar[str | None] = "gp"
    package: ClassVar[str | None] = "torch"

    best: ClassVar[int] = 50
    spread: ClassVar[int] = 200
    """A choice takes time with the third power of the trials that it is based on."""

    n_startup_trials: Startup = 10

    def look(self, trials: Trials) -> Sight:
        """The best, a spread over all, and those that run."""
        best = trials.best(max(self.best, self.n_startup_trials))
        evenly = spread(trials.next_number, self.spread)
        return Sight(trials.show({*best, *evenly, *trials.running(MOST_RUNNING)}))

    def check(self, space: SearchSpace) -> None:
        """Whole numbers must be few enough to be laid out."""
        for name, part in space.items():
            if isinstance(part, IntRange) and part.high - part.low >= MOST_WHOLE_NUMBERS:
                raise InvalidInput.at(
                    "name", f"gp searches at most {MOST_WHOLE_NUMBERS} whole numbers, {name} has more: choose tpe"
                )

    def default_batch_size(self, space: SearchSpace) -> int:
        """One: choosing takes longer than most descents, so a batch would save little."""
        return 1

    def build(self, space: Distributions, study_seed: int, trial_seed: int) -> BaseSampler:
        """Optuna's ``GPSampler``."""
        return GPSampler(n_startup_trials=self.n_startup_trials, seed=trial_seed, warn_independent_sampling=False)

    def view(self, trials: Sequence[FrozenTrial], directions: Sequence[str]) -> Sequence[FrozenTrial]:
        """Diverged runs clipped to a bad but ordinary value.

        Optuna standardises the values: one loss of 1e24 would make all others equal, an infinite one warns. The fence
        stands ten times as far from the best as the best quarter of the distinct values ends.
        """
        signs = [1.0 if direction == "minimize" else -1.0 for direction in directions]
        told = [trial.values for trial in trials if trial.values is not None]
        fences = [_fence([sign * values[place] for values in told]) for place, sign in enumerate(signs)]
        return [trial if trial.values is None else _fenced(trial, signs, fences) for trial in trials]


def _fence(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0
    best, quarter = np.quantile(np.unique(finite), [0, 0.25], method="higher").tolist()
    return float(min(best + 10 * (quarter - best), max(finite)))


def _fenced(trial: FrozenTrial, signs: Sequence[float], fences: Sequence[float]) -> FrozenTrial:
    shown = copy.copy(trial)
    shown.values = [
        sign * min(sign * value, fence) for value, sign, fence in zip(trial.values, signs, fences, strict=True)
    ]
    return shown
