"""Carrying a plan out in memory: its passes as batched descents, exactly within what the search may spend.

All rates begin at the same x_0, so its loss and gradient are evaluated once, for all of them.
"""

import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tuner.analysis.stability import limit, measure
from tuner.descent import Checkpoint, Descent, Row
from tuner.objectives import Objective, evaluate, start
from tuner.search.trajectory.requests import Limit, Pass, Plan, Probe, Run, Task, Trajectory
from tuner.trial import Outcome

MOST_PROBES = 30
"""Gradient evaluations that a probe may take."""

TOLERANCE = 0.1
"""Relative error of the curvature at which a probe ends: the edge is looked for from there anyway."""


@dataclass(frozen=True)
class Progress:
    """What was evaluated together: R rows in lockstep, or, without rows, a probe or the start.

    evaluations: gradient evaluations that it took.
    since: per row, the step it went on from; the losses after it are new. Rows are in the order of importance.
    """

    evaluations: int
    trajectories: Sequence[Trajectory] = ()
    since: Sequence[int] = ()


def carry_out(plan: Plan, task: Task, objective: Objective, *, initial_seed: int = 0) -> Iterator[Progress]:
    """Answer a plan until it is over or its means are spent, by plain gradient descent from the start of that seed.

    Raises:
        ValueError: the plan asks for what cannot be: a rate or a step outside the task's range, a rate twice in a
            pass, or one that it was done with.
        ObjectiveFailed: the objective raised or answered wrong shapes.
    """
    search = _Search(task, objective, initial_seed)
    if not search.left:
        return
    yield search.begin()
    answer: Sequence[Trajectory] | Limit | None = None
    while search.left:
        try:
            request = next(plan) if answer is None else plan.send(answer)
        except StopIteration:
            return
        if isinstance(request, Probe):
            answer, progress = search.probe()
            yield progress
        else:
            answer = yield from search.descend(request)


def shorten(runs: Sequence[Run], since: Sequence[int], evaluations: int) -> list[int]:
    """To what step each run gets for so many evaluations, one a step: all in lockstep, the first ones to the last.

    Runs stand at the steps ``since``; as in a `Descent`, one that stands at a later step waits for the others to
    get there.
    """
    first, last = np.array(since), np.array([max(run.steps, step) for run, step in zip(runs, since, strict=True)])

    def cost(step: int) -> int:
        return int(np.maximum(np.minimum(last, step) - first, 0).sum())

    low, high = 0, int(last.max(initial=0))
    if cost(high) <= evaluations:
        return [int(step) for step in last]
    while high - low > 1:  # cost(low) <= evaluations < cost(high)
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle) <= evaluations else (low, middle)
    ends = np.maximum(np.minimum(last, low), first)
    going_on = np.flatnonzero((first <= low) & (last > low))
    ends[going_on[: evaluations - cost(low)]] += 1
    return [int(step) for step in ends]


class _Search:
    """Where a search stands: its trajectories, the checkpoints of those that may go on, what is spent."""

    def __init__(self, task: Task, objective: Objective, initial_seed: int) -> None:
        self._task = task
        self._objective = objective
        self._initial_seed = initial_seed
        self._spent = 0
        self._trajectories: dict[float, Trajectory] = {}
        self._checkpoints: dict[float, Checkpoint] = {}

    @property
    def left(self) -> int:
        """Gradient evaluations that may still be spent."""
        return sys.maxsize if self._task.evaluations is None else self._task.evaluations - self._spent

    def begin(self) -> Progress:
        """Evaluate the start."""
        parameters = start(self._objective, self._initial_seed)
        with np.errstate(all="ignore"):
            values, gradients = evaluate(self._objective, parameters[None])
        self._origin = Checkpoint(0, parameters, {}, float(values[0]), gradients[0])
        self._spent = 1
        return Progress(1)

    def probe(self) -> tuple[Limit, Progress]:
        """Measure the curvature at the start."""
        curvature = measure(
            self._objective,
            self._origin.parameters,
            seed=self._task.seed,
            most_evaluations=min(MOST_PROBES, self.left),
            tolerance=TOLERANCE,
        )
        self._spent += curvature.gradient_evaluations
        rate = None if curvature.largest is None else limit("gradient_descent", {}, curvature.largest)
        return Limit(rate), Progress(curvature.gradient_evaluations)

    def descend(self, request: Pass) -> Generator[Progress, None, Sequence[Trajectory]]:
        """Carry out a pass: where means are short, again with what rows that ended early have left of them."""
        self._check(request)
        fresh = [run.learning_rate for run in request.runs if run.learning_rate not in self._trajectories]
        room = len(fresh) if self._task.trials is None else max(0, self._task.trials - len(self._trajectories))
        refused = set(fresh[room:])
        runs = [run for run in request.runs if run.learning_rate not in refused]
        ending = [run for run in runs if self._can_go_on(run.learning_rate)]
        while ending and self.left:
            ends = shorten(ending, [self._steps(run) for run in ending], self.left)
            going_on = [(run, end) for run, end in zip(ending, ends, strict=True) if end > self._steps(run)]
            if not going_on:
                break
            ended, progress = self._follow(going_on)
            yield progress
            ending = [run for run in ending if run.learning_rate not in ended and self._steps(run) < run.steps]
        kept = {run.learning_rate for run in request.runs} | set(request.keep)
        self._checkpoints = {rate: point for rate, point in self._checkpoints.items() if rate in kept}
        return [self._trajectories[run.learning_rate] for run in runs if run.learning_rate in self._trajectories]

    def _follow(self, runs: Sequence[tuple[Run, int]]) -> tuple[set[float], Progress]:
        """Follow rates to these steps; the rates whose descents ended sooner."""
        rates = [run.learning_rate for run, _ in runs]
        since = [self._steps(run) for run, _ in runs]
        descent = Descent(
            self._objective,
            [Row(run.learning_rate, end, ceiling=run.ceiling) for run, end in runs],
            initial_seed=self._initial_seed,
            checkpoints=[self._checkpoints.get(rate, self._origin) for rate in rates],
        )
        descent.advance()
        ended, evaluations = set(), 0
        for row, rate in enumerate(rates):
            result = descent.result(row)
            evaluations += result.gradient_evaluations
            known = self._trajectories[rate].losses if rate in self._trajectories else result.loss.values[:1]
            self._trajectories[rate] = Trajectory(rate, np.concatenate([known, result.loss.values[1:]]))
            if result.outcome is not Outcome.RAN_ITS_STEPS:
                ended.add(rate)
            if result.checkpoint is not None:
                self._checkpoints[rate] = result.checkpoint
            else:
                self._checkpoints.pop(rate, None)
        self._spent += evaluations
        return ended, Progress(evaluations, [self._trajectories[rate] for rate in rates], since)

    def _steps(self, run: Run) -> int:
        known = self._trajectories.get(run.learning_rate)
        return known.steps if known else 0

    def _can_go_on(self, rate: float) -> bool:
        """Whether it has not left the finite numbers."""
        known = self._trajectories.get(rate)
        return known is None or bool(np.isfinite(known.losses[-1]))

    def _check(self, request: Pass) -> None:
        rates = [run.learning_rate for run in request.runs]
        if len(set(rates)) < len(rates):
            raise ValueError(f"a rate twice in one pass: {rates}")
        for run, rate in zip(request.runs, rates, strict=True):
            if not self._task.low <= rate <= self._task.high or run.steps > self._task.most_steps:
                raise ValueError(f"outside the search space: {run}")
            if rate in self._trajectories and rate not in self._checkpoints and self._can_go_on(rate):
                raise ValueError(f"the plan was done with this rate: {run}")
