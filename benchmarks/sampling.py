"""Our tpe beside Optuna's: the best loss after as many trials.

Three objectives, seeds 0, 1, …; per seed the best loss that each found, compared by their medians. *Theirs* is
``study.optimize`` with a ``TPESampler``, in memory, which is shown every earlier trial. The two draw different random
numbers, so of two equally good ones each is better in about half the seeds.

Short studies: *ours* chooses the default batch, all points of which are chosen before any of them is evaluated. Long
ones: both choose one point at a time, and ours is shown the part of the history that it looks at, as in the service;
it counts as no worse where a rank test does not tell the two apart in Optuna's favour. ``python -m benchmarks.sampling
SEEDS BATCH_SIZE …`` compares batch sizes over more seeds than the default needs.
"""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import mannwhitneyu

from benchmarks.table import Measurement
from tuner.definition import StudyDefinition
from tuner.descent import RULES, Descent, Row
from tuner.objectives import create
from tuner.search import look, resolve_sampler, suggest
from tuner.search.sight import Listed
from tuner.storage.frozen import distributions

_TRIALS = 60
_MANY_TRIALS = 2000
_SEEDS = 20
_SIGNIFICANT = 0.05
_LOWEST_RATE, _HIGHEST_RATE = 1e-4, 10.0
_HIGHEST_MOMENTUM = 0.999

Losses = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """An objective to search: its learning rate, 1 to ``most_steps`` steps, and heavy-ball momentum if it says so."""

    objective: str
    most_steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    momentum: bool = False

    def losses(self, points: Sequence[Mapping[str, Any]]) -> list[float]:
        """The loss that each point's descent ends with; infinite where it diverged."""
        rule = "heavy_ball" if self.momentum else "gradient_descent"
        rows = [
            Row(
                float(point["learning_rate"]), int(point["steps"]), {name: point[name] for name in RULES[rule].settings}
            )
            for point in points
        ]
        descent = Descent(create(self.objective, self.settings), rows, update_rule=rule)
        descent.advance()
        ends = [float(descent.loss_curve(row).values[-1]) for row in range(len(rows))]
        return [end if math.isfinite(end) else math.inf for end in ends]

    def definition(self, seed: int, batch_size: int | None = None) -> StudyDefinition:
        """The study, resolved."""
        definition = StudyDefinition.model_validate(
            {
                "name": "sampling",
                "search_space": {
                    "learning_rate": {"type": "float", "low": _LOWEST_RATE, "high": _HIGHEST_RATE, "scale": "log"},
                    "steps": {"type": "int", "low": 1, "high": self.most_steps},
                    **({"momentum": {"type": "float", "low": 0.0, "high": _HIGHEST_MOMENTUM}} if self.momentum else {}),
                },
                "sampler": {"name": "tpe", "seed": seed, "batch_size": batch_size},
            }
        )
        sampler = resolve_sampler(definition.sampler, definition.search_space, definition.goal)
        return definition.model_copy(update={"sampler": sampler})


# With 200 steps every search gets line_fit down to the last bits of float32.
_PROBLEMS = (
    Problem("line_fit", most_steps=20),
    Problem("quadratic", most_steps=200, settings={"dimension": 10}),
    Problem("rosenbrock", most_steps=200),
)


_LONG_PROBLEMS = (
    Problem("line_fit", most_steps=10, momentum=True),
    Problem("quadratic", most_steps=50, settings={"dimension": 10}, momentum=True),
    Problem("rosenbrock", most_steps=50, momentum=True),
)


def measure() -> list[Measurement]:
    """Each objective, with the default batch; then long studies."""
    return [_short(problem) for problem in _PROBLEMS] + [_long(problem) for problem in _LONG_PROBLEMS]


def _short(problem: Problem) -> Measurement:
    batch = problem.definition(0).sampler.batch_size
    assert batch is not None
    ours = np.array([best_of_ours(problem, seed, _TRIALS, batch) for seed in range(_SEEDS)])
    theirs = np.array([best_of_optuna(problem, seed, _TRIALS) for seed in range(_SEEDS)])
    return Measurement(
        f"median best loss of {_TRIALS} tpe trials over {_SEEDS} seeds, {problem.objective}: batches of {batch}",
        f"{np.median(ours):.4g}",
        f"{np.median(theirs):.4g} (one at a time)",
        f"better in {np.count_nonzero(ours < theirs)} of {_SEEDS}",
        "no worse",
        bool(np.median(ours) <= np.median(theirs)),
    )


