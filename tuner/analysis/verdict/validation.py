"""Overfitting: whether the loss on held-out data has turned, and where it was lowest."""

import math

import numpy as np

from tuner.analysis.verdict.course import CLEAR
from tuner.analysis.verdict.names import Floats, Found, Name
from tuner.analysis.verdict.statistics import median, noise

STRETCHES = 16
"""Stretches of the curve whose medians are compared."""

RISEN = 0.03
"""Of its whole fall: the rise above its lowest that counts."""


def overfitting(steps: Floats, losses: Floats) -> Found | None:
    """Where the validation loss was lowest, if it has clearly risen since; None where it has not."""
    finite = np.isfinite(losses)
    steps, losses = steps[finite], losses[finite]
    stretches = min(STRETCHES, losses.size // 2)
    if stretches < 4:
        return None
    parts = np.array_split(losses, stretches)
    levels = [median(part) for part in parts]
    best = min(range(stretches), key=levels.__getitem__)
    rise, fall = levels[-1] - levels[best], max(float(losses[0]), levels[0]) - levels[best]
    error = 1.2533 * noise(losses) * math.sqrt(2 / len(parts[-1]))
    if best >= stretches - 2 or rise <= CLEAR * error or rise <= RISEN * max(fall, max(levels) - levels[best]):
        return None
    lowest = sum(len(part) for part in parts[:best]) + int(parts[best].argmin())
    return Name.OVERFITTING, {
        "best_step": float(steps[lowest]),
        "validation_rise": rise / fall if fall > 0 else math.nan,
    }
