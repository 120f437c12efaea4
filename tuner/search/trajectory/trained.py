"""Rates that clients train, as the search sees them: what they reported, made comparable step by step.

A client reports what it likes: every step or some of them, with or without the start, the loss of a mini-batch, or
nothing but a result. Here each trial becomes losses on one grid of steps, smoothed where it is noisy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tuner.search.trajectory.followed import Followed, Losses
from tuner.search.trajectory.standing import Standing

GRID = 2000
"""Places of the grid at most: where more steps are searched, each place stands for several."""

MEAN_OF = 10
"""Reported values over which noise is averaged, at least."""

SMOOTH = 0.1
"""The share of a curve's movement that goes up from which on it is smoothed."""

SLACK = 2.0
"""How many standard deviations a smoothed loss may be off."""

_TO_SIGMA = 1.4826
"""The median absolute deviation of a normal variable times this is its standard deviation."""


@dataclass(frozen=True)
class Trained:
    """A trial that a client trains, or has trained.

    steps: how many it was to make. running: whether it is still under way, or waits to be begun anew.
    seen: the goal's metric, shapes (n,) and (n,), at steps that ascend; smaller is better, whatever the goal.
    told: the step and the value of its result; None where there is none. failed: whether it ended without any.
    """

    number: int
    learning_rate: float
    steps: int
    running: bool = False
    failed: bool = False
    seen: tuple[NDArray[np.int64], NDArray[np.float64]] = field(
        default_factory=lambda: (np.empty(0, dtype=np.int64), np.empty(0))
    )
    told: tuple[int, float] | None = None

    @property
    def points(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """What it is judged by: its curve; its result where it reported none, or where only that is not finite."""
        steps, values = self.seen
        if self.told is None:
            return self.seen
        step, value = self.told
        if not len(steps) or (not math.isfinite(value) and np.isfinite(values[-1])):
            before = steps < step
            return np.append(steps[before], step), np.append(values[before], value)
        return self.seen

    def reached(self, target: float) -> int | None:
        """The first step at which it is known to have been as low; None where it was not."""
        steps, values = self.points
        there = np.flatnonzero(values <= target)
        return int(steps[there[0]]) if len(there) else None

    @property
    def gone(self) -> int:
        """The last step that is known of it; -1 where none is."""
        steps, _ = self.points
        return int(steps[-1]) if len(steps) else -1


@dataclass(frozen=True)
class Known:
    """All that is known of a rate: its trials together.

    asked: the most steps that a trial of it was to make. lengths: those of each. told: of the longest one with a result
    its steps and its value. slack: how much lower than it was seen its loss may be, for noise. has_curve: whether more
    is known than a result.
    """

    learning_rate: float
    asked: int
    lengths: frozenset[int]
    running: bool
    told: tuple[int, float] | None
    slack: float
    has_curve: bool


class Field:
    """The rates of a study side by side.

    standing: those of which a loss is known, on the grid. known: every rate. unit: steps from one place of the grid to
    the next.

    Of several trials of one rate the one that is known furthest counts, or that of ``number``.
    """

    def __init__(self, trained: Sequence[Trained], most_steps: int, *, number: int | None = None) -> None:
        self.unit = max(1, math.ceil(most_steps / GRID))
        self.furthest = max(1, most_steps // self.unit)
        self.standing = Standing()
        self.known: dict[float, Known] = {}
        start = _start(trained)
        curves = {}
        for one in _representing(trained, number):
            if one.gone >= 1:
                curves[one.learning_rate] = _on_grid(one, start, self.unit, self.furthest)
        for rate, (losses, _) in curves.items():
            self.standing.note(_followed(rate, losses, math.inf))
        ceiling = self.standing.ceiling
        for rate, (losses, slack) in curves.items():
            self.standing.note(_followed(rate, losses, ceiling + slack))
        for one in trained:
            self._know(one, curves.get(one.learning_rate, (None, 0.0))[1])

    def begin(self, rate: float, steps: int) -> None:
        """A trial is given out: it runs, and nothing of it is known yet."""
        self._know(Trained(-1, rate, steps, running=True), self.known[rate].slack if rate in self.known else 0.0)

    def _know(self, one: Trained, slack: float) -> None:
        before = self.known.get(one.learning_rate)
        results = [] if before is None or before.told is None else [before.told]
        if one.told is not None and not one.failed:
            results.append((one.steps, one.told[1]))
        self.known[one.learning_rate] = Known(
            one.learning_rate,
            max(one.steps, 0 if before is None else before.asked),
            frozenset({one.steps}) | (frozenset() if before is None else before.lengths),
            running=one.running or (before is not None and before.running),
            told=max(results, key=lambda result: result[0], default=None),
            slack=slack,
            has_curve=len(one.seen[0]) > 1 or (before is not None and before.has_curve),
        )


def _representing(trained: Sequence[Trained], number: int | None) -> list[Trained]:
    """Of each rate the trial of that number, or the one that is known furthest, the latest of equal ones."""
    found: dict[float, Trained] = {}
    for one in sorted(trained, key=lambda one: (one.number == number, one.gone)):
        found[one.learning_rate] = one
    return list(found.values())


def _start(trained: Sequence[Trained]) -> float:
    """The loss at step 0: as it was reported, or that of whoever has moved least from there."""
    first = [(int(one.points[0][0]), one.learning_rate, float(one.points[1][0])) for one in trained if one.gone >= 0]
    finite = [one for one in first if math.isfinite(one[2])]
    at_start = [value for step, _, value in finite if step == 0]
    if at_start:
        return float(np.median(at_start))
    return min(finite, key=lambda one: one[0] * one[1], default=(0, 0.0, 0.0))[2]


def _on_grid(one: Trained, start: float, unit: int, most: int) -> tuple[Losses, float]:
    """Losses at steps 0, unit, 2 unit, …, shape (n + 1,), infinite from where it left the finite numbers; its slack.

    n is at most ``most``: a client may report what it likes, beyond its steps, too.
    """
    steps, values = one.points
    finite = np.isfinite(values)
    ended = None if finite.all() else int(steps[np.argmin(finite)])
    kept = steps < (np.inf if ended is None else ended)
    steps, values = steps[kept].astype(np.float64), values[kept]
    smoothed, slack = _smoothed(values)
    if not len(steps) or steps[0] > 0:
        steps, smoothed = np.append(0.0, steps), np.append(start, smoothed)
    places = min(max(1, one.gone // unit), most)
    losses = np.interp(np.arange(places + 1) * unit, steps, smoothed)
    if ended is not None:
        losses[max(1, min(places, math.ceil(ended / unit))) :] = np.inf
    return losses, slack


def _smoothed(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """A curve (n,) without its noise, as a mean of the last values up to each, and how far the mean may be off."""
    with np.errstate(over="ignore"):
        moves = np.diff(values)
        total = float(np.abs(moves).sum())
    if len(values) < 3 or not 0 < total < math.inf or float(moves[moves > 0].sum()) <= SMOOTH * total:
        return values, 0.0
    with np.errstate(over="ignore"):
        means = np.cumsum(values) / np.arange(1, len(values) + 1)
        first, window = MEAN_OF, MEAN_OF
        while first < len(values):
            # A tenth of what is behind: the longer the curve, the less a mean over so many lags.
            last = min(len(values), first + 10 * window)
            means[first:last] = sliding_window_view(values[first - window + 1 : last], window).mean(axis=1)
            first, window = last, min(2 * window, last)
        spread = _TO_SIGMA * float(np.median(np.abs(moves - np.median(moves)))) / math.sqrt(2)
    return means, SLACK * spread / math.sqrt(min(MEAN_OF, len(values)))


def _followed(rate: float, losses: Losses, ceiling: float) -> Followed:
    above = ~(losses[1:] <= ceiling) if math.isfinite(ceiling) else ~np.isfinite(losses[1:])
    exploded = bool(above.any())
    if exploded:
        losses = losses[: int(np.argmax(above)) + 2]
    return Followed(rate, losses, fewest_steps=0, exploded=exploded)
