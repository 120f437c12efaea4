"""What is known of the rates of a search: how far each was followed, what the plan is shown of it, what it is worth.

A plan is shown the goal's metric at every step, and it is judged by values that whoever runs (rate, steps) gets again.
With the full gradient and the training loss these are one curve. Two things are not:

- Validation is measured at some steps: between them the plan is shown the last value, and only measured ones count.
- By mini-batches the loss of a step is that of its mini-batch. The plan is shown a running mean of them; what counts is
  the full loss, which is known where a stretch ended. Ceilings bound no mini-batch: its noise would decide.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tuner.descent import Checkpoint, measures_validation
from tuner.goal import Goal
from tuner.search.trajectory import Arm, Run, Task, Trajectory
from tuner.service.search import Followed
from tuner.service.tell import Ending
from tuner.trial import Outcome

MEAN_OF = 10
"""Mini-batches over which losses are averaged, about."""

LOSS, VALIDATION = "loss", "validation_loss"


@dataclass
class Rate:
    """A rate of an arm, and all that is known of its descent.

    number, attempt: of its trial; None before there is one. open: whether the trial can be followed further. failed:
    whether the objective failed at it. lost_leases: how often the trial lost its worker.
    loss: at steps 0 … n, shape (n + 1,); empty before it began. validation: values at steps. checkpoint: where it can
    go on; None is the start. full: the steps at which ``loss`` is the full loss although it is sampled.
    position: where it stands for the plan, which has been shown the losses up to there; -1 before it was.
    """

    arm: Arm
    learning_rate: float
    number: int | None = None
    attempt: int = 0
    open: bool = False
    failed: bool = False
    lost_leases: int = 0
    loss: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    validation: tuple[NDArray[np.int64], NDArray[np.float64]] = field(
        default_factory=lambda: (np.empty(0, dtype=np.int64), np.empty(0))
    )
    checkpoint: Checkpoint | None = None
    full: set[int] = field(default_factory=set)
    position: int = -1

    @property
    def steps(self) -> int:
        """The last step whose loss is known; -1 where none is."""
        return len(self.loss) - 1

    @property
    def left_finite_numbers(self) -> bool:
        """Whether it ended by itself."""
        return self.steps >= 0 and not math.isfinite(self.loss[-1])

    @property
    def stands_at(self) -> int:
        """The step from which its descent can go on."""
        return 0 if self.checkpoint is None else self.checkpoint.step

    @property
    def opening(self) -> int:
        """Gradient evaluations that going on takes before the first step."""
        return int(self.checkpoint is None or self.checkpoint.gradient is None)

    def grow(self, steps: NDArray[np.int64], losses: NDArray[np.float64]) -> None:
        """Add losses; those of steps that are known are passed over, since they are the same."""
        self.loss = np.concatenate([self.loss, losses[steps > self.steps]])

    def grow_validation(self, steps: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Add validation losses; those of steps that are known are passed over."""
        known, present = self.validation
        new = steps > (known[-1] if len(known) else -1)
        self.validation = np.concatenate([known, steps[new]]), np.concatenate([present, values[new]])


def known_rates(followed: Sequence[Followed], further: Collection[str]) -> dict[tuple[Arm, float], Rate]:
    """The rates of a stored search, by arm and rate; ``further`` are the names of what makes an arm.

    Of two trials at the same one it is the later: it goes on from the earlier.
    """
    rates: dict[tuple[Arm, float], Rate] = {}
    for one in followed:
        arm = tuple((name, one.parameters[name]) for name in further)
        rate = Rate(
            arm,
            one.learning_rate,
            one.number,
            one.attempt,
            open=one.is_open,
            failed=one.state == "failed",
            lost_leases=one.lost_leases,
            checkpoint=None if one.checkpoint is None else Checkpoint.from_bytes(one.checkpoint),
        )
        if LOSS in one.curves:
            rate.loss = one.curves[LOSS].values
        if VALIDATION in one.curves:
            rate.validation = one.curves[VALIDATION].steps, one.curves[VALIDATION].values
        rates[arm, one.learning_rate] = rate
    return rates


