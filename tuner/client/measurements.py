"""What a client can learn of a learning rate beside trials: a range test in its own process, the limit of stability.

The test runs here, since only this program can train; its curve is read by the service, which knows how.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

from tuner.client.metrics import as_float, encoded
from tuner.errors import FieldError, InvalidInput, NoResult

LOW, HIGH, STEPS = 1e-6, 100.0, 100
"""The customary test; the service's own has the same."""

MOST_STEPS = 10_000

EXPLODED, SPREAD_KNOWN = 4.0, 10
"""A loss has exploded when it is so many times farther above the best than any before, of so many at least."""


@dataclass(frozen=True)
class RangeTest:
    """A range test: the loss after the update at each rate, and what the curve suggests.

    ``minimum`` is the rate at the bottom of the smoothed losses; ``tenth_of_minimum`` and ``steepest``, where they fall
    fastest, are the two customary suggestions. All are None where the curve does not say; ``statement`` says why.
    """

    rates: Sequence[float]
    losses: Sequence[float]
    minimum: float | None
    tenth_of_minimum: float | None
    steepest: float | None
    statement: str
    suggested: tuple[float, float] | None

    @classmethod
    def of(cls, curve: "Curve", document: Mapping[str, Any]) -> "RangeTest":
        """What was run, and how the service reads it."""
        found = document["range"]
        return cls(
            tuple(curve.rates),
            tuple(curve.losses),
            document["minimum"],
            document["tenth_of_minimum"],
            document["steepest"],
            document["statement"],
            None if found is None else (found["low"], found["high"]),
        )

    @property
    def range(self) -> tuple[float, float]:
        """A range of rates to search: ``client.study("resnet", learning_rate=test.range, …)``.

        Raises:
            NoResult: the curve suggests none; the message says why.
        """
        if self.suggested is None:
            raise NoResult(self.statement)
        return self.suggested


@dataclass(frozen=True)
class Stability:
    """The largest curvature, and the learning rate from which on an update rule is unstable there.

    Of an objective, at its start. Of a study, at its start, where ``limit_along_best`` is the smallest limit met along
    its best run, and ``ratios`` are the trials' rates over their limits, by number: 1 is the edge. None where nothing
    bounds the rate or nothing was measured; ``statement`` says which.
    """

    curvature: float | None
    limit: float | None
    statement: str
    limit_along_best: float | None = None
    ratios: Mapping[int, float | None] | None = None


@dataclass(frozen=True)
class Curve:
    """The losses (n,) after updates at the rates (n,)."""

    rates: list[float]
    losses: list[float]

    @property
    def document(self) -> dict[str, Any]:
        """The curve as JSON can hold it."""
        return {"rates": self.rates, "losses": [encoded(loss) for loss in self.losses]}


def check(low: float, high: float, steps: int) -> None:
    """Check a test before it trains anything.

    Raises:
        InvalidInput: at ``low``, ``high`` or ``steps``.
    """
    problems = [
        FieldError(name, f"must be a finite number above 0, is {rate!r}")
        for name, rate in (("low", low), ("high", high))
        if not (math.isfinite(rate) and rate > 0)
    ]
    if not problems and low >= high:
        problems.append(FieldError("low", f"must be below high ({low} >= {high})"))
    if not 2 <= steps <= MOST_STEPS:
        problems.append(FieldError("steps", f"must lie in [2, {MOST_STEPS}], is {steps}"))
    if problems:
        raise InvalidInput(*problems)


def run(step: Callable[[float], SupportsFloat], low: float, high: float, steps: int) -> Curve:
    """Call ``step`` with each rate in turn, until its loss has exploded.

    Raises:
        InvalidInput: at ``losses``: what it returned is no number.
    """
    curve = Curve([], [])
    for place in range(steps):
        rate = low * (high / low) ** (place / (steps - 1))
        returned = step(rate)
        try:
            loss = as_float(returned)
        except (TypeError, ValueError) as error:
            raise InvalidInput.at("losses", f"of the step at the rate {rate:g}: {error}") from None
        curve.rates.append(rate)
        curve.losses.append(loss)
        if exploded(curve.losses):
            break
    return curve


def exploded(losses: Sequence[float]) -> bool:
    """Whether the last of these losses has exploded; as the service judges it."""
    *before, last = losses
    if not math.isfinite(last):
        return True
    if len(before) < SPREAD_KNOWN:
        return False
    best, worst = min(before), max(before)
    return best < worst and last / 2 - best / 2 > EXPLODED * (worst / 2 - best / 2)
