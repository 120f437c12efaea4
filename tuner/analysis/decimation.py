"""Show a long curve by few points, without losing what a reader looks for: its ends, peaks and dips."""

import itertools

import numpy as np
from numpy.typing import NDArray


def decimate(values: NDArray[np.float64], max_points: int | None) -> NDArray[np.int64]:
    """Indices (≤ max_points, ascending) of points that stand for the whole curve.

    The curve is cut into equal stretches and each gives its smallest and its largest finite value; the first and last
    point are always kept, and so is the first non-finite one, where a descent left the finite numbers.

    Args:
        values: the curve, shape (n,); non-finite values allowed.
        max_points: at least 5; None keeps everything.
    """
    count = len(values)
    if max_points is None or count <= max_points:
        return np.arange(count)
    ends = [0, count - 1]
    non_finite = np.flatnonzero(~np.isfinite(values))
    kept = {*ends, *non_finite[:1].tolist()}
    stretches = max(1, (max_points - 3) // 2)
    edges = np.linspace(0, count, stretches + 1).astype(np.int64)
    low = np.where(np.isfinite(values), values, np.inf)
    high = np.where(np.isfinite(values), values, -np.inf)
    for start, end in itertools.pairwise(edges):
        kept.add(int(start + np.argmin(low[start:end])))
        kept.add(int(start + np.argmax(high[start:end])))
    return np.array(sorted(kept), dtype=np.int64)
