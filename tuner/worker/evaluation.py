"""Leased trials as descents: which share a pass, what a pass has found so far, and how each trial ended.

Knows no database and no clock. The start x_0 and every mini-batch come from the definition's ``initial_seed``: what a
point gives belongs to the objective, and does not change with the sampler or its seed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tuner.descent import RULES, Descent, Row
from tuner.objectives import Objective
from tuner.service.report import NewPoints, Report
from tuner.service.tell import Ending
from tuner.trial import Lease

PASS_BYTES = 128 * 2**20
"""Memory that one pass may take for its curves and its parameters."""

_VALUE_BYTES = 8

_PARAMETER_ARRAYS = 8
"""Arrays of the parameters' shape that a descent holds at a time, a few more than Adam's."""


@dataclass(frozen=True)
class Pass:
    """Trials that descend together: one update rule, one mini-batch size."""

    update_rule: str
    batch_size: int | None
    leases: tuple[Lease, ...]

    def alone(self, leases: Iterable[Lease]) -> list["Pass"]:
        """Each of these trials by itself."""
        return [Pass(self.update_rule, self.batch_size, (lease,)) for lease in leases]


def passes(leases: Sequence[Lease], dimension: int) -> Iterator[Pass]:
    """Trials in as few passes as can be, each within `PASS_BYTES` unless one trial alone is beyond it."""
    for (rule, batch_size), group in groupby(sorted(leases, key=_shared), key=_shared):
        taken: list[Lease] = []
        size = 0
        for lease in group:
            added = (_steps(lease) + 1 + _PARAMETER_ARRAYS * dimension) * _VALUE_BYTES
            if taken and size + added > PASS_BYTES:
                yield Pass(rule, batch_size or None, tuple(taken))
                taken, size = [], 0
            taken.append(lease)
            size += added
        yield Pass(rule, batch_size or None, tuple(taken))


class Run:
    """A pass under way.

    Raises:
        TunerError: here and from `advance`: the objective failed, or refused what the trials ask of it.
    """

    def __init__(self, objective: Objective, initial_seed: int, trials: Pass) -> None:
        self._leases = dict(enumerate(trials.leases))
        self._told_to = dict.fromkeys(self._leases, -1)
        self._descent = Descent(
            objective,
            [Row.of(lease.parameters, RULES[trials.update_rule]) for lease in trials.leases],
            update_rule=trials.update_rule,
            batch_size=trials.batch_size,
            initial_seed=initial_seed,
            seed=initial_seed,
        )

    @property
    def open(self) -> list[Lease]:
        """The trials whose ending has not been collected."""
        return list(self._leases.values())

    def advance(self, steps: int) -> bool:
        """Run up to so many steps further; whether any trial is still running."""
        return self._descent.advance(steps) > 0

    def drop(self, numbers: Iterable[int]) -> None:
        """Run these trials no further, and say nothing more of them."""
        gone = set(numbers)
        for row in [row for row, lease in self._leases.items() if lease.number in gone]:
            self._descent.stop(row)
            del self._leases[row]

    def endings(self) -> list[Ending]:
        """The trials that have ended since the last call, each with the points that `news` has not brought."""
        running = set(self._descent.running)
        return [self._ending(row, self._leases.pop(row)) for row in sorted(self._leases.keys() - running)]

    def news(self) -> list[Report]:
        """The running trials with the points that have come since the last call."""
        return [Report(lease.number, lease.attempt, self._new_points(row)) for row, lease in self._leases.items()]

    def spent(self, lease: Lease) -> int:
        """Gradient evaluations that an open trial has taken so far."""
        row = next(row for row, known in self._leases.items() if known is lease)
        return self._descent.result(row).gradient_evaluations

    def _ending(self, row: int, lease: Lease) -> Ending:
        result = self._descent.result(row)
        values = {"loss": float(result.loss.values[-1])}
        if result.validation is not None:
            values["validation_loss"] = float(result.validation.values[-1])
        return Ending(
            lease.number,
            lease.attempt,
            "complete",
            values=values,
            steps_run=result.steps_run,
            gradient_evaluations=result.gradient_evaluations,
            outcome=result.outcome,
            curves=self._new_points(row),
        )

    def _new_points(self, row: int) -> list[NewPoints]:
        since = self._told_to[row] + 1
        loss = self._descent.loss_curve(row, since)
        validation = self._descent.validation_curve(row, since)
        if len(loss.steps):
            self._told_to[row] = int(loss.steps[-1])
        curves = (("loss", loss), ("validation_loss", validation))
        return [NewPoints(metric, curve.steps, curve.values) for metric, curve in curves if len(curve.steps)]


def _shared(lease: Lease) -> tuple[str, int]:
    """What the trials of a pass have in common; 0 is the full gradient."""
    parameters: dict[str, Any] = lease.parameters
    return str(parameters.get("update_rule", "gradient_descent")), int(parameters.get("batch_size", 0))


def _steps(lease: Lease) -> int:
    steps: Any = lease.parameters["steps"]
    return int(steps)
