"""The range test: one descent at a rate that grows a little on every step, and what its losses say of the rate.

The loss falls, bottoms out and explodes. Two suggestions are customary: a tenth of the rate at the bottom, and the
rate at which the loss falls fastest (Smith, "Cyclical learning rates for training neural networks", 2017, section 3.3;
the two are those of fastai's finder). Running a test and reading its curve are apart: a training client's curve is read
by the same code.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuner.descent import Descent, Method, Row
from tuner.errors import FieldError, InvalidInput
from tuner.limits import LARGEST_RATE, LARGEST_TEST_STEPS
from tuner.objectives import Objective

LOW, HIGH, STEPS = 1e-6, 100.0, 100
"""The customary test: from a rate at which nothing moves to one that nothing survives; the explosion ends it sooner."""

PLAIN = Method()

SMALLEST_RATE = 1e-12

EXPLODED = 4.0
"""A loss has exploded when it is so many times farther above the best than any before. fastai's finder says four times
the best loss, which means nothing where losses are negative or near zero."""

SPREAD_KNOWN = 10
"""Points after which that is judged: of fewer, the spread is chance."""

_MEMORY = 0.05
"""The share of a test's points over which its losses are averaged."""

_FEWEST = 5
"""Points of which a minimum or a slope can be told."""

_NOISE = 7.0
"""A fall counts that is so many standard deviations of the averages' noise: noise alone has one in a hundred tests."""

_ROUNDING = 1e-9
"""Relative differences of losses that are none."""

_OF_SECOND_DIFFERENCES = 0.6745 * math.sqrt(6)
"""The median size of second differences of white noise of standard deviation 1; a smooth fall has next to none."""


@dataclass(frozen=True)
class Finding:
    """What the losses of a range test say.

    smoothed: the losses as they were judged, averaged without delay and cut off above where they began, shape (m,):
        m points precede the explosion.
    minimum: the rate at the bottom.
    tenth_of_minimum, steepest: the two suggestions.
    low, high: a range to search: from a hundredth of the rate at the bottom to the last rate at which the loss was
        below where it began.
    statement: the same in words. All numbers are None where the losses do not say; then it says why.
    """

    smoothed: NDArray[np.float64]
    statement: str
    minimum: float | None = None
    tenth_of_minimum: float | None = None
    steepest: float | None = None
    low: float | None = None
    high: float | None = None


