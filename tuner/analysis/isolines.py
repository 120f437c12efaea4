"""Lines of equal height on a grid, by marching squares: what Lorensen and Cline's cubes (1987) do in space."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

Point = tuple[float, float]
"""Column and row on the grid, which has its points at whole numbers."""

# By which of a cell's corners lie above (1: at row i, column j; 2: at j+1; 4: at i+1, j+1; 8: at i+1, j): the pairs of
# sides that a line joins. Sides: 0 below, 1 right, 2 above, 3 left. Of the two ways through a saddle one is taken.
_JOINED: tuple[tuple[tuple[int, int], ...], ...] = (
    (),
    ((3, 0),),
    ((0, 1),),
    ((3, 1),),
    ((1, 2),),
    ((3, 2), (0, 1)),
    ((0, 2),),
    ((3, 2),),
    ((2, 3),),
    ((2, 0),),
    ((3, 0), (1, 2)),
    ((2, 1),),
    ((1, 3),),
    ((1, 0),),
    ((0, 3),),
    (),
)


def isoline(heights: ArrayLike, level: float) -> Iterator[tuple[Point, Point]]:
    """The pieces of the line at a level: straight, each within one cell, their ends interpolated along its sides.

    heights: (rows, columns). Cells with a corner that is not finite have no line.
    """
    grid = np.asarray(heights, dtype=np.float64) - level
    corners = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]])
    kinds = ((corners > 0) * np.array([1, 2, 4, 8])[:, None, None]).sum(axis=0)
    kinds[~np.isfinite(corners).all(axis=0)] = 0
    for row, column in np.argwhere((kinds > 0) & (kinds < 15)).tolist():
        below, right, above, left = corners[:, row, column].tolist()
        for sides in _JOINED[kinds[row, column]]:
            begin, end = (_on_side(side, (below, right, above, left)) for side in sides)
            yield (column + begin[0], row + begin[1]), (column + end[0], row + end[1])


def _on_side(side: int, corners: tuple[float, float, float, float]) -> Point:
    """Where the height is 0 on a side of a cell."""
    first, second = corners[side], corners[(side + 1) % 4]
    share = first / (first - second)
    return ((share, 0.0), (1.0, share), (1 - share, 1.0), (0.0, 1 - share))[side]
