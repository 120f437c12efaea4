"""How large a learning rate can be: the largest curvature at a point, and the limit that it sets to each update rule.

Near any point a loss is a quadratic, and along a Hessian eigenvector of eigenvalue λ gradient descent multiplies the
distance to its bottom by 1 - η·λ on every step: it is stable exactly when η < 2/L for the largest eigenvalue L. L is
measured by the Lanczos process (Lanczos 1950; Golub and Van Loan, Matrix Computations, section 10.1) on products H·v
that are differences of gradients, so that its cost has the unit of everything else: gradient evaluations.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tuner.descent import find_rule
from tuner.errors import InvalidInput
from tuner.objectives import Array, Objective, evaluate

MOST_EVALUATIONS = 100
"""Gradient evaluations a point, where the caller sets no limit."""

TOLERANCE = 0.01
"""The relative error of L at which a measurement ends."""

_LEAST_PRODUCTS = 3
"""Products before convergence is believed: a start almost orthogonal to the top eigenvector looks converged at once."""


@dataclass(frozen=True)
class Curvature:
    """The curvature at one point.

    largest: the largest Hessian eigenvalue L, the one that limits the rate. Negative where the loss curves downwards
        in every direction; None where it could not be measured.
    smallest: the smallest eigenvalue seen, an upper bound of the true one. Negative: some direction leads away from
        the point at any rate, and no minimum is near.
    relative_error: the estimated error of ``largest``, relative to it: the residual of its eigenvector, within which
        there is an eigenvalue, and the rounding of the differences.
    converged: whether that error is within the tolerance.
    gradient_evaluations: what the measurement took.
    reason: why ``largest`` is None or has not converged.
    """

    largest: float | None
    smallest: float | None
    relative_error: float | None
    converged: bool
    gradient_evaluations: int
    reason: str | None = None


def measure(
    objective: Objective,
    parameters: Array,
    *,
    seed: int = 0,
    most_evaluations: int = MOST_EVALUATIONS,
    tolerance: float = TOLERANCE,
) -> Curvature:
    """The curvature at the parameters x, shape (D,).

    Products H·v are forward differences in double precision, one evaluation each and one for all of them together. In
    single precision they are central ones, two each: its rounding asks for steps so long that the third derivative
    would show.

    Args:
        objective: what is measured.
        parameters: where, in the dtype in which the objective computes.
        seed: of the random vector that the process starts from.
        most_evaluations: gradient evaluations it may take. Where they do not suffice, the answer is the estimate so
            far, not converged.
        tolerance: relative error at which it ends.

    Raises:
        ObjectiveFailed: the objective raised, or answered other shapes or no real numbers.
    """
    return measure_all(
        objective, parameters[np.newaxis], seed=seed, most_evaluations=most_evaluations, tolerance=tolerance
    )[0]


def measure_all(
    objective: Objective,
    points: Array,
    *,
    seed: int = 0,
    most_evaluations: int = MOST_EVALUATIONS,
    tolerance: float = TOLERANCE,
) -> list[Curvature]:
    """The curvature at each of the points, shape (P, D): as `measure`, all in the same calls of the objective.

    ``most_evaluations`` is for each of them.
    """
    running = {
        index: _lanczos(point, np.random.default_rng(seed), most_evaluations, tolerance)
        for index, point in enumerate(points)
    }
    found: dict[int, Curvature] = {}
    answers: dict[int, Array | None] = dict.fromkeys(running)
    with np.errstate(all="ignore"):
        while running:
            asked: dict[int, Array] = {}
            for index, process in list(running.items()):
                try:
                    asked[index] = process.send(answers[index])
                except StopIteration as end:
                    found[index] = end.value
                    del running[index]
            if asked:
                _, gradients = evaluate(objective, np.concatenate(list(asked.values())))
                ends = np.cumsum([len(rows) for rows in asked.values()])[:-1]
                answers = dict(zip(asked, np.split(gradients, ends), strict=True))
    return [found[index] for index in range(len(points))]


_Process = Generator[Array, Array | None, Curvature]
"""Yields points (R, D), is sent the gradients there, and returns what it found."""

_Difference = Generator[Array, Array | None, tuple[NDArray[np.float64], float] | None]
"""The same, for one product H·v and its rounding; None where a gradient is not finite."""


class _Products:
    """Products of the Hessian at a point with vectors, as differences of gradients, and what they took."""

    def __init__(self, point: Array) -> None:
        self.spent = 0
        self._point = point.astype(np.float64)
        self._dtype = point.dtype
        self._epsilon = float(np.finfo(point.dtype).eps)
        self._central = self._dtype.itemsize < np.dtype(np.float64).itemsize
        # Steps that balance rounding against the next derivative (Dennis and Schnabel, Numerical Methods for
        # Unconstrained Optimization, 1983, section 5.4).
        power = 1 / 3 if self._central else 1 / 2
        self._step = self._epsilon**power * max(1.0, float(np.linalg.norm(self._point)))
        self._base: NDArray[np.float64] | None = None

    @property
    def price(self) -> int:
        """Gradient evaluations of the next product."""
        return 2 if self._central or self._base is None else 1

    def __call__(self, vector: NDArray[np.float64]) -> _Difference:
        ahead = self._point + self._step * vector
        if self._central:
            rows = np.stack([ahead, self._point - self._step * vector])
        else:
            rows = ahead[np.newaxis] if self._base is not None else np.stack([ahead, self._point])
        answer = yield rows.astype(self._dtype)
        assert answer is not None  # noqa: S101 (only what begins a generator is None)
        self.spent += len(rows)
        gradients = answer.astype(np.float64)
        if not np.isfinite(gradients).all():
            return None
        width = 2 * self._step if self._central else self._step
        behind = self._base if len(gradients) == 1 else gradients[1]
        if not self._central:
            self._base = behind
        return (gradients[0] - behind) / width, self._epsilon * float(np.linalg.norm(gradients[0])) / width


def _lanczos(point: Array, rng: np.random.Generator, most_evaluations: int, tolerance: float) -> _Process:
    if not np.isfinite(point).all():
        return Curvature(None, None, None, False, 0, "the parameters are not finite")
    dimension = len(point)
    products = _Products(point)
    basis = np.empty((0, dimension))
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    so_far = Curvature(None, None, None, False, 0)
    vector = rng.normal(size=dimension)
    vector /= np.linalg.norm(vector)
    while products.spent + products.price <= most_evaluations:
        answer = yield from products(vector)
        if answer is None:
            reason = "the gradient is not finite at the parameters or next to them"
            return Curvature(None, None, None, False, products.spent, reason)
        product, rounding = answer
        basis = np.vstack([basis, vector])
        diagonal.append(float(vector @ product))
        # Against the whole basis, since rounding lets the vectors drift; twice is enough (Parlett, The Symmetric
        # Eigenvalue Problem, section 6.9).
        for _ in range(2):
            product = product - basis.T @ (basis @ product)
        residual = float(np.linalg.norm(product))
        # The whole space, or a subspace that H maps into itself: there is nothing more to find.
        complete = len(basis) == dimension or residual <= rounding
        so_far = _estimate(diagonal, off_diagonal, 0.0 if complete else residual, rounding, products.spent)
        small = so_far.relative_error is not None and so_far.relative_error <= tolerance
        if small and (complete or len(basis) >= _LEAST_PRODUCTS):
            return replace(so_far, converged=True)
        if complete:
            return replace(so_far, reason="the curvature is lost in the rounding of the gradients")
        off_diagonal.append(residual)
        vector = product / residual
    return replace(so_far, reason=f"it takes more than {most_evaluations} gradient evaluations")


def _estimate(
    diagonal: Sequence[float], off_diagonal: Sequence[float], residual: float, rounding: float, spent: int
) -> Curvature:
    """What the tridiagonal matrix of the process says: its eigenvalues approach the outer ones of the Hessian."""
    values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1))
    largest = float(values[-1])
    error = residual * abs(float(vectors[-1, -1])) + rounding
    relative = error / abs(largest) if largest else float(np.inf if error else 0.0)
    return Curvature(largest, float(values[0]), relative, False, spent)


def limit(rule: str, settings: Mapping[str, float], curvature: float) -> float | None:
    """The learning rate from which on the update rule is unstable where the largest curvature is ``curvature``.

    Of a quadratic it is exact: below it every descent converges, above it almost every one diverges. None where
    nothing bounds the rate: the curvature is not positive, or the rule scales its steps by past gradients. Of the
    latter, RMSProp and Adam, the curvature alone says nothing: for Adam the limit (2+2β₁)/(1-β₁) is that of
    η·λ(P⁻¹·H), with a preconditioner P = diag(√ŝ + ε) that the descent makes as it goes (Cohen et al., "Adaptive
    gradient methods at the edge of stability", 2022).

    Args:
        rule: name of the update rule.
        settings: its settings; those left out are the defaults.
        curvature: the largest Hessian eigenvalue L.

    Raises:
        InvalidInput: there is no such rule or setting, or a setting is out of its bounds.
    """
    known = find_rule(rule)
    problems = known.problems(settings)
    if problems:
        raise InvalidInput(*problems)
    stable = _STABLE.get(rule)
    if stable is None or not curvature > 0:
        return None
    defaults = {name: setting.default for name, setting in known.settings.items()}
    return stable({**defaults, **settings}) / curvature


def _nesterov(settings: Mapping[str, float]) -> float:
    """With c = 1 - η·λ the iteration is y ← c·((1+β)·y - β·y₋₁); its roots leave the unit circle at c = -1/(1+2β)."""
    momentum = settings["momentum"]
    return 2 * (1 + momentum) / (1 + 2 * momentum)


_STABLE: Mapping[str, Callable[[Mapping[str, float]], float]] = MappingProxyType(
    {
        "gradient_descent": lambda _: 2.0,
        "heavy_ball": lambda settings: 2 * (1 + settings["momentum"]),
        "nesterov": _nesterov,
    }
)
"""By update rule: the η·L from which on it is unstable. The rules that are missing have none."""
