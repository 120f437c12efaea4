"""Judge a curve: which question is asked first, and what is made of the answers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tuner.analysis.verdict.advice import advise
from tuner.analysis.verdict.course import course
from tuner.analysis.verdict.growth import growth, is_steady
from tuner.analysis.verdict.names import Floats, Found, Name
from tuner.analysis.verdict.validation import overfitting
from tuner.errors import InvalidInput

FEWEST = 6
"""Points without which nothing is said, but of a loss that is not finite."""

LARGE = 1e150
"""Values that reach it are scaled down: the differences of the largest doubles are no doubles."""


@dataclass(frozen=True)
class Verdict:
    """A judgement. ``evidence``: the numbers that decided, all finite (``docs/verdicts.md`` says what each is)."""

    name: Name
    evidence: Mapping[str, float]
    advice: str


def judge(
    losses: ArrayLike,
    *,
    steps: ArrayLike | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    maximize: bool = False,
    learning_rate: float | None = None,
    limit: float | None = None,
    plain: bool = False,
    stochastic: bool | None = None,
) -> Verdict:
    """Judge a run by its curve.

    Args:
        losses: shape (n,), any floats.
        steps: of the losses, shape (n,), ascending; 0, 1, … where left out.
        validation: steps (m,) and values (m,) of the same metric on data that was held out.
        maximize: the metric is better the higher it is.
        learning_rate: of the run; for the advice.
        limit: the rate from which on descent is unstable, where it is known; for the advice.
        plain: the run is gradient descent and nothing else, so that its growth, where it diverges, tells the limit.
        stochastic: whether the losses are those of mini-batches; None: nobody knows.

    Raises:
        InvalidInput: there is no point, or steps and values do not fit.
    """
    at, values = _points("losses", steps, losses)
    sign = -1.0 if maximize else 1.0
    name, evidence = _of_training(at, sign * _within_reach(values), stochastic=stochastic)
    if validation is not None and name is not Name.DIVERGED:
        held_out_at, held_out = _points("validation", *validation)
        name, evidence = overfitting(held_out_at, sign * _within_reach(held_out)) or (name, evidence)
    finite = values[np.isfinite(values)]
    if finite.size:
        evidence |= {"lowest": float(finite.min()), "highest": float(finite.max())}
    evidence |= {"points": float(len(values)), "last_step": float(at[-1])}
    if learning_rate is not None:
        evidence["learning_rate"] = float(learning_rate)
    if limit is not None:
        evidence["limit"] = float(limit)
    elif plain and learning_rate is not None and "growth_per_step" in evidence and is_steady(evidence):
        # On a quadratic a step multiplies the distance by |1 - η·L| = ρ, and the loss by ρ²: 2/L = 2·η / (1 + ρ).
        evidence["limit"] = 2 * learning_rate / (1 + math.sqrt(evidence["growth_per_step"]))
    known = {key: value for key, value in evidence.items() if math.isfinite(value)}
    return Verdict(name, known, advise(name, known))


def _points(field: str, steps: ArrayLike | None, values: ArrayLike) -> tuple[Floats, Floats]:
    """Steps and values as floats.

    Raises:
        InvalidInput: there is none, or they do not fit.
    """
    column = np.asarray(values, dtype=np.float64)
    at = np.arange(float(column.size)) if steps is None else np.asarray(steps, dtype=np.float64)
    if column.ndim != 1 or at.shape != column.shape:
        raise InvalidInput.at(field, f"must be one column with a step each, is {column.shape} at steps {at.shape}")
    if not column.size:
        raise InvalidInput.at(field, "has no points: there is nothing to judge")
    if steps is not None and not (at[1:] > at[:-1]).all():
        raise InvalidInput.at("steps", "must ascend")
    return at, column


def _within_reach(values: Floats) -> Floats:
    """The values on a scale on which sums and differences of the finite ones are numbers."""
    largest = float(np.abs(values).max(where=np.isfinite(values), initial=0.0))
    return values if largest < LARGE else values / largest


def _of_training(at: Floats, values: Floats, *, stochastic: bool | None) -> Found:
    finite = np.isfinite(values)
    ended = not finite[-1]
    left_at = math.nan
    if not finite.all():
        # Between finite losses a NaN is a measurement that failed; at the end it is where the run left.
        if ended:
            left_at = float(at[np.flatnonzero(finite)[-1] + 1]) if finite.any() else float(at[0])
        at, values = at[finite], values[finite]
    grows = growth(at, values, ended=ended)
    if ended:
        return Name.DIVERGED, {"since_step": left_at, **(grows or {}), "left_finite_numbers_at": left_at}
    if grows is not None:
        return Name.DIVERGED, grows
    if values.size < FEWEST:
        return Name.TOO_SHORT, {}
    return course(at, values, stochastic=stochastic)
