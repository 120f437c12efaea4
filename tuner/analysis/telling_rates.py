"""Rates that show what a learning rate does: one that creeps, one that is right, one that swings, one that diverges.

Where each is depends on the objective. Theory knows it of a quadratic alone: of any other the limit of stability moves
along the way. So descents are tried, all at once, at rates around the limit at the start, and judged as trials are.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuner.analysis.landscape import Floats
from tuner.analysis.verdict import Name, judge
from tuner.descent import Descent, Method, Row
from tuner.objectives import Objective

WIDTH, TRIED, BETWEEN = 30.0, 30, 10
"""How far above and below the limit rates are tried, how many, and how many more on either side of the edge."""

CREEPS = 30.0
"""How many times smaller than the right rate one is that creeps."""

ENOUGH = 0.001
"""Of the deepest fall: how much of it the right rate may miss. Of several such the smallest that settles is taken, or
else the smallest: it is the calmest."""


class TellingRates(NamedTuple):
    """Learning rates. ``diverges`` is the first that diverges, among those from the edge on.

    The edge is the first that ends above its start. Where none diverges, as of a loss that grows no faster than its
    distance, it is the first that swings far above, or else the edge. ``swings`` is the largest below the edge whose
    loss oscillates. Where that of none does, as on a quadratic, whose parameters jump from side to side while the loss
    keeps falling, it is the last that ends below its start, below the limit if one does. Both are None where every rate
    that was tried ends below its start.
    """

    right: float
    creeps: float
    swings: float | None
    diverges: float | None


def telling_rates(
    objective: Objective, limit: float, steps: int, *, method: Method | None = None, initial_seed: int = 0
) -> tuple[TellingRates, int]:
    """Such rates for descents of so many steps, and the gradient evaluations that finding them took.

    Args:
        objective: what is descended.
        limit: a rate to look around, above 0: that of stability at the start.
        steps: of each descent, at least 1.
        method: how it moves; plain gradient descent where it is left out.
        initial_seed: of the start.

    Raises:
        InvalidInput, ObjectiveFailed: as `Descent`.
    """
    method = method or Method()
    rates = np.geomspace(limit / WIDTH, limit * WIDTH, TRIED)
    tried = _run(objective, rates, steps, method, initial_seed)
    spent = tried.spent
    with np.errstate(all="ignore"):
        falls = np.nan_to_num(tried.starts - tried.ends, nan=0.0)
    right = _right(tried, falls) if falls.max() > 0 else limit
    beyond = np.flatnonzero((falls < 0) & (rates > right))
    if not len(beyond):
        return TellingRates(right, right / CREEPS, None, None), spent
    edge = float(rates[beyond[0]])
    closer = _run(
        objective,
        np.geomspace(max(right, edge / (rates[1] / rates[0])), edge, BETWEEN + 2)[1:-1],
        steps,
        method,
        initial_seed,
    )
    swinging = [
        rate
        for one in (tried, closer)
        for rate in one.judged(Name.OSCILLATING)
        if right < rate < edge and rate in one.rates[one.ends < one.starts]
    ]
    swinging = swinging or closer.rates[(closer.ends < closer.starts) & (closer.rates < limit)].tolist()
    swinging = swinging or closer.rates[closer.ends < closer.starts].tolist()
    leaving = [rate for rate in tried.judged(Name.DIVERGED) if rate >= edge]
    far = tried.rates[falls < -np.abs(tried.starts)].tolist()
    leaving = leaving or [rate for rate in tried.judged(Name.OSCILLATING) if rate >= edge and rate in far]
    diverges = min(leaving, default=edge)
    return TellingRates(right, right / CREEPS, max(swinging, default=None), diverges), spent + closer.spent


class _Tried(NamedTuple):
    """Descents at each of the rates, ascending: what their curves say, and what they took.

    Of the losses the first and the last, infinite where that is not finite.
    """

    rates: Floats
    starts: Floats
    ends: Floats
    verdicts: list[Name]
    spent: int

    def judged(self, name: Name) -> list[float]:
        """The rates of that verdict."""
        return [float(rate) for rate, verdict in zip(self.rates, self.verdicts, strict=True) if verdict == name]


def _right(tried: _Tried, falls: Floats) -> float:
    enough = tried.rates[falls >= (1 - ENOUGH) * falls.max()].tolist()
    settled = [rate for rate in tried.judged(Name.CONVERGED) if rate in enough]
    return float(min(settled or enough))


def _run(objective: Objective, rates: Floats, steps: int, method: Method, initial_seed: int) -> _Tried:
    descent = Descent(
        objective,
        [Row(float(rate), steps, method.settings) for rate in rates],
        update_rule=method.update_rule,
        batch_size=method.batch_size,
        initial_seed=initial_seed,
        seed=initial_seed,
    )
    descent.advance()
    results = [descent.result(row) for row in range(len(rates))]
    ends: NDArray[np.float64] = np.array([result.loss.values[-1] for result in results])
    starts: NDArray[np.float64] = np.array([result.loss.values[0] for result in results])
    return _Tried(
        rates,
        starts,
        np.where(np.isfinite(ends), ends, np.inf),
        [judge(result.loss.values, stochastic=method.batch_size is not None).name for result in results],
        sum(result.gradient_evaluations for result in results),
    )
