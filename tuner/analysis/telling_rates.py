"""Rates that show what a learning rate does: one that creeps, one that is right, one that swings, one that diverges.

Where each is depends on the objective. Theory knows it of a quadratic alone: of any other the limit of stability moves
along the way. So descents are tried, all at once, at rates around the limit at the start.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuner.analysis.landscape import Floats
from tuner.descent import Descent, Method, Row
from tuner.objectives import Objective

WIDTH, TRIED, BETWEEN = 30.0, 30, 10
"""How far above and below the limit rates are tried, how many, and how many more on either side of the edge."""

CREEPS = 30.0
"""How many times smaller than the right rate one is that creeps."""

ENOUGH = 0.001
"""Of the deepest fall: how much of it the right rate may miss. Of several such the smallest is the calmest."""


class TellingRates(NamedTuple):
    """Learning rates. ``swings`` and ``diverges`` are the last rate that ends below its start and the first beyond.

    Both are None where every rate that was tried ends below its start.
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
    starts, ends, spent = _run(objective, rates, steps, method, initial_seed)
    with np.errstate(all="ignore"):
        falls = np.nan_to_num(starts - ends, nan=0.0)
    deepest = int(np.argmax(falls))
    right = float(rates[np.flatnonzero(falls >= (1 - ENOUGH) * falls[deepest])[0]]) if falls[deepest] > 0 else limit
    beyond = np.flatnonzero((falls < 0) & (rates > right))
    if not len(beyond):
        return TellingRates(right, right / CREEPS, None, None), spent
    edge = float(rates[beyond[0]])
    closer = np.geomspace(max(right, edge / (rates[1] / rates[0])), edge, BETWEEN + 2)[1:-1]
    starts, ends, more = _run(objective, closer, steps, method, initial_seed)
    stayed = closer[ends < starts]
    swings = float(stayed[-1]) if len(stayed) else None
    return TellingRates(right, right / CREEPS, swings, edge), spent + more


def _run(
    objective: Objective, rates: Floats, steps: int, method: Method, initial_seed: int
) -> tuple[Floats, Floats, int]:
    """The first and the last loss of a descent at each rate, infinite where it is not finite, and what they took."""
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
    return starts, np.where(np.isfinite(ends), ends, np.inf), sum(result.gradient_evaluations for result in results)
