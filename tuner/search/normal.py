"""The normal distribution cut to an interval, on arrays: what tpe draws its candidates from and weighs them by.

Candidates have to be Optuna's to the last bit, so `quantile` takes the steps of Optuna's ``_truncnorm`` in their order,
and the error function from the same place, Python's ``math``. It covers the intervals around the mean, which is where
tpe's kernels lie; others are left to Optuna. `mass` only weighs: it takes SciPy's functions, which are faster.
"""

import math
from typing import Any

import numpy as np
from optuna.samplers._tpe import _truncnorm

_ROOT = 2**0.5
_EDGE = 1 / _ROOT
_LOG_ROOT_TWO_PI = math.log(math.sqrt(2 * math.pi))
_LOGISTIC = math.sqrt(3) / math.pi
_MOST = 2000
"""From so many numbers on Optuna takes another approximation of the error function."""


def quantile(q: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The point of a standard normal distribution, cut to [a, b], below which q of it lies. All of shape (points,)."""
    if len(q) >= _MOST or not (q.min() > 0 and a.max() < 0 < b.min()):
        points: np.ndarray = _truncnorm.ppf(q, a, b)
        return points
    mass = np.log1p(-_below(a) - _below(-b))
    return _quantile_of_log(np.logaddexp(_log_below(a), np.log(q) + mass))


def _quantile_of_log(y: np.ndarray) -> np.ndarray:
    """The points below which exp(y) of the distribution lies, by Newton's method on the logarithm.

    Near the upper end the lower one is solved, where logarithms keep their digits. All stop at the same step, so that
    a point depends on those that are solved with it, as Optuna's does.
    """
    upper = y > -1e-2
    y = y.copy()
    y[upper] = np.log(-np.expm1(y[upper]))
    tail = y < -5
    x = np.empty_like(y)
    x[tail] = -np.sqrt(-2.0 * (y[tail] + _LOG_ROOT_TWO_PI))
    x[~tail] = -_LOGISTIC * np.log(np.expm1(-y[~tail]))
    for _ in range(100):
        log_below = _log_below(x)
        step = (log_below - y) * np.exp(log_below - (-0.5 * np.square(x) - _LOG_ROOT_TWO_PI))
        x -= step
        # The first alone tells, as a rule, that it is too early.
        if abs(step[0]) < 1e-8 * abs(x[0]) and (np.abs(step) < 1e-8 * np.abs(x)).all():
            break
    x[upper] *= -1
    return x


def _below(x: np.ndarray) -> np.ndarray:
    """What of the distribution lies below each point, (points,)."""
    return 0.5 + 0.5 * np.array(list(map(math.erf, (x / _ROOT).tolist())))


def _log_below(x: np.ndarray) -> np.ndarray:
    """Its logarithm, with all digits in the lower tail."""
    scaled = (x / _ROOT).tolist()
    # Well within what lies between 6 and -20, where Optuna's function takes other branches than these.
    if max(scaled) > 4.2 or min(scaled) < -14.1:
        return np.array([_truncnorm._log_ndtr_single(value) for value in x.tolist()])
    log, erf, erfc = math.log, math.erf, math.erfc
    return np.array(
        [
            # One expression: to call a function for each would take as long as all that it does.
            log(0.5 * erfc(-z) if z < -_EDGE else 0.5 + 0.5 * erf(z) if z < _EDGE else 1.0 - 0.5 * erfc(z))
            for z in scaled
        ]
    )


def mass(middle: Any, half: Any, mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """What of each normal distribution lies within ``half`` of ``middle``; arguments and result are broadcast.

    It is seen from the lower tail, where small numbers keep their digits.
    """
    from scipy.special import ndtr  # noqa: PLC0415 (takes a tenth of a second to import)

    off = np.abs(middle - mu)
    off /= sigma
    half = half / sigma
    found: np.ndarray = ndtr(half - off)
    off += half
    found -= ndtr(np.negative(off, out=off))
    return found
