"""What can be said of a run, and what it is said by."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Name(StrEnum):
    """A verdict in a word. ``docs/verdicts.md`` shows a curve of each."""

    DIVERGED = "diverged"
    OSCILLATING = "oscillating"
    TOO_SLOW = "too_slow"
    CONVERGED = "converged"
    PLATEAUED = "plateaued"
    IMPROVING = "improving"
    OVERFITTING = "overfitting"
    TOO_SHORT = "too_short_to_tell"


Found = tuple[Name, dict[str, float]]
"""A verdict and its evidence; a number that is not finite says nothing."""
