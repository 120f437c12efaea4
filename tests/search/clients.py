"""Clients in memory that train the rates that are proposed to them: ask, report, stop where told to, tell."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tuner.search.trajectory import Task, Trained, hopeless, propose

Losses = Callable[[float, int], NDArray[np.float64]]
"""From a rate and a trial's number: the losses (n + 1,) at steps 0 … n that the client would see."""


@dataclass
class Training:
    """A trial under way: all that its client will see, and how far it is."""

    trial: Trained
    losses: NDArray[np.float64]
    step: int = -1


def simulate(
    task: Task,
    losses: Losses,
    *,
    trials: int,
    clients: int = 1,
    every: int = 8,
    silent: bool = False,
    told: Callable[[float, int], float] | None = None,
) -> tuple[list[Trained], dict[int, str]]:
    """A whole study: its trials, and why some were stopped, by number.

    Args:
        task: what is searched.
        losses: what clients see.
        trials: how many are run.
        clients: how many train at once; they make ``every`` steps in turns, and report.
        every: steps from one report to the next.
        silent: whether clients report nothing, and only tell.
        told: what they tell of a rate after so many steps; None: the last loss that they saw.
    """
    finished: dict[int, Trained] = {}
    training: list[Training] = []
    reasons: dict[int, str] = {}
    while len(finished) < trials:
        wanted = min(clients, trials - len(finished)) - len(training)
        if wanted > 0:
            known = [*finished.values(), *(one.trial for one in training)]
            for rate, steps in propose(task, known, wanted):
                number = len(finished) + len(training)
                training.append(Training(Trained(number, rate, steps, running=True), losses(rate, number)))
        for one in list(training):
            last = min(one.trial.steps, len(one.losses) - 1)
            one.step = min(one.step + every, last)
            seen = one.losses[: one.step + 1]
            if not silent:
                one.trial = replace(one.trial, seen=(np.arange(len(seen)), seen))
            known = [*finished.values(), *(other.trial for other in training)]
            reason = hopeless(task, known, one.trial.number) if one.step < last and not silent else None
            if reason is None and one.step < last:
                continue
            if reason is None:
                value = float(seen[-1]) if told is None else told(one.trial.learning_rate, one.step)
                one.trial = replace(one.trial, told=(one.step, value))
            else:
                reasons[one.trial.number] = reason
            finished[one.trial.number] = replace(one.trial, running=False)
            training.remove(one)
    return [finished[number] for number in sorted(finished)], reasons


def quadratic(rate: float, steps: int, curvatures: tuple[float, ...] = (0.1, 1.0, 2.0)) -> NDArray[np.float64]:
    """Gradient descent on half the sum of c x², from ones: x_n = (1 - rate c)^n; up to where it is not finite."""
    with np.errstate(over="ignore"):
        losses = sum(0.5 * c * (1 - rate * c) ** (2.0 * np.arange(steps + 1)) for c in curvatures)
    values = np.asarray(losses, dtype=np.float64)
    ended = np.flatnonzero(~np.isfinite(values))
    return values[: ended[0] + 1] if len(ended) else values
