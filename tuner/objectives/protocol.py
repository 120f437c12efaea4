"""What an objective is: the one interface that users implement, vectorised from the start.

Notation used throughout ``objectives``, ``descent`` and ``analysis``:

    B   rows of a batch: parameter vectors that are evaluated in one call
    D   dimension: parameters of the objective
    x   parameters, shape (B, D); x_k is the state after k updates, x_0 the start
    f   the loss, shape (B,)
    g   its gradient, shape (B, D)
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


@runtime_checkable
class Objective(Protocol):
    """A loss surface with its gradient.

    An objective never raises for a bad point: overflow gives inf or NaN, and the descent ends that row. Whoever calls
    it silences NumPy's floating-point warnings. The dtype of ``initial_parameters`` is the dtype of the whole descent;
    losses may be of a wider one. Row i of an answer depends on row i of the question only.
    """

    dimension: int

    def initial_parameters(self, seed: int) -> Array:
        """The start x_0 for a seed, shape (D,)."""
        ...

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D): B gradient evaluations, the unit of cost."""
        ...


@runtime_checkable
class Validated(Protocol):
    """An objective that also measures held-out data: then the step count is a real choice."""

    def validation_value(self, parameters: Array) -> Array:
        """Validation losses (B,) at parameters (B, D). Costs no gradient evaluation."""
        ...


@runtime_checkable
class Stochastic(Protocol):
    """An objective that can also be sampled by mini-batches."""

    def sample_value_and_gradient(
        self, parameters: Array, rng: np.random.Generator, batch_size: int
    ) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) on one mini-batch that ``rng`` draws and all rows share.

        What is drawn depends on ``rng`` and ``batch_size`` only, never on B. A ``batch_size`` beyond the data is the
        whole data.
        """
        ...


@runtime_checkable
class KnownMinimum(Protocol):
    """An objective whose smallest loss is known in closed form."""

    @property
    def minimum(self) -> float:
        """The smallest loss."""
        ...


@runtime_checkable
class KnownOptimum(Protocol):
    """An objective of which it is known where its smallest loss is."""

    @property
    def optimum(self) -> Array:
        """Parameters of the smallest loss, shape (D,)."""
        ...


@runtime_checkable
class KnownCurvature(Protocol):
    """An objective of constant curvature: Hessian eigenvalues μ … L, the same everywhere."""

    @property
    def curvature(self) -> tuple[float, float]:
        """(μ, L): descent converges exactly when learning_rate < 2/L; the fastest constant rate is 2/(L+μ)."""
        ...


@runtime_checkable
class Named(Protocol):
    """An objective whose parameters have names."""

    @property
    def names(self) -> tuple[str, ...]:
        """One name a parameter, D of them."""
        ...
