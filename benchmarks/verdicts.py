"""Verdicts beside the truth: how many labelled curves are judged right, and what takes a judgement how long.

``python -m benchmarks.verdicts`` prints the confusion table. The curves, and where their names come from, are those of
`tests.analysis.labelled_curves`; by the half that was held out no constant of the judge was set.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from benchmarks.table import Measurement, seconds
from tests.analysis.labelled_curves import Half, Labelled, everything
from tuner.analysis.verdict import Name, Verdict, judge

HALVES: tuple[Half, ...] = ("worked on", "held out")

GOAL = 0.97


def measure() -> list[Measurement]:
    """Both halves, and the time of a judgement."""
    rows = []
    for half in HALVES:
        labelled = list(everything(half))
        counted = Counter((one.name, judged(one).name) for one in labelled)
        print(confusion(half, counted), file=sys.stderr)
        right = sum(counted[name, name] for name in Name)
        false = sum(one.converging and judged(one).name is Name.DIVERGED for one in labelled)
        rows.append(
            Measurement(
                f"verdicts on {len(labelled)} labelled curves, {half}",
                f"{right} right; converging runs called diverged: {false}",
                "",
                f"{right / len(labelled):.1%}",
                f">= {GOAL:.0%}, none",
                right >= GOAL * len(labelled) and not false,
            )
        )
    return rows + [_time(points) for points in (200, 5000)]


def judged(curve: Labelled) -> Verdict:
    """The verdict on a labelled curve, by what the service would know of it."""
    return judge(
        curve.losses,
        steps=curve.steps,
        validation=curve.validation,
        learning_rate=curve.learning_rate,
        stochastic=curve.stochastic,
    )


def confusion(half: Half, counted: Mapping[tuple[Name, Name], int]) -> str:
    """Truth by verdict, as a markdown table."""
    lines = [
        f"| {half}: truth, down; verdict, across | {' | '.join(Name)} |",
        f"|---|{'---|' * len(Name)}",
        *(f"| {truth} | {_cells(counted.get((truth, said), 0) for said in Name)} |" for truth in Name),
    ]
    return "\n".join([*lines, ""])


def _cells(counts: Iterable[int]) -> str:
    return " | ".join(str(count or "") for count in counts)


def _time(points: int) -> Measurement:
    rng = np.random.default_rng(0)
    losses = np.exp(-np.arange(points) / 300) + 0.01 * rng.normal(size=points)
    times = []
    for _ in range(7):
        began = time.thread_time()
        for _ in range(200):
            judge(losses, learning_rate=0.1)
        times.append((time.thread_time() - began) / 200)
    return Measurement(f"a verdict on {points:,} noisy points", seconds(min(times)), "", "", "", None)


def main() -> None:
    """Print both tables."""
    for half in HALVES:
        print(confusion(half, Counter((one.name, judged(one).name) for one in everything(half))))


if __name__ == "__main__":
    main()
