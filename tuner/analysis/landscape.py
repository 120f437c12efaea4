"""The loss surface around descents, on the plane that shows them best, and the paths that they took on it.

In one and two dimensions the plane is the parameters themselves. In more it is that of the two principal directions of
the paths: of the offsets of all path points from where the first path ends, those two directions that hold the most of
their squared length (Li et al., Visualizing the loss landscape of neural nets, 2018, section 7, of a single path). What
the directions leave out is said: a path drawn on the plane is its projection, and its losses are those of the path.

Every point of the grid takes a gradient evaluation, since that is how objectives answer losses, and so does every step
of a path.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.descent import Curve, Descent, Row, RowResult
from tuner.objectives import Array, KnownOptimum, Named, Objective, evaluate, start
from tuner.trial import Outcome

MARGIN = 0.15
"""How far the grid goes beyond the paths, as a share of their extent."""

FIRST_UPDATES = 4
"""Updates that are shown of descents of which fewer lead to a loss that is no worse than that of the start."""

_MOST_NUMBERS = 2**24
"""Numbers that are kept of all paths together."""

_NUMBERS_AT_ONCE, _ROWS_AT_ONCE = 2**21, 256
"""Numbers, and points, of the grid that are evaluated in one call: an objective may need many times their memory."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """Where a descent went: its parameters (n, D) and losses (n,) after steps (n,), all of them finite.

    ``outcome`` is how it ended; the points end before it left the finite numbers. ``curve`` is its whole loss curve,
    with what is not finite.
    """

    steps: NDArray[np.int64]
    parameters: Floats
    losses: Floats
    outcome: Outcome | None
    curve: Curve


def turns_back(path: Path) -> float | None:
    """Which share of the updates goes against the one before it, by more than a right angle; None of fewer than two.

    Near 1 a descent jumps from side to side of a valley. Of a long path those updates count of which both neighbours
    were kept.
    """
    with np.errstate(all="ignore"):
        updates = np.diff(path.parameters, axis=0)
        # Lengths do not matter, and squares of the largest doubles are no doubles.
        updates = updates / np.abs(updates).max(axis=1, initial=0.0, keepdims=True)
        turns = np.vecdot(updates[1:], updates[:-1]) < 0
    single = np.diff(path.steps) == 1
    counted = turns[single[1:] & single[:-1]]
    return float(counted.mean()) if counted.size else None


@dataclass(frozen=True)
class Plane:
    """The points ``origin + c·directions``: origin (D,), directions (K, D), orthonormal, coordinates c (K,), K ≤ 2.

    explained (K,): which share of the squared length of the paths' offsets each direction holds; None where the plane
    is the parameter space itself.
    """

    origin: Floats
    directions: Floats
    explained: Floats | None

    def coordinates(self, parameters: Floats) -> Floats:
        """The coordinates (n, K) of the projections of points (n, D)."""
        return (parameters - self.origin) @ self.directions.T

    def points(self, coordinates: Floats) -> Floats:
        """The points (n, D) of coordinates (n, K)."""
        return self.origin + coordinates @ self.directions


@dataclass(frozen=True)
class Landscape:
    """Losses on a grid of the plane, and the paths on it.

    axes: K arrays of ascending coordinates. values: over the axes in reverse, (N₂, N₁) or (N₁,); what is not finite is
    data. coordinates: of each path, (n, K). optimum: (K,), where it is known where the smallest loss is; on a plane in
    more dimensions its projection. gradient_evaluations: what the grid took.
    """

    plane: Plane
    labels: tuple[str, ...]
    axes: tuple[Floats, ...]
    values: Floats
    coordinates: list[Floats]
    optimum: Floats | None
    gradient_evaluations: int


def follow(
    objective: Objective,
    rows: Sequence[Row],
    *,
    update_rule: str = "gradient_descent",
    batch_size: int | None = None,
    initial_seed: int = 0,
    seed: int = 0,
    most_points: int = 200,
) -> tuple[list[Path], int]:
    """Run descents and keep where they went: the paths of the rows, and what they took in gradient evaluations.

    Of a path that is longer than ``most_points``, the first steps and from there ever fewer are kept, and the last one.

    Raises:
        InvalidInput, ObjectiveFailed: as `Descent`.
    """
    descent = Descent(
        objective, rows, update_rule=update_rule, batch_size=batch_size, initial_seed=initial_seed, seed=seed
    )
    room = _MOST_NUMBERS // (max(1, len(rows)) * objective.dimension)
    marks = _marks([row.steps for row in rows], max(2, min(most_points, room)))
    kept: list[list[tuple[int, Array, float]]] = [[] for _ in rows]
    before = 0
    for mark in marks:
        descent.advance(mark - before)
        before = mark
        for row, points in enumerate(kept):
            point = descent.result(row).checkpoint
            if point is None or (points and point.step <= points[-1][0]):
                continue
            loss = float(descent.loss_curve(row, point.step).values[0])
            if np.isfinite(point.parameters).all() and np.isfinite(loss):
                points.append((point.step, point.parameters, loss))
    results = [descent.result(row) for row in range(len(rows))]
    paths = [_path(points, result, objective.dimension) for points, result in zip(kept, results, strict=True)]
    return paths, sum(result.gradient_evaluations for result in results)


def _marks(ends: Sequence[int], most: int) -> list[int]:
    """Steps at which to look, the ends among them."""
    longest = max(ends, default=0)
    if longest < most:
        return list(range(longest + 1))
    spread = np.unique(np.round(np.geomspace(1, longest, most - 1)).astype(int)).tolist()
    return sorted({0, *spread, *ends})


def _path(points: Sequence[tuple[int, Array, float]], result: RowResult, dimension: int) -> Path:
    return Path(
        np.array([step for step, _, _ in points], dtype=np.int64),
        np.array([parameters for _, parameters, _ in points], dtype=np.float64).reshape(-1, dimension),
        np.array([loss for _, _, loss in points], dtype=np.float64),
        result.outcome,
        result.loss,
    )


def landscape(
    objective: Objective, paths: Sequence[Path], *, initial_seed: int = 0, resolution: int | None = 41
) -> Landscape:
    """The losses around these paths, at ``resolution`` coordinates along each axis.

    The grid holds every point of a path that is no worse than the start, and those of the worse that lie no farther out
    than that area is wide; where nearly every update leads upwards, the first few. A margin goes round them.

    Args:
        objective: what was descended.
        paths: at least one; the first is what the plane of many dimensions is centred on.
        initial_seed: of the start that the paths share.
        resolution: at least 2; None for no grid: axes and values are empty.

    Raises:
        ObjectiveFailed: the objective raised or answered wrong shapes.
    """
    origin = start(objective, initial_seed)
    with np.errstate(all="ignore"):
        plane = _plane(paths, origin.astype(np.float64))
        coordinates = [plane.coordinates(path.parameters) for path in paths]
        optimum = plane.coordinates(np.asarray(objective.optimum)) if isinstance(objective, KnownOptimum) else None
        labels = _labels(objective)
        if resolution is None:
            nothing = np.empty(0)
            return Landscape(plane, labels, (nothing,) * len(labels), nothing, coordinates, optimum, 0)
        bounds = _bounds(paths, coordinates, plane.coordinates(origin.astype(np.float64)[None]))
        axes = tuple(np.linspace(low, high, resolution) for low, high in bounds)
        grid = np.stack(np.meshgrid(*axes, indexing="xy"), axis=-1)
        points = grid.reshape(-1, len(axes))
        at_once = max(1, min(_NUMBERS_AT_ONCE // objective.dimension, _ROWS_AT_ONCE))
        values = np.concatenate(
            [
                evaluate(objective, plane.points(part).astype(origin.dtype))[0].astype(np.float64)
                for part in (points[place : place + at_once] for place in range(0, len(points), at_once))
            ]
        )
    return Landscape(plane, labels, axes, values.reshape(grid.shape[:-1]), coordinates, optimum, len(points))


def _labels(objective: Objective) -> tuple[str, ...]:
    if objective.dimension > 2:
        return "direction 1", "direction 2"
    names = objective.names if isinstance(objective, Named) else ("x", "y")
    return tuple(names[: objective.dimension])


def _plane(paths: Sequence[Path], begin: Floats) -> Plane:
    dimension = len(begin)
    if dimension <= 2:
        return Plane(np.zeros(dimension), np.eye(dimension), None)
    shown = [path.parameters[chosen] for path, chosen in zip(paths, _shown(paths), strict=True)]
    origin = shown[0][-1] if len(shown[0]) else begin
    offsets = np.concatenate(shown) - origin
    if len(offsets) >= 2:
        _, lengths, directions = np.linalg.svd(offsets, full_matrices=False)
    else:
        lengths, directions = np.zeros(1), np.zeros((1, dimension))
    squares = lengths**2
    total = float(squares.sum())
    chosen: list[Floats] = []
    for place in range(2):
        held = place < len(squares) and squares[place] > 1e-20 * total
        chosen.append(_upright(directions[place]) if held else _another(chosen, dimension))
    shares = np.array([squares[place] / total if place < len(squares) and total > 0 else 0.0 for place in range(2)])
    return Plane(origin, np.array(chosen), shares)


def _shown(paths: Sequence[Path]) -> list[NDArray[np.bool_]]:
    """Of each path the points that are no worse than the start; where these are but a few, the first updates, too."""
    no_worse = [path.losses <= path.losses[:1] for path in paths]
    if sum(np.count_nonzero(chosen[1:]) for chosen in no_worse) >= FIRST_UPDATES:
        return no_worse
    return [chosen | (np.arange(len(chosen)) <= FIRST_UPDATES) for chosen in no_worse]


def _upright(direction: Floats) -> Floats:
    """A direction or its opposite: that whose largest component is positive, so that the picture is always the same."""
    return direction if direction[np.argmax(np.abs(direction))] > 0 else -direction


def _another(chosen: Sequence[Floats], dimension: int) -> Floats:
    """A direction across those that are chosen, for paths that have no second one: an axis, as far as it is across."""
    axis = np.zeros(dimension)
    axis[np.argmin(np.abs(chosen[0])) if chosen else 0] = 1.0
    for direction in chosen:
        axis = axis - (axis @ direction) * direction
    across: Floats = axis / np.linalg.norm(axis)
    return across


def _bounds(paths: Sequence[Path], coordinates: Sequence[Floats], origin: Floats) -> list[tuple[float, float]]:
    """Low and high of each axis."""
    held = np.concatenate([origin, *(on[chosen] for on, chosen in zip(coordinates, _shown(paths), strict=True))])
    low, high = held.min(axis=0), held.max(axis=0)
    width = high - low
    others = np.concatenate(coordinates)
    near = others[((others >= low - width) & (others <= high + width)).all(axis=1)]
    both = np.concatenate([held, near])
    low, high = both.min(axis=0), both.max(axis=0)
    # An axis along which nothing moved is as wide as the other one.
    width = np.where(high > low, high - low, (high - low).max())
    width = np.where(width > 0, width, np.maximum(1.0, np.abs(low)))
    middle = (low + high) / 2
    half = width * (0.5 + MARGIN)
    return list(zip((middle - half).tolist(), (middle + half).tolist(), strict=True))