@dataclass(frozen=True)
class Judge:
    """Sees rates as a study's goal does. ``sampled``: whether descents are by mini-batches."""

    goal: Goal
    task: Task
    sampled: bool

    @property
    def validates(self) -> bool:
        """Whether the goal is about the validation loss."""
        return self.goal.metric == VALIDATION

    def ceiling(self, run: Run) -> float:
        """Above which loss a descent is to be stopped."""
        return math.inf if self.sampled and not self.validates else run.ceiling

    def end_of(self, run: Run, rate: Rate) -> int | None:
        """The step at which what is known of a rate answers a run of it; None where it does not."""
        if rate.position >= run.steps:
            return rate.position
        last = min(rate.steps, run.steps)
        above = self._first_above(self.ceiling(run), rate, last)
        if above is not None:
            return above
        return last if last == run.steps or (rate.left_finite_numbers and last == rate.steps) else None

    def _first_above(self, ceiling: float, rate: Rate, last: int) -> int | None:
        """The first step after the rate's position, and up to the last, at which the metric is above the ceiling."""
        if not math.isfinite(ceiling):
            return None
        first = max(rate.position, 0) + 1
        if self.validates:
            steps, values = rate.validation
            due = np.array([measures_validation(step) for step in steps.tolist()], dtype=bool)
            found = steps[(steps >= first) & (steps <= last) & due & (values > ceiling)]
        else:
            found = first + np.flatnonzero(rate.loss[first : last + 1] > ceiling)
        return int(found[0]) if len(found) else None

    def trajectory(self, rate: Rate, last: int) -> Trajectory:
        """A rate as the plan is shown it, up to a step."""
        losses = rate.loss[: last + 1].copy()
        if self.validates:
            steps, values = rate.validation
            shown = values[np.searchsorted(steps, np.arange(last + 1), side="right") - 1]
            # A descent that left the finite numbers did so for the plan too.
            losses = np.where(np.isfinite(losses), shown, losses)
        elif self.sampled:
            losses = _running_mean(losses)
            for step in rate.full:
                if step <= last:
                    losses[step] = rate.loss[step]
        return Trajectory(rate.learning_rate, losses)

    def ending(self, rate: Rate) -> Ending:
        """The result of a rate: the step count at which it was best, of those that are searched, and its value there.

        One that was never finite at any of them has the value with which it left the finite numbers. One that was given
        up before the fewest steps has no result.
        """
        assert rate.number is not None  # noqa: S101 (it has been followed)
        steps, values = self._candidates(rate)
        if rate.left_finite_numbers:
            outcome = Outcome.LEFT_FINITE_NUMBERS
        else:
            outcome = Outcome.RAN_ITS_STEPS if rate.steps == self.task.most_steps else Outcome.STOPPED
        best = self._best(values)
        fewest = self.task.fewest_steps
        if best is None and not rate.left_finite_numbers:
            return Ending(
                rate.number,
                rate.attempt,
                "pruned",
                values=self._values_at(rate, rate.steps),
                reason=f"given up after {max(rate.steps, 0)} steps, where it cannot be the best",
                steps_run=max(rate.steps, 0),
                gradient_evaluations=0,
                outcome=outcome,
                steps=max(rate.steps, fewest),
            )
        step = rate.steps if best is None else int(steps[best])
        values_there = self._values_at(rate, step)
        if best is None:
            values_there.setdefault(self.goal.metric, float(rate.loss[-1]))
        return Ending(
            rate.number,
            rate.attempt,
            "complete",
            values=values_there,
            steps_run=rate.steps,
            gradient_evaluations=0,
            outcome=outcome,
            steps=max(step, fewest),
        )

    def _candidates(self, rate: Rate) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Steps that count, ascending, and the metric there."""
        if self.validates:
            steps, values = rate.validation
        elif self.sampled:
            steps = np.array(sorted(rate.full), dtype=np.int64)
            values = rate.loss[steps]
        else:
            steps, values = np.arange(len(rate.loss)), rate.loss
        count = steps >= self.task.fewest_steps
        return steps[count], values[count]

    def _best(self, values: NDArray[np.float64]) -> int | None:
        """The place of the best value: the first that reaches the target, or the lowest."""
        finite = np.where(np.isfinite(values), values, np.inf)
        if not np.isfinite(finite).any():
            return None
        if self.task.target is not None and (finite <= self.task.target).any():
            return int(np.argmax(finite <= self.task.target))
        return int(np.argmin(finite))

    def _values_at(self, rate: Rate, step: int) -> dict[str, float]:
        """The metrics that are known at a step, of all the data."""
        whole = step in rate.full or not self.sampled
        values = {LOSS: float(rate.loss[step])} if whole and 0 <= step <= rate.steps else {}
        measured: Mapping[int, float] = dict(zip(rate.validation[0].tolist(), rate.validation[1].tolist(), strict=True))
        if step in measured:
            values[VALIDATION] = measured[step]
        return values


def _running_mean(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """The exponentially weighted mean of the losses up to each step, without the bias of the first ones (n,)."""
    decay = 1 - 1 / MEAN_OF
    weighted = weight = 0.0
    means = np.empty(len(losses))
    for place, loss in enumerate(losses.tolist()):
        weighted, weight = decay * weighted + loss, decay * weight + 1
        means[place] = weighted / weight
    return means
