"""How often noise makes a pruner stop the best trial, by where its first rung is: the table of ``docs/pruners.md``.

Sixty made-up studies of 512 steps: thirty trials fall exponentially at rates of 0.001 to 0.01 a step, then comes one at
0.03. Each value is multiplied by log-normal noise. ``python -m benchmarks.pruning`` takes a few seconds.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tuner.definition import PrunerChoice
from tuner.search.pruners import Comparison, Progress, RungPruner, pruner_of

_STUDIES, _TRIALS, _STEPS = 60, 30, 512
_NOISE = (0.1, 0.25, 0.5)
_FIRST_RUNGS = (1, 5, 16, 51)


def run(pruner: RungPruner, curves: Sequence[NDArray[np.float64]]) -> list[int | None]:
    """Trials one after the other, each reported step by step: where each was stopped, if it was."""
    worth: defaultdict[int, list[float]] = defaultdict(list)
    stopped: list[int | None] = []
    for curve in curves:
        steps = np.arange(1, len(curve) + 1)
        whole = Progress(0, 1, after=-1, upto=len(curve), best=math.inf, best_step=None, steps=steps, values=curve)
        stopped.append(None)
        for rung, value in whole.crossed(pruner.rungs(0)).items():
            peers = np.array(worth[rung])
            worth[rung].append(value)
            if pruner.decide(Comparison(rung, value, peers, 1)) is not None:
                stopped[-1] = rung
                break
    return stopped


def main() -> None:
    """Print a table for the median and for asha."""
    steps = np.arange(1, _STEPS + 1)
    for name, setting in (("median", "n_warmup_steps"), ("asha", "min_resource")):
        print(f"\n| {name}: first rung | {' | '.join(f'noise {noise:.0%}' for noise in _NOISE)} | steps run |")
        for first in _FIRST_RUNGS:
            pruner = pruner_of(PrunerChoice(name=name, settings={setting: first}))
            assert isinstance(pruner, RungPruner)
            lost, shares = [], []
            for noise in _NOISE:
                best_lost, spent = 0, 0
                for seed in range(_STUDIES):
                    rng = np.random.default_rng(seed)
                    rates = [*rng.uniform(0.001, 0.01, _TRIALS), 0.03]
                    curves = [np.exp(-rate * steps) * rng.lognormal(0, noise, _STEPS) for rate in rates]
                    *others, best = run(pruner, curves)
                    best_lost += best is not None
                    spent += sum(_STEPS if end is None else end for end in others)
                lost.append(f"{best_lost} of {_STUDIES}")
                shares.append(spent / (_STUDIES * _TRIALS * _STEPS))
            print(f"| {first} | {' | '.join(lost)} | {min(shares):.0%} to {max(shares):.0%} |")


if __name__ == "__main__":
    main()
