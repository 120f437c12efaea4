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


def spread(
    across: NDArray[np.float64],
    up: NDArray[np.float64],
    most: int,
    *,
    kinds: NDArray[np.intp] | None = None,
    kept: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Indices (≤ most, or as many as are ``kept``; ascending) of points that stand for a cloud of them.

    The cloud is laid on a grid, and every cell of it gives a point of each kind before any gives a second one: where
    there is a point, one is shown. The outermost points of each kind are always among them.

    Args:
        across: first coordinates, shape (n,), finite.
        up: second coordinates, shape (n,), finite.
        most: how many to choose.
        kinds: what each point is, as numbers from 0; all are of one kind where it is left out.
        kept: points that are chosen in any case.
    """
    count = len(across)
    if count <= most:
        return np.arange(count)
    kind = np.zeros(count, dtype=np.intp) if kinds is None else kinds
    first = np.zeros(count, dtype=bool) if kept is None else kept.copy()
    for one in np.unique(kind):
        mine = np.flatnonzero(kind == one)
        for values in (across, up):
            first[mine[[np.argmin(values[mine]), np.argmax(values[mine])]]] = True
    # Which point of a cell comes first must not follow from where it is: a grid would be seen.
    luck = np.random.default_rng(0).permutation(count)
    lucky = np.empty(count, dtype=np.int64)
    lucky[luck] = np.arange(count)
    side = 2 * int(np.sqrt(most))
    while True:
        cell = (kind * side + _part(across, side)) * side + _part(up, side)
        held = np.bincount(cell)
        if np.count_nonzero(held) <= most or side == 1:
            break
        side //= 2
    # Only cells that hold points are numbered: numbers so small are sorted in a tenth of the time.
    numbered = (np.cumsum(held > 0) - 1).astype(np.min_scalar_type(count))
    order = lucky[np.argsort(numbered[cell[lucky]], kind="stable")]
    held = held[held > 0]
    # The how-manieth of its cell each point is.
    turn = np.empty(count, dtype=np.int64)
    turn[order] = np.arange(count) - np.repeat(np.cumsum(held) - held, held)
    turn[first] = -1
    wanted = max(most, int(np.count_nonzero(first)))
    return np.sort(np.argpartition(turn * count + luck, wanted - 1)[:wanted])


def _part(values: NDArray[np.float64], parts: int) -> NDArray[np.intp]:
    low, high = values.min(), values.max()
    # Halves, because the range itself may be beyond a double.
    width = high / 2 - low / 2
    share = np.zeros(len(values)) if width == 0 else (values / 2 - low / 2) / width
    return np.minimum((share * parts).astype(np.intp), parts - 1)
