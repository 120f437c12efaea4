"""Draws the picture of ``docs/trajectory-search.md``: one search, as the plan is carried out in memory.

python -m docs.pictures.trajectories
"""

import math
from itertools import pairwise

from docs.pictures.goals import BOTTOM, HEIGHT, INKS, LEFT, RIGHT, TOP, WIDTH, Axis, Picture
from tuner.objectives import create
from tuner.search.trajectory import Task, carry_out, plan

EVALUATIONS = 1_000
"""What the search may spend."""

LEADING, OTHERS = INKS[2], INKS[1]


def main() -> None:
    """Loss against what is spent: a rate that is continued goes on where it stood."""
    task = Task(low=1e-5, high=10.0, fewest_steps=1, most_steps=1000, evaluations=EVALUATIONS)
    spent = 0
    best = math.inf
    pieces: list[tuple[list[tuple[float, float]], str]] = []
    lows: list[tuple[float, float]] = []
    for progress in carry_out(plan(task), task, create("rosenbrock", {})):
        rows = len(progress.trajectories)
        reached = best
        for one, since in zip(progress.trajectories, progress.since, strict=True):
            points = [
                (float(spent + rows * place), min(float(loss), 1e3))
                for place, loss in enumerate(one.losses[since:])
                if math.isfinite(loss)
            ]
            low = min(loss for _, loss in points)
            pieces.append((points, LEADING if low < best else OTHERS))
            reached = min(reached, low)
        best = reached
        spent += progress.evaluations
        if math.isfinite(best):
            lows.append((float(spent), best))
    picture = Picture(
        Axis(0, EVALUATIONS, LEFT, WIDTH - RIGHT), Axis(1e-2, 1e3, HEIGHT - BOTTOM, TOP, logarithmic=True)
    )
    for points, ink in pieces:
        picture.line(points, ink)
    picture.line([point for pair in pairwise(lows) for point in _stair(*pair)], INKS[0], width=1)
    picture.label([0, 250, 500, 750, 1000], [1e-2, 1, 100], "gradient evaluations spent", "loss")
    picture.legend([(LEADING, "gets lowest"), (OTHERS, "other rates"), (INKS[0], "best so far")])
    picture.save("trajectories.svg")


def _stair(before: tuple[float, float], after: tuple[float, float]) -> list[tuple[float, float]]:
    return [before, (after[0], before[1]), after]


if __name__ == "__main__":
    main()
