"""Middles and noise of losses, by statistics that a few wild ones do not move."""

import math

import numpy as np

from tuner.analysis.verdict.names import Floats


def median(values: Floats) -> float:
    """The middle value, the upper one of two: NumPy's own takes several times as long for a few hundred."""
    middle = values.size // 2
    return float(np.partition(values, middle)[middle])


def spread_of(values: Floats, share: float) -> float:
    """How far apart the values lie of which the given share lies between, as much above as below."""
    last = values.size - 1
    low = round(last * (1 - share) / 2)
    ordered = np.partition(values, (low, last - low))
    return float(ordered[last - low] - ordered[low])


def noise(values: Floats) -> float:
    """The standard deviation of white noise on a smooth curve.

    That of second differences is √6 times as much, and a trend has next to none; 1.4826 makes a standard deviation of
    the median of absolute values (Rousseeuw and Croux 1993, "Alternatives to the median absolute deviation").
    """
    if values.size < 4:
        return 0.0
    second = np.abs(values[2:] - 2 * values[1:-1] + values[:-2])
    return 1.4826 * median(second) / math.sqrt(6)
