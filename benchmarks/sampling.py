"""Our tpe beside Optuna's: the best loss after as many trials, batches against one trial at a time.

Three objectives, the same search space, seeds 0, 1, …; per seed the best loss that each found, compared by their
medians. *Ours* is `suggest` with the default batch: points of a batch are chosen before any of them is evaluated.
*Theirs* is ``study.optimize`` with a ``TPESampler``, in memory, which knows every earlier loss. Both draw other random
numbers, so of two equals each would win half the time: the last column says in how many seeds ours was better, and
with ``python -m benchmarks.sampling SEEDS BATCH_SIZE …`` batch sizes can be compared over many seeds.
"""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from benchmarks.table import Measurement
from tuner.definition import SearchSpace, StudyDefinition
from tuner.descent import Descent, Row
from tuner.objectives import Objective, create
from tuner.search import History, resolve_sampler, suggest
from tuner.storage.frozen import distributions

_TRIALS = 60
_SEEDS = 20
_OBJECTIVES: dict[str, tuple[dict[str, Any], int]] = {
    # In more steps every search gets line_fit down to the last bits of float32.
    "line_fit": ({}, 20),
    "quadratic": ({"dimension": 10}, 200),
    "rosenbrock": ({}, 200),
}
"""Settings, and the most steps, of each."""

Losses = NDArray[np.float64]


def measure() -> list[Measurement]:
    """Each objective, the default batch."""
    batch = _definition(0, None).sampler.batch_size
    assert batch is not None
    return [_row(name, compare(make(), range(_SEEDS), [batch]), batch) for name, make in _OBJECTIVES.items()]


@dataclass(frozen=True)
class Comparison:
    """Best losses by seed, shape (seeds,): Optuna's, and ours by batch size."""

    theirs: Losses
    ours: dict[int, Losses]


def compare(objective: Objective, seeds: Sequence[int], batch_sizes: Sequence[int]) -> Comparison:
    """Run every study."""
    loss = _loss_of(objective)
    return Comparison(
        theirs=np.array([_theirs(loss, seed) for seed in seeds]),
        ours={size: np.array([_ours(loss, seed, size) for seed in seeds]) for size in batch_sizes},
    )


Loss = Callable[[Sequence[Row]], list[float]]


def _loss_of(objective: Objective) -> Loss:
    """The loss that each row ends with; infinite where it diverged. Rows that were run before are not run again."""

    def loss(rows: Sequence[Row]) -> list[float]:
        descent = Descent(objective, rows)
        descent.advance()
        ends = (float(descent.loss_curve(row).values[-1]) for row in range(len(rows)))
        return [end if math.isfinite(end) else math.inf for end in ends]

    return loss


def _definition(seed: int, batch_size: int | None) -> StudyDefinition:
    definition = StudyDefinition.model_validate(
        {
            "name": "sampling",
            "search_space": _SPACE,
            "sampler": {"name": "tpe", "seed": seed, "batch_size": batch_size},
        }
    )
    sampler = resolve_sampler(definition.sampler, definition.search_space)
    return definition.model_copy(update={"sampler": sampler})


def _ours(loss: Loss, seed: int, batch_size: int) -> float:
    definition = _definition(seed, batch_size)
    space: SearchSpace = definition.search_space
    trials: list[FrozenTrial] = []
    for first in range(0, _TRIALS, batch_size):
        numbers = range(first, min(first + batch_size, _TRIALS))
        points = [suggestion.parameters for suggestion in suggest(definition, History(trials, {}), numbers).trials]
        losses = loss([Row(float(point["learning_rate"]), int(point["steps"])) for point in points])  # type: ignore[arg-type]
        trials += [
            FrozenTrial(
                number=number,
                trial_id=number,
                state=TrialState.COMPLETE,
                value=value,
                datetime_start=None,
                datetime_complete=None,
                params=dict(point),
                distributions=distributions(space),
                user_attrs={},
                system_attrs={},
                intermediate_values={},
            )
            for number, point, value in zip(numbers, points, losses, strict=True)
        ]
    return min(trial.value for trial in trials if trial.value is not None)


def _theirs(loss: Loss, seed: int) -> float:
    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-4, 10.0, log=True)
        return loss([Row(rate, trial.suggest_int("steps", 1, 200))])[0]

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=_TRIALS)
    return study.best_value


def _row(name: str, found: Comparison, batch: int) -> Measurement:
    ours, theirs = found.ours[batch], found.theirs
    return Measurement(
        f"median best loss of {_TRIALS} tpe trials over {len(theirs)} seeds, {name}: batches of {batch}",
        f"{np.median(ours):.4g}",
        f"{np.median(theirs):.4g} (one at a time)",
        f"better in {np.count_nonzero(ours < theirs)} of {len(theirs)}",
        "no worse",
        bool(np.median(ours) <= np.median(theirs)),
    )


def _quartiles(losses: Losses) -> str:
    return "  ".join(f"{value:<9.4g}" for value in np.quantile(losses, [0.25, 0.5, 0.75]))


def main(seeds: int, batch_sizes: Sequence[int]) -> None:
    """Print the quartiles of the best losses, Optuna's and ours by batch size."""
    for name, make in _OBJECTIVES.items():
        began = time.perf_counter()
        found = compare(make(), range(seeds), batch_sizes)
        lowest = min(found.theirs.min(), *(losses.min() for losses in found.ours.values()))
        print(f"{name}: best loss of {_TRIALS} trials, less {lowest:.6g}; quartiles over {seeds} seeds")
        print(f"  one at a time, Optuna   {_quartiles(found.theirs - lowest)}")
        for size, losses in found.ours.items():
            better = np.count_nonzero(losses < found.theirs)
            print(f"  batches of {size:<3}          {_quartiles(losses - lowest)}   better in {better}", flush=True)
        print(f"  ({time.perf_counter() - began:.0f} s)")


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(size) for size in sys.argv[2:]])
