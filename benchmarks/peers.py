"""Optuna's searches for a learning rate and a step count, in memory, one trial after another.

A trial is a descent of its ``steps`` at its ``learning_rate``, both chosen on a log scale, and is told the loss it ends
with, infinite where it left the finite numbers. What it really ran is what it costs: n + 1 gradient evaluations for n
steps, fewer where it diverged, and where Hyperband stopped it. Settings are Optuna's defaults. A Gaussian process would
fit nothing but losses of 1e300, so that alone is told no loss above the start's.
"""

import importlib.util
import math
import warnings
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.problems import HIGHEST_RATE, LOWEST_RATE, MOST_STEPS, Counted, Problem
from benchmarks.spending import Search, Spent
from tuner.descent import Descent, Row

_REDUCTION = 3


def available(peer: str) -> bool:
    """Whether what the peer needs is installed: PyTorch for the Gaussian process."""
    return peer != "gp" or importlib.util.find_spec("torch") is not None


Losses = NDArray[np.float64]


def _last(losses: Losses) -> float:
    return float(losses[-1]) if math.isfinite(losses[-1]) else math.inf


def _last_or_first(losses: Losses) -> float:
    return min(_last(losses), float(losses[0]))


def _searching(
    sampler: Callable[[int], BaseSampler],
    pruner: Callable[[], BasePruner] = NopPruner,
    told: Callable[[Losses], float] = _last,
) -> Search:
    def search(problem: Problem, objective: Counted, seed: int) -> Iterator[Spent]:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(sampler=sampler(seed), pruner=pruner(), study_name="search")
            while True:
                trial = study.ask()
                rate = trial.suggest_float("learning_rate", LOWEST_RATE, HIGHEST_RATE, log=True)
                steps = trial.suggest_int("steps", 1, MOST_STEPS, log=True)
                descent = Descent(objective, [Row(rate, steps)], initial_seed=problem.initial_seed)
                pruned = _run(descent, steps, trial)
                losses = descent.loss_curve(0).values
                yield Spent(np.ones(len(losses), np.int64), losses)
                if pruned:
                    study.tell(trial, state=TrialState.PRUNED)
                else:
                    study.tell(trial, told(losses))

    return search


def _run(descent: Descent, steps: int, trial: optuna.Trial) -> bool:
    """Run to the end, or to where the pruner stops it; whether it did.

    Every rung of Hyperband is a power of the reduction factor: there the trial reports, as reports between rungs
    decide nothing.
    """
    descent.advance(0)
    step, rung = 0, 1
    if isinstance(trial.study.pruner, HyperbandPruner):
        while rung < steps and descent.advance(rung - step):
            step = rung
            trial.report(float(descent.loss_curve(0, since=step).values[-1]), step)
            if trial.should_prune():
                descent.stop(0)
                return True
            rung *= _REDUCTION
    descent.advance()
    return False


PEERS: Mapping[str, Search] = {
    "tpe": _searching(lambda seed: TPESampler(seed=seed)),
    "gp": _searching(lambda seed: GPSampler(seed=seed, deterministic_objective=True), told=_last_or_first),
    "cmaes": _searching(lambda seed: CmaEsSampler(seed=seed)),
    "random": _searching(lambda seed: RandomSampler(seed=seed)),
    "hyperband": _searching(
        lambda seed: TPESampler(seed=seed),
        lambda: HyperbandPruner(min_resource=1, max_resource=MOST_STEPS, reduction_factor=_REDUCTION),
    ),
}
"""Optuna's samplers without a pruner, and its tpe with Hyperband."""
