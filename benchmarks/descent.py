"""The batched descent beside a plain loop over rates, beside bare NumPy, and its memory.

*Plain*: for each rate in turn, for each step, the same objective with a batch of one, the update, the loss noted in an
array. *Bare*: all rates at once, and nothing but the gradients, the update and the losses. *Ours*: from the rows to
every row's curve. All three take n updates and n + 1 gradient evaluations a rate. Rates stay below the stability limit,
so that none is spared work by rows that leave the finite numbers. Times are the best of several runs, taken in turns.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Measurement, seconds
from tuner.descent import Descent, Row
from tuner.objectives import Array, KnownCurvature, Objective, create

_RATES = 256
_STEPS = 1000
_MEMORY_RATES = 1000
_MEMORY_STEPS = 10_000
_MEMORY_GOAL = 500  # MB of 10⁶ bytes


def measure() -> list[Measurement]:
    """Speed on two objectives, memory on one."""
    return [
        *_speed("line_fit", create("line_fit", {})),
        *_speed("quadratic, D = 20", create("quadratic", {"dimension": 20})),
        _memory(),
    ]


def _speed(name: str, objective: Objective) -> list[Measurement]:
    assert isinstance(objective, KnownCurvature)
    limit = 2 / objective.curvature[1]
    rates = np.geomspace(1e-4 * limit, 0.99 * limit, _RATES)
    expected = np.stack(_ours(objective, rates))
    for other in (_bare, _plain):
        np.testing.assert_allclose(other(objective, rates).T, expected, rtol=1e-4)
    ours, bare = _best_of(20, lambda: _ours(objective, rates), lambda: _bare(objective, rates))
    beside_plain, plain = _best_of(2, lambda: _ours(objective, rates), lambda: _plain(objective, rates))
    what = f"{_RATES} rates x {_STEPS:,} steps, {name}"
    return [
        Measurement(
            f"{what}: beside a plain loop over rates",
            seconds(beside_plain),
            seconds(plain),
            f"{plain / beside_plain:.0f}x faster",
            ">= 50x",
            plain / beside_plain >= 50,
        ),
        Measurement(
            f"{what}: beside bare NumPy",
            seconds(ours),
            seconds(bare),
            f"{bare / ours:.0%} of its speed",
            ">= 70 %",
            bare / ours >= 0.7,
        ),
    ]


def _ours(objective: Objective, rates: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    descent = Descent(objective, [Row(float(rate), _STEPS) for rate in rates])
    descent.advance()
    return [descent.loss_curve(row).values for row in range(len(rates))]


def _bare(objective: Objective, rates: NDArray[np.float64]) -> Array:
    start = objective.initial_parameters(0)
    parameters = np.tile(start, (len(rates), 1))
    columns = rates[:, None].astype(start.dtype)
    curves = np.empty((_STEPS + 1, len(rates)))
    for step in range(_STEPS):
        curves[step], gradients = objective.value_and_gradient(parameters)
        parameters = parameters - columns * gradients
    curves[_STEPS], _ = objective.value_and_gradient(parameters)
    return curves


def _plain(objective: Objective, rates: NDArray[np.float64]) -> Array:
    start = objective.initial_parameters(0)
    curves = np.empty((_STEPS + 1, len(rates)))
    for place, rate in enumerate(rates.astype(start.dtype)):
        parameters = start[None, :]
        for step in range(_STEPS):
            value, gradient = objective.value_and_gradient(parameters)
            curves[step, place] = value[0]
            parameters = parameters - rate * gradient
        value, _ = objective.value_and_gradient(parameters)
        curves[_STEPS, place] = value[0]
    return curves


def _best_of(times: int, *candidates: Callable[[], object]) -> list[float]:
    """The shortest duration of each in seconds, the candidates taking turns."""
    best = [float("inf")] * len(candidates)
    for _ in range(times):
        for place, candidate in enumerate(candidates):
            began = time.perf_counter()
            candidate()
            best[place] = min(best[place], time.perf_counter() - began)
    return best


def _memory() -> Measurement:
    # A process of its own: the peak is a process's, and this one has measured other things.
    done = subprocess.run([sys.executable, "-m", "benchmarks.descent"], check=True, capture_output=True, text=True)
    peak = float(done.stdout)
    curves = _MEMORY_RATES * (_MEMORY_STEPS + 1) * 8 / 1e6
    return Measurement(
        f"peak memory, {_MEMORY_RATES:,} rates x {_MEMORY_STEPS:,} steps, line_fit, every curve read at the end",
        f"{peak:.0f} MB",
        f"{curves:.0f} MB (the curves alone)",
        "",
        f"< {_MEMORY_GOAL} MB",
        peak < _MEMORY_GOAL,
    )


def _peak_of_large_descent() -> float:
    """Peak resident memory of this process in MB, after a large descent all of whose rows run to the end."""
    objective = create("line_fit", {})
    rows = [Row(float(rate), _MEMORY_STEPS) for rate in np.geomspace(1e-4, 0.7, _MEMORY_RATES)]
    descent = Descent(objective, rows)
    descent.advance()
    curves = [descent.loss_curve(row) for row in range(len(rows))]
    assert all(len(curve.values) == _MEMORY_STEPS + 1 for curve in curves)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes of 1,024 bytes, except on macOS, where it is bytes.
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


if __name__ == "__main__":
    print(_peak_of_large_descent())