def _long(problem: Problem) -> Measurement:
    # A process for each core: no time is measured here.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        our_losses = pool.map(partial(best_of_ours, problem, trials=_MANY_TRIALS, batch_size=1), range(_SEEDS))
        their_losses = pool.map(partial(best_of_optuna, problem, trials=_MANY_TRIALS), range(_SEEDS))
        ours, theirs = np.array(list(our_losses)), np.array(list(their_losses))
    worse = mannwhitneyu(ours, theirs, alternative="greater").pvalue
    return Measurement(
        f"median best loss of {_MANY_TRIALS:,} tpe trials over {_SEEDS} seeds, {problem.objective} with momentum: "
        "a bounded view of the history",
        f"{np.median(ours):.4g}",
        f"{np.median(theirs):.4g} (the whole history)",
        f"better in {np.count_nonzero(ours < theirs)} of {_SEEDS}; p = {worse:.2f} that ours is worse",
        f"no worse: p >= {_SIGNIFICANT}",
        bool(worse >= _SIGNIFICANT),
    )


def best_of_ours(problem: Problem, seed: int, trials: int, batch_size: int) -> float:
    """The lowest loss that tpe finds as the service asks it, so many points at a time."""
    definition = problem.definition(seed, batch_size)
    space = distributions(definition.search_space)
    known = Listed([], {}, definition.goal.direction)
    lowest = math.inf
    for first in range(0, trials, batch_size):
        numbers = range(first, min(first + batch_size, trials))
        suggested = suggest(definition, look(definition, known), numbers)
        points = [suggestion.parameters for suggestion in suggested.trials]
        losses = problem.losses(points)
        lowest = min(lowest, *losses)
        for number, point, loss in zip(numbers, points, losses, strict=True):
            known.add(
                FrozenTrial(
                    number=number,
                    trial_id=number,
                    state=TrialState.COMPLETE,
                    value=loss,
                    datetime_start=None,
                    datetime_complete=None,
                    params=dict(point),
                    distributions=space,
                    user_attrs={},
                    system_attrs={},
                    intermediate_values={},
                )
            )
    return lowest


def best_of_optuna(problem: Problem, seed: int, trials: int) -> float:
    """The lowest loss that Optuna's tpe finds, one trial at a time."""

    def objective(trial: optuna.Trial) -> float:
        point: dict[str, Any] = {
            "learning_rate": trial.suggest_float("learning_rate", _LOWEST_RATE, _HIGHEST_RATE, log=True),
            "steps": trial.suggest_int("steps", 1, problem.most_steps),
        }
        if problem.momentum:
            point["momentum"] = trial.suggest_float("momentum", 0.0, _HIGHEST_MOMENTUM)
        return problem.losses([point])[0]

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True))
    study.optimize(objective, n_trials=trials)
    return study.best_value


def compare(seeds: int, batch_sizes: Sequence[int]) -> None:
    """Print quartiles of the best losses, Optuna's and ours by batch size."""
    for problem in _PROBLEMS:
        began = time.perf_counter()
        theirs = np.array([best_of_optuna(problem, seed, _TRIALS) for seed in range(seeds)])
        ours = {
            size: np.array([best_of_ours(problem, seed, _TRIALS, size) for seed in range(seeds)])
            for size in batch_sizes
        }
        lowest = min(theirs.min(), *(losses.min() for losses in ours.values()))
        print(f"{problem.objective}: best loss of {_TRIALS} trials, less {lowest:.6g}; quartiles over {seeds} seeds")
        print(f"  one at a time, Optuna   {_quartiles(theirs - lowest)}")
        for size, losses in ours.items():
            better, equal = np.count_nonzero(losses < theirs), np.count_nonzero(losses == theirs)
            print(
                f"  batches of {size:<3}          {_quartiles(losses - lowest)}  better in {better}, equal in {equal}"
            )
        print(f"  ({time.perf_counter() - began:.0f} s)", flush=True)


def _quartiles(losses: Losses) -> str:
    return "  ".join(f"{value:<9.4g}" for value in np.quantile(losses, [0.25, 0.5, 0.75]))


if __name__ == "__main__":
    compare(int(sys.argv[1]), [int(size) for size in sys.argv[2:]])
