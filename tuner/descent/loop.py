"""The descent loop: a batch of rows, each with its own learning rate, settings and step count, as one array.

Step k is the state after k updates; a run of n steps takes n + 1 gradient evaluations, at x_0 … x_n, the last of which
gives the loss at step n. All rows of a batch stand at the same step: a row that continues from step k joins when the
others get there, and a row that has ended is evaluated no more.

What a row gives depends neither on its batch-mates nor on interruptions. In stochastic descent the mini-batch of
step k comes from (seed, k) alone; the curve holds the losses of mini-batches, but at the step the row was to run to,
whose one evaluation is the full loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tuner.descent.batch import Batch, Rows
from tuner.descent.curves import Curve, Recorder
from tuner.descent.row import Checkpoint, Row, RowResult
from tuner.descent.rules import find_rule
from tuner.errors import FieldError, InvalidInput
from tuner.objectives import (
    Array,
    Objective,
    Stochastic,
    Validated,
    evaluate,
    evaluate_sample,
    evaluate_validation,
    start,
)
from tuner.trial import Outcome


def measures_validation(step: int) -> bool:
    """Whether validation is due at a step, whatever the run's length: each step below 64, each second below 128, …

    A run of n steps has about 64 + 32·log₂(n/64) such points, and its last step besides: 300 at 10,000 steps.
    """
    return step % (1 << max(step.bit_length() - 6, 0)) == 0


@dataclass(frozen=True)
class _End:
    outcome: Outcome
    step: int
    checkpoint: Checkpoint | None


class Descent:
    """Runs rows on an objective, as far at a time as it is told; rows are known by their index.

    Args:
        objective: what to descend.
        rows: what to run.
        update_rule: a name in `RULES`.
        batch_size: the size of a mini-batch, or None for the full gradient.
        initial_seed: of the start x_0, which all rows share.
        seed: of the mini-batches.
        checkpoints: per row, where to go on from, or None to begin at x_0. They must come from the same objective,
            update rule, batch size and seeds.
        ceilings_on: what the rows' ceilings bound: "loss", or "validation" where `measures_validation`.

    Raises:
        InvalidInput: one of these cannot be; fields are named as here (``rows.3.learning_rate``).
        ObjectiveFailed: here and from every method that runs: the objective raised or answered wrong shapes.
    """

    def __init__(
        self,
        objective: Objective,
        rows: Sequence[Row],
        *,
        update_rule: str = "gradient_descent",
        batch_size: int | None = None,
        initial_seed: int = 0,
        seed: int = 0,
        checkpoints: Sequence[Checkpoint | None] | None = None,
        ceilings_on: Literal["loss", "validation"] = "loss",
    ) -> None:
        self._rule = find_rule(update_rule)
        if batch_size is not None and batch_size < 1:
            raise InvalidInput.at("batch_size", "must be at least 1")
        if batch_size is not None and not isinstance(objective, Stochastic):
            raise InvalidInput.at("batch_size", f"{type(objective).__name__} cannot be sampled by mini-batches")
        self.rows = tuple(rows)
        self._objective = objective
        self._sampled = objective if batch_size is not None and isinstance(objective, Stochastic) else None
        self._validated = objective if isinstance(objective, Validated) else None
        self._batch_size = batch_size
        self._seed = seed
        self._origin = start(objective, initial_seed)
        self._checkpoints = (None,) * len(self.rows) if checkpoints is None else tuple(checkpoints)
        self._check()

        self._first_steps = np.array([point.step if point else 0 for point in self._checkpoints], dtype=np.int64)
        self._last_steps = np.array([row.steps for row in self.rows], dtype=np.int64)
        ceilings = np.array([row.ceiling for row in self.rows], dtype=np.float64)
        self._ceilings = ceilings if np.isfinite(ceilings).any() else None
        self._ceilings_on = ceilings_on
        # Rows whose first evaluation their checkpoint holds. By mini-batches a row's last step needs the full loss.
        self._known = np.array([point is not None and point.gradient is not None for point in self._checkpoints], bool)
        if batch_size is not None:
            self._known &= self._first_steps < self._last_steps

        self._waiting: Rows = np.arange(len(self.rows))
        self._batch = self._begin(np.arange(0))
        self._next_end = -1
        self._step = -1
        self._ends: dict[int, _End] = {}
        self._losses = Recorder()
        self._validation: list[tuple[int, Rows, Array]] = []

    @property
    def running(self) -> tuple[int, ...]:
        """The rows that have not ended."""
        return tuple(row for row in range(len(self.rows)) if row not in self._ends)

    def advance(self, steps: int | None = None) -> int:
        """Run up to so many further steps, or to the end; how many rows have not ended.

        The first call also evaluates where the rows begin.
        """
        # Leaving the finite numbers is a result, also where an update rule does it.
        with np.errstate(all="ignore"):
            if self._step < 0 and len(self._waiting):
                self._advance_one()
            done = 0
            while (len(self._batch.rows) or len(self._waiting)) and (steps is None or done < steps):
                self._advance_one()
                done += 1
        return len(self._batch.rows) + len(self._waiting)

    def stop(self, row: int) -> None:
        """End a row where it stands; no effect on one that has ended."""
        if row in self._ends:
            return
        if row in self._waiting:
            self._ends[row] = _End(Outcome.STOPPED, self._last_recorded(row), self._checkpoints[row])
            self._waiting = self._waiting[self._waiting != row]
        else:
            with np.errstate(all="ignore"):
                self._end(self._batch.rows == row)

    def change_rate(self, row: int, learning_rate: float) -> None:
        """Let a row that is running go on at another learning rate, from its next update on."""
        self._batch.learning_rates[self._batch.rows == row] = learning_rate

    def loss_curve(self, row: int, since: int = 0) -> Curve:
        """The losses of a row at each step from ``since`` on, so far."""
        return self._losses.read(row, max(since, int(self._first_steps[row])), self._last_recorded(row))

    def validation_curve(self, row: int, since: int = 0) -> Curve:
        """Validation losses of a row from ``since`` on, so far: where `measures_validation`, and its last step."""
        steps, values = [], []
        for step, rows, measured in self._validation:
            place = int(np.searchsorted(rows, row))
            if step >= since and place < len(rows) and rows[place] == row:
                steps.append(step)
                values.append(measured[place])
        return Curve(np.array(steps, dtype=np.int64), np.array(values, dtype=np.float64))

    def result(self, row: int) -> RowResult:
        """What a row gave so far."""
        first, last = int(self._first_steps[row]), self._last_recorded(row)
        return RowResult(
            outcome=self._ends[row].outcome if row in self._ends else None,
            steps_run=max(first, last),
            gradient_evaluations=last - first + (0 if self._known[row] else 1) if last >= first else 0,
            loss=self.loss_curve(row),
            validation=self.validation_curve(row) if self._validated is not None else None,
            checkpoint=self._checkpoint(row),
        )

    def _advance_one(self) -> None:
        batch = self._batch
        if len(batch.rows):
            batch.parameters, batch.state = self._rule.update(batch, self._step)
            self._step += 1
            batch.values, batch.gradients = self._evaluate(batch)
        else:
            self._step = int(self._first_steps[self._waiting].min())
        if len(self._waiting):
            self._join()
        batch = self._batch
        self._losses.record(self._step, batch.rows, batch.values)
        if self._validated is not None and measures_validation(self._step):
            self._validate(batch)
        # The rows that may go on. Counting them is faster than asking for all(), and this is every step.
        within = np.isfinite(batch.values)
        if self._ceilings is not None:
            within &= ~self._above(batch, self._ceilings)
        if self._step == self._next_end or np.count_nonzero(within) < len(within):
            self._end(~within | (self._last_steps[batch.rows] == self._step))

    def _above(self, batch: Batch, ceilings: NDArray[np.float64]) -> NDArray[np.bool_]:
        """The rows that are above their ceilings at this step, and did not begin at it."""
        values = batch.values
        if self._ceilings_on == "validation":
            if self._validated is None or not measures_validation(self._step):
                return np.zeros(len(values), bool)
            values = self._validation[-1][2]
        return (values > ceilings[batch.rows]) & (self._first_steps[batch.rows] < self._step)

    def _join(self) -> None:
        """Let the rows in whose first step this is."""
        now = self._first_steps[self._waiting] == self._step
        if not now.any():
            return
        batch = self._begin(self._waiting[now])
        unknown = ~self._known[batch.rows]
        if unknown.any():
            batch.values[unknown], batch.gradients[unknown] = self._evaluate(batch.take(unknown))
        self._waiting = self._waiting[~now]
        self._losses.cut()
        self._go_on_with(self._batch.join(batch))

    def _begin(self, rows: Rows) -> Batch:
        """Rows as they stand at their first step."""
        points = [self._checkpoints[row] for row in rows]
        dtype = self._origin.dtype
        shape = (len(rows), len(self._origin))
        batch = Batch(
            rows,
            parameters=np.empty(shape, dtype),
            values=np.empty(len(rows)),
            gradients=np.empty(shape, dtype),
            learning_rates=np.array([[self.rows[row].learning_rate] for row in rows], dtype).reshape(-1, 1),
            settings={
                name: np.array([[self.rows[row].settings.get(name, setting.default)] for row in rows], dtype).reshape(
                    -1, 1
                )
                for name, setting in self._rule.settings.items()
            },
            state={name: np.zeros(shape, dtype) for name in self._rule.state},
        )
        for place, point in enumerate(points):
            batch.parameters[place] = self._origin if point is None else point.parameters
            if point is not None:
                for name, array in batch.state.items():
                    array[place] = point.state[name]
            if point is not None and point.value is not None and point.gradient is not None:
                batch.values[place], batch.gradients[place] = point.value, point.gradient
        return batch

    def _evaluate(self, batch: Batch) -> tuple[Array, Array]:
        """Losses and gradients of the batch at this step, one gradient evaluation a row."""
        if self._sampled is None or self._batch_size is None:
            return evaluate(self._objective, batch.parameters)
        sampled = self._last_steps[batch.rows] != self._step
        if not sampled.any():
            return evaluate(self._objective, batch.parameters)
        rng = np.random.default_rng((self._seed, self._step))
        if sampled.all():
            return evaluate_sample(self._sampled, batch.parameters, rng, self._batch_size)
        values, gradients = np.empty(len(batch.rows)), np.empty_like(batch.parameters)
        values[sampled], gradients[sampled] = evaluate_sample(
            self._sampled, batch.parameters[sampled], rng, self._batch_size
        )
        values[~sampled], gradients[~sampled] = evaluate(self._objective, batch.parameters[~sampled])
        return values, gradients

    def _validate(self, batch: Batch) -> None:
        if self._validated is not None:
            measured = evaluate_validation(self._validated, batch.parameters)
            self._validation.append((self._step, batch.rows, measured))

    def _end(self, ended: NDArray[np.bool_]) -> None:
        """End these rows of the batch at this step."""
        leaving = self._batch.take(ended)
        if not measures_validation(self._step):
            self._validate(leaving)
        for place, row in enumerate(leaving.rows.tolist()):
            if not np.isfinite(leaving.values[place]):
                self._ends[row] = _End(Outcome.LEFT_FINITE_NUMBERS, self._step, None)
            else:
                outcome = Outcome.RAN_ITS_STEPS if self._last_steps[row] == self._step else Outcome.STOPPED
                self._ends[row] = _End(outcome, self._step, self._snapshot(leaving, place))
        self._go_on_with(self._batch.take(~ended))

    def _go_on_with(self, batch: Batch) -> None:
        self._batch = batch
        self._next_end = int(self._last_steps[batch.rows].min(initial=np.iinfo(np.int64).max))

    def _last_recorded(self, row: int) -> int:
        """The last step with a loss; one before the first where there is none."""
        if row in self._ends:
            return self._ends[row].step
        return int(self._first_steps[row]) - 1 if row in self._waiting else self._step

    def _checkpoint(self, row: int) -> Checkpoint | None:
        if row in self._ends:
            return self._ends[row].checkpoint
        if row in self._waiting:
            return self._checkpoints[row]
        return self._snapshot(self._batch, int(np.searchsorted(self._batch.rows, row)))

    def _snapshot(self, batch: Batch, place: int) -> Checkpoint:
        goes_on = self._sampled is None or self._last_steps[batch.rows[place]] != self._step
        return Checkpoint(
            step=self._step,
            parameters=batch.parameters[place].copy(),
            state={name: array[place].copy() for name, array in batch.state.items()},
            value=float(batch.values[place]) if goes_on else None,
            gradient=batch.gradients[place].copy() if goes_on else None,
        )

    def _check(self) -> None:
        if len(self._checkpoints) != len(self.rows):
            raise InvalidInput.at("checkpoints", f"{len(self._checkpoints)} for {len(self.rows)} rows")
        problems = []
        for index, (row, point) in enumerate(zip(self.rows, self._checkpoints, strict=True)):
            problems += [FieldError(f"rows.{index}.{error.field}", error.message) for error in row.problems(self._rule)]
            if point is None:
                continue
            if point.step > row.steps:
                problems.append(FieldError(f"rows.{index}.steps", f"the checkpoint is at step {point.step} already"))
            if point.parameters.shape != self._origin.shape or set(point.state) != set(self._rule.state):
                problems.append(FieldError(f"checkpoints.{index}", "of another objective or update rule"))
        if problems:
            raise InvalidInput(*problems)