class RangeTest:
    """A range test of a registered objective: N updates at rates growing geometrically from ``low`` to ``high``.

    Args:
        objective: what to descend.
        low, high: the first and the last rate.
        steps: N, the number of updates.
        method: how the descent moves.
        initial_seed: of the start x_0, and of the mini-batches.

    Raises:
        InvalidInput: one of these cannot be; fields are named as here (``settings.momentum``).
        ObjectiveFailed: here and from `run`: the objective raised or answered wrong shapes.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        low: float = LOW,
        high: float = HIGH,
        steps: int = STEPS,
        method: Method = PLAIN,
        initial_seed: int = 0,
    ) -> None:
        self._planned = geometric(low, high, steps)
        try:
            self._descent = Descent(
                objective,
                [Row(low, steps, method.settings)],
                update_rule=method.update_rule,
                batch_size=method.batch_size,
                initial_seed=initial_seed,
                seed=initial_seed,
            )
        except InvalidInput as error:
            fields = (FieldError(problem.field.removeprefix("rows.0."), problem.message) for problem in error.fields)
            raise InvalidInput(*fields) from None

    def run(self) -> None:
        """Run it to its end: the last rate, or the explosion."""
        self._descent.advance(0)
        for step, rate in enumerate(self._planned.tolist(), 1):
            self._descent.change_rate(0, rate)
            if not self._descent.advance(1) and step < len(self._planned):
                break
            if exploded(self.losses):
                break

    @property
    def rates(self) -> NDArray[np.float64]:
        """The rate of each update that was made, shape (n,)."""
        return self._planned[: len(self.losses)]

    @property
    def losses(self) -> NDArray[np.float64]:
        """The loss after each of them, shape (n,)."""
        return self._descent.loss_curve(0, since=1).values

    @property
    def gradient_evaluations(self) -> int:
        """What it has taken: n + 1."""
        return self._descent.result(0).gradient_evaluations


def geometric(low: float, high: float, steps: int) -> NDArray[np.float64]:
    """The rates of a test, shape (steps,): each is the same factor above the one before.

    Raises:
        InvalidInput: at ``low``, ``high`` or ``steps``.
    """
    problems = [
        FieldError(name, f"must lie in [{SMALLEST_RATE:g}, {LARGEST_RATE:g}], is {rate}")
        for name, rate in (("low", low), ("high", high))
        if not SMALLEST_RATE <= rate <= LARGEST_RATE
    ]
    if not problems and low >= high:
        problems.append(FieldError("low", f"must be below high ({low} >= {high})"))
    if not 2 <= steps <= LARGEST_TEST_STEPS:
        problems.append(FieldError("steps", f"must lie in [2, {LARGEST_TEST_STEPS}], is {steps}"))
    if problems:
        raise InvalidInput(*problems)
    return np.geomspace(low, high, steps)


def exploded(losses: NDArray[np.float64]) -> bool:
    """Whether any of these losses has exploded: it is not finite, or far above all that came before it."""
    return _end(losses) < len(losses)


def _end(losses: NDArray[np.float64]) -> int:
    """How many losses precede the first that has exploded."""
    finite = np.isfinite(losses)
    losses = losses if finite.all() else losses[: int(np.argmin(finite))]
    # In halves, because the differences themselves may be beyond a double.
    best, worst = np.minimum.accumulate(losses)[:-1] / 2, np.maximum.accumulate(losses)[:-1] / 2
    far = (losses[1:] / 2 - best > EXPLODED * (worst - best)) & (best < worst)
    far[: SPREAD_KNOWN - 1] = False
    return int(np.argmax(far)) + 1 if far.any() else len(losses)


def analyse(rates: ArrayLike, losses: ArrayLike) -> Finding:
    """What the losses (n,) after updates at the rates (n,) say; rates ascend.

    Losses may be anything: negative, noisy, not finite. Nothing depends on where their zero is or on their unit.

    Raises:
        InvalidInput: at ``rates`` or ``losses``: of another shape, too few or too many, not ascending.
    """
    tested, values = np.asarray(rates, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    _check(tested, values)
    values = values[: _end(values)]
    if len(values) < _FEWEST:
        return Finding(
            values,
            f"The loss explodes at the rate {_number(tested[len(values)])}, after {len(values)} points: begin lower."
            if len(values) < len(tested)
            else f"{len(values)} points are too few to tell: take more steps.",
        )
    return _read(tested[: len(values)], values, ended=len(values) < len(tested))


def _read(rates: NDArray[np.float64], losses: NDArray[np.float64], *, ended: bool) -> Finding:
    unit = max(float(np.abs(losses).max()), float(np.finfo(np.float64).tiny))
    scaled = losses / unit
    spread = float(np.ptp(scaled))
    memory = max(1.0, _MEMORY * len(scaled))
    noise = float(np.median(np.abs(np.diff(scaled, 2)))) / _OF_SECOND_DIFFERENCES * _left_of_noise(memory)
    looking_back, _ = _average(scaled, memory)
    # What is above where the losses began is on its way to explode; averaged, it would hide the minimum before it. The
    # average that looks back only is not yet touched by what comes after its minimum.
    lowest = int(np.argmin(looking_back))
    top = float(scaled[: lowest + 1].max())
    capped = np.minimum(scaled, top)
    # Without noise, too: just past the limit of stability a loss leaps up and down, and a lucky leap is no minimum.
    smoothed = _smooth(capped, memory)
    bottom = int(np.argmin(smoothed))
    fall = float(smoothed[: bottom + 1].max() - smoothed[bottom])
    audible = max(_NOISE * noise, _ROUNDING)
    first, last = _number(rates[0]), _number(rates[-1])

    if fall <= audible:
        if spread <= _ROUNDING:
            statement = f"The loss does not move between the rates {first} and {last}: try higher ones."
        elif lowest <= memory and np.ptp(_smooth(scaled, memory)[[0, -1]]) > audible:
            statement = f"The loss does not fall: it rises from the lowest rate, {first}, on. Begin lower."
        else:
            statement = f"No fall of the loss stands out of its noise between the rates {first} and {last}."
        return Finding(smoothed * unit, statement)
    if bottom == len(smoothed) - 1 and not ended:
        return Finding(smoothed * unit, f"The loss still falls at the highest rate, {last}: end higher.")
    minimum, steepest = float(rates[bottom]), float(rates[_steepest(np.log(rates), smoothed, bottom)])
    tenth = minimum / 10
    return Finding(
        smoothed * unit,
        f"The loss is lowest at the rate {_number(minimum)}; a tenth of that is {_number(tenth)}. "
        f"It falls fastest at {_number(steepest)}.",
        minimum=minimum,
        tenth_of_minimum=tenth,
        steepest=steepest,
        low=max(SMALLEST_RATE, min(minimum / 100, steepest)),
        high=float(rates[int(np.flatnonzero(capped < top)[-1])]),
    )


def _steepest(places: NDArray[np.float64], smoothed: NDArray[np.float64], bottom: int) -> int:
    """Where the losses fall fastest before the bottom, over stretches as wide as the average."""
    indices = np.arange(len(smoothed))
    reach = max(1, round(_MEMORY * len(smoothed)))
    ahead, behind = np.minimum(indices + reach, bottom), np.maximum(indices - reach, 0)
    inner = indices[1:bottom] if bottom > 1 else indices[:1]
    falls = (smoothed[behind] - smoothed[ahead])[inner] / (places[ahead] - places[behind])[inner]
    return int(inner[np.argmax(falls)])


def _smooth(values: NDArray[np.float64], memory: float) -> NDArray[np.float64]:
    """Averages of what is before and after each value: the delays of a pass forwards and one backwards cancel."""
    before, weights_before = _average(values, memory)
    after, weights_after = (array[::-1] for array in _average(values[::-1], memory))
    return (before * weights_before + after * weights_after) / (weights_before + weights_after)


def _left_of_noise(memory: float) -> float:
    """The standard deviation of `_smooth` of white noise of standard deviation 1."""
    new = 1 / memory
    return math.sqrt((new / (2 - new) + new**2) / 2)


def _average(values: NDArray[np.float64], memory: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The exponential average of the values so far, over about ``memory`` of them, and the weights given.

    Divided by the weights, it is not drawn towards zero at the start.
    """
    kept = 1 - 1 / memory
    average, weight = 0.0, 0.0
    averages, weights = np.empty(len(values)), np.empty(len(values))
    for index, value in enumerate(values.tolist()):
        average = kept * average + (1 - kept) * value
        weight = kept * weight + (1 - kept)
        averages[index], weights[index] = average / weight, weight
    return averages, weights


def _check(rates: NDArray[np.float64], losses: NDArray[np.float64]) -> None:
    problems = []
    if rates.ndim != 1 or not 2 <= len(rates) <= LARGEST_TEST_STEPS:
        problems.append(FieldError("rates", f"must be a list of 2 to {LARGEST_TEST_STEPS} rates"))
    else:
        outside = np.flatnonzero(~((rates >= SMALLEST_RATE) & (rates <= LARGEST_RATE)))
        descending = np.flatnonzero(np.diff(rates) <= 0)
        if len(outside):
            place = int(outside[0])
            message = f"must lie in [{SMALLEST_RATE:g}, {LARGEST_RATE:g}], is {rates[place]}"
            problems.append(FieldError(f"rates.{place}", message))
        elif len(descending):
            place = int(descending[0]) + 1
            problems.append(FieldError(f"rates.{place}", f"must be above the rate before it, is {rates[place]}"))
    if losses.shape != rates.shape:
        problems.append(FieldError("losses", f"must be one a rate: {len(rates)}, not {losses.size}"))
    if problems:
        raise InvalidInput(*problems)


def _number(value: float) -> str:
    return f"{value:.3g}"
