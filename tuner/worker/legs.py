"""A leg of a search: a rate that is followed up to a step, and what of it has been written down.

A rate is followed leg by leg. What came of a leg is reported while it runs and when it ends; each point, and each
gradient evaluation, once.
"""

from dataclasses import dataclass

from tuner.descent import Descent
from tuner.service.report import NewPoints
from tuner.service.search import Progress
from tuner.worker.rates import LOSS, VALIDATION, Rate


@dataclass(frozen=True)
class Leg:
    """A rate, and the step up to which it is to be followed now."""

    rate: Rate
    last_step: int
    ceiling: float


class Reports:
    """What of a leg has been written down."""

    def __init__(self, leg: Leg, descent: Descent, row: int) -> None:
        self.leg = leg
        self.row = row
        self._descent = descent
        self._charged = 0
        self._validated_to = int(leg.rate.validation[0][-1]) if len(leg.rate.validation[0]) else -1

    @property
    def unreported(self) -> int:
        """Gradient evaluations since the last report."""
        return self._descent.result(self.row).gradient_evaluations - self._charged

    @property
    def ran_its_steps(self) -> bool:
        """Whether it got to the step up to which it was to be followed."""
        return self.leg.rate.steps >= self.leg.last_step

    def news(self, *, with_checkpoint: bool, goes_on: bool = False) -> Progress:
        """What has come since the last time; the rate knows it from now on."""
        rate = self.leg.rate
        known = rate.steps
        loss = self._descent.loss_curve(self.row, known + 1)
        validation = self._descent.validation_curve(self.row, self._validated_to + 1)
        rate.grow(loss.steps, loss.values)
        rate.lost_leases = 0 if rate.steps > known else rate.lost_leases
        rate.grow_validation(validation.steps, validation.values)
        if len(validation.steps):
            self._validated_to = int(validation.steps[-1])
        result = self._descent.result(self.row)
        evaluations, self._charged = result.gradient_evaluations - self._charged, result.gradient_evaluations
        checkpoint = None
        if with_checkpoint and result.checkpoint is not None:
            rate.checkpoint = result.checkpoint
            checkpoint = result.checkpoint.step, result.checkpoint.to_bytes()
        points = ((LOSS, loss), (VALIDATION, validation))
        return Progress(
            number_of(rate),
            rate.attempt,
            max(rate.steps, 0),
            evaluations,
            [NewPoints(metric, curve.steps, curve.values) for metric, curve in points if len(curve.steps)],
            checkpoint,
            goes_on=goes_on,
        )


def number_of(rate: Rate) -> int:
    """The number of the rate's trial, which it has."""
    assert rate.number is not None  # noqa: S101 (it has a trial)
    return rate.number
