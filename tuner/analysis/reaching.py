"""When a curve reaches a target: the step that a goal of fewest steps is about."""

import numpy as np
from numpy.typing import NDArray


def first_reached(
    steps: NDArray[np.int64], values: NDArray[np.float64], target: float, *, rising: bool = False
) -> int | None:
    """The first of the steps (n,), which ascend, at which the value is at most the target; None where none is.

    rising: at least the target, for a metric that is to rise. What is not finite reaches nothing.
    """
    reached = np.isfinite(values) & (values >= target if rising else values <= target)
    return int(steps[np.argmax(reached)]) if reached.any() else None
