"""Carrying a plan out in memory: its passes as batched descents, exactly within what the search may spend.

All rates begin at the same x_0, so its loss and gradient are evaluated once, for all of them.
"""

import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tuner.analysis.stability import limit, measure
from tuner.descent import RULES, Checkpoint, Descent, Method, Row
from tuner.objectives import Objective, evaluate, start
from tuner.search.trajectory.requests import Arm, Limit, Pass, Plan, Probe, Run, Task, Trajectory
from tuner.trial import Outcome, ParameterValue

MOST_PROBES = 30
"""Gradient evaluations that a probe may take."""

TOLERANCE = 0.1
"""Relative error of the curvature at which a probe ends: the edge is looked for from there anyway."""


@dataclass(frozen=True)
class Progress:
    """What was evaluated together: R rows in lockstep, or, without rows, a probe or the start.

    evaluations: gradient evaluations that it took.
    since: per row, the step it went on from; the losses after it are new. Rows are in the order of importance.
    arm: what they have in common.
    """

    evaluations: int
    trajectories: Sequence[Trajectory] = ()
    since: Sequence[int] = ()
    arm: Arm = ()


def carry_out(
    plan: Plan,
    task: Task,
    objective: Objective,
    *,
    initial_seed: int = 0,
    fixed: Mapping[str, ParameterValue] | None = None,
) -> Iterator[Progress]:
    """Answer a plan until it is over or its means are spent, by descents with the full gradient from one start.

    Args:
        plan, task: what to carry out, and what for.
        objective, initial_seed: where: the start is that of the seed.
        fixed: what all descents have in common beside their arms, as a search space has it (``update_rule``, …).

    Raises:
        ValueError: the plan asks for what cannot be: a rate or a step outside the task's range, a rate twice in a
            pass, or one that it was done with.
        InvalidInput: an arm is no way to descend.
        ObjectiveFailed: the objective raised or answered wrong shapes.
    """
    search = _Search(task, objective, initial_seed, fixed or {})
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
            answer, progress = search.probe(request.arm)
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


@dataclass
class _Known:
    """An arm: its method, its trajectories so far, and the checkpoints of those that may go on."""

    method: Method
    trajectories: dict[float, Trajectory] = field(default_factory=dict)
    checkpoints: dict[float, Checkpoint] = field(default_factory=dict)

    def steps(self, run: Run) -> int:
        """How far its rate has been followed."""
        known = self.trajectories.get(run.learning_rate)
        return known.steps if known else 0

    def can_go_on(self, rate: float) -> bool:
        """Whether it has not left the finite numbers."""
        known = self.trajectories.get(rate)
        return known is None or bool(np.isfinite(known.losses[-1]))


class _Search:
    """Where a search stands: its arms, and what is spent."""

    def __init__(
        self, task: Task, objective: Objective, initial_seed: int, fixed: Mapping[str, ParameterValue]
    ) -> None:
        self._task = task
        self._objective = objective
        self._initial_seed = initial_seed
        self._fixed = fixed
        self._spent = 0
        self._curvature: float | None = None
        self._measured = False
        self._arms: dict[Arm, _Known] = {}

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

    def probe(self, arm: Arm) -> tuple[Limit, Progress]:
        """The limit of an arm, from the curvature at the start; it is measured where that says something of the arm."""
        method, evaluations = self._arm(arm).method, 0
        if not self._measured and limit(method.update_rule, method.settings, 1.0) is not None:
            curvature = measure(
                self._objective,
                self._origin.parameters,
                seed=self._task.seed,
                most_evaluations=min(MOST_PROBES, self.left),
                tolerance=TOLERANCE,
            )
            self._measured, self._curvature = True, curvature.largest
            evaluations = curvature.gradient_evaluations
            self._spent += evaluations
        rate = None if self._curvature is None else limit(method.update_rule, method.settings, self._curvature)
        return Limit(rate), Progress(evaluations)

    def descend(self, request: Pass) -> Generator[Progress, None, Sequence[Trajectory]]:
        """Carry out a pass: where means are short, again with what rows that ended early have left of them."""
        arm = self._arm(request.arm)
        self._check(request, arm)
        fresh = [run.learning_rate for run in request.runs if run.learning_rate not in arm.trajectories]
        begun = sum(len(known.trajectories) for known in self._arms.values())
        room = len(fresh) if self._task.trials is None else max(0, self._task.trials - begun)
        refused = set(fresh[room:])
        runs = [run for run in request.runs if run.learning_rate not in refused]
        ending = [run for run in runs if arm.can_go_on(run.learning_rate)]
        while ending and self.left:
            ends = shorten(ending, [arm.steps(run) for run in ending], self.left)
            going_on = [(run, end) for run, end in zip(ending, ends, strict=True) if end > arm.steps(run)]
            if not going_on:
                break
            ended, progress = self._follow(arm, going_on)
            yield replace(progress, arm=request.arm)
            ending = [run for run in ending if run.learning_rate not in ended and arm.steps(run) < run.steps]
        kept = {run.learning_rate for run in request.runs} | set(request.keep)
        arm.checkpoints = {rate: point for rate, point in arm.checkpoints.items() if rate in kept}
        return [arm.trajectories[run.learning_rate] for run in runs if run.learning_rate in arm.trajectories]

    def _arm(self, arm: Arm) -> _Known:
        if arm not in self._arms:
            self._arms[arm] = _Known(Method.of_trial({**self._fixed, **dict(arm)}))
        return self._arms[arm]

    def _follow(self, arm: _Known, runs: Sequence[tuple[Run, int]]) -> tuple[set[float], Progress]:
        """Follow rates of an arm to these steps; the rates whose descents ended sooner."""
        rates = [run.learning_rate for run, _ in runs]
        since = [arm.steps(run) for run, _ in runs]
        rule = RULES[arm.method.update_rule]
        origin = replace(self._origin, state={name: np.zeros_like(self._origin.parameters) for name in rule.state})
        descent = Descent(
            self._objective,
            [Row(run.learning_rate, end, arm.method.settings, run.ceiling) for run, end in runs],
            update_rule=rule.name,
            initial_seed=self._initial_seed,
            checkpoints=[arm.checkpoints.get(rate, origin) for rate in rates],
        )
        descent.advance()
        ended, evaluations = set(), 0
        for row, rate in enumerate(rates):
            result = descent.result(row)
            evaluations += result.gradient_evaluations
            known = arm.trajectories[rate].losses if rate in arm.trajectories else result.loss.values[:1]
            arm.trajectories[rate] = Trajectory(rate, np.concatenate([known, result.loss.values[1:]]))
            if result.outcome is not Outcome.RAN_ITS_STEPS:
                ended.add(rate)
            if result.checkpoint is not None:
                arm.checkpoints[rate] = result.checkpoint
            else:
                arm.checkpoints.pop(rate, None)
        self._spent += evaluations
        return ended, Progress(evaluations, [arm.trajectories[rate] for rate in rates], since)

    def _check(self, request: Pass, arm: _Known) -> None:
        rates = [run.learning_rate for run in request.runs]
        if len(set(rates)) < len(rates):
            raise ValueError(f"a rate twice in one pass: {rates}")
        for run, rate in zip(request.runs, rates, strict=True):
            if not self._task.low <= rate <= self._task.high or run.steps > self._task.most_steps:
                raise ValueError(f"outside the search space: {run}")
            if rate in arm.trajectories and rate not in arm.checkpoints and arm.can_go_on(rate):
                raise ValueError(f"the plan was done with this rate: {run}")
