"""What searches are measured on: objectives of many kinds, in two halves.

A search is designed on one half and held to the other. The halves have the same kinds, with other sizes, data, scales
and starts. Every problem asks for a rate in [1e-5, 10] and at most 1,000 steps.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from benchmarks import surfaces
from tuner.objectives import Array, Objective, create, registered

LOWEST_RATE, HIGHEST_RATE = 1e-5, 10.0
MOST_STEPS = 1000

_PRIVATE: Mapping[str, Callable[..., Objective]] = MappingProxyType(
    {
        "uneven_linear": surfaces.UnevenLinear,
        "uneven_logistic": surfaces.UnevenLogistic,
        "raw_iris": surfaces.RawIris,
        "huber": surfaces.Huber,
        "poisson": surfaces.Poisson,
        "factorisation": surfaces.Factorisation,
        "layers": surfaces.Layers,
    }
)


class Counted:
    """The training loss of an objective, and how many gradient evaluations were made of it.

    Nothing else of it shows: no search is to pay for a validation loss that none of them looks at.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self.dimension = objective.dimension
        self.evaluations = 0

    def initial_parameters(self, seed: int) -> Array:
        """The start, shape (D,)."""
        return self._objective.initial_parameters(seed)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        """Losses (B,) and gradients (B, D) at parameters (B, D)."""
        self.evaluations += len(parameters)
        return self._objective.value_and_gradient(parameters)


Half = Literal["design", "held-out"]


@dataclass(frozen=True, eq=False)
class Problem:
    """An objective, registered or of `surfaces`, with its settings and the seed of its start."""

    name: str
    half: Half
    objective: str
    settings: Mapping[str, Any]
    initial_seed: int = 0

    def create(self) -> "Counted":
        """The objective, with nothing spent yet."""
        if self.objective in registered():
            return Counted(create(self.objective, self.settings))
        return Counted(_PRIVATE[self.objective](**self.settings))

    @property
    def key(self) -> str:
        """What it is, whatever its name: objective, settings and start, as JSON."""
        return json.dumps([self.objective, dict(self.settings), self.initial_seed], sort_keys=True)


def _half(half: Half, *problems: tuple[Any, ...]) -> tuple[Problem, ...]:
    return tuple(Problem(name, half, *rest) for name, *rest in problems)


DESIGN = _half(
    "design",
    ("line fit", "line_fit", {}),
    ("quadratic, condition 2", "quadratic", {"dimension": 2, "condition_number": 2.0}),
    ("quadratic, condition 100", "quadratic", {"dimension": 20, "condition_number": 100.0}),
    (
        "quadratic, condition 1,000",
        "quadratic",
        {"dimension": 100, "condition_number": 1000.0, "curvature_scale": 30.0, "seed": 1},
    ),
    ("quadratic, condition 10,000", "quadratic", {"dimension": 10, "condition_number": 10000.0, "seed": 2}),
    ("linear, diabetes", "linear_regression", {"data": "diabetes"}),
    ("linear, uneven 30", "uneven_linear", {"samples": 200, "features": 10, "spread": 30.0, "seed": 0}),
    ("logistic, breast cancer", "logistic_regression", {"data": "breast_cancer"}),
    ("logistic, digits", "logistic_regression", {"data": "digits", "train_fraction": 0.1}),
    (
        "logistic, uneven 20",
        "uneven_logistic",
        {"samples": 200, "features": 10, "spread": 20.0, "positives": 0.5, "seed": 1},
    ),
    (
        "Huber, far start",
        "huber",
        {"samples": 200, "features": 8, "spread": 5.0, "delta": 0.5, "far": 20.0, "seed": 0},
    ),
    ("Poisson, counts of 5", "poisson", {"samples": 200, "features": 6, "spread": 3.0, "level": 5.0, "seed": 0}),
    ("Rosenbrock, 2", "rosenbrock", {}),
    ("Rosenbrock, 10", "rosenbrock", {"dimension": 10}),
    ("Beale", "beale", {}),
    ("factorisation, rank 3", "factorisation", {"size": 20, "rank": 3, "spread": 4.0, "start": 0.05, "seed": 0}),
    ("network, synthetic", "network", {"train_fraction": 0.25}),
    ("network, wine, squared", "network", {"data": "wine", "loss": "squared", "hidden": 8}),
    (
        "2 relu layers, digits",
        "layers",
        {"data": "digits", "hidden": [24, 16], "activation": "relu", "gain": 1.4, "samples": 60, "classes": True},
    ),
    ("2 tanh layers, waves", "layers", {"data": "waves", "hidden": [16, 16], "activation": "tanh", "samples": 60}),
)
"""What the search is designed on."""

HELD_OUT = _half(
    "held-out",
    ("line fit, other points", "line_fit", {"seed": 11}),
    ("quadratic, condition 10", "quadratic", {"dimension": 5, "condition_number": 10.0, "curvature_scale": 100.0}),
    ("quadratic, condition 300", "quadratic", {"dimension": 50, "condition_number": 300.0, "seed": 3}),
    (
        "quadratic, condition 3,000",
        "quadratic",
        {"dimension": 3, "condition_number": 3000.0, "curvature_scale": 5.0, "seed": 4},
    ),
    (
        "quadratic, condition 10,000, wide",
        "quadratic",
        {"dimension": 200, "condition_number": 10000.0, "curvature_scale": 0.3, "seed": 5},
    ),
    ("linear, synthetic", "linear_regression", {}),
    ("linear, uneven 10", "uneven_linear", {"samples": 100, "features": 30, "spread": 10.0, "seed": 7}),
    ("logistic, wine", "logistic_regression", {"data": "wine", "regularisation": 0.001}),
    ("logistic, raw irises", "raw_iris", {}),
    (
        "logistic, uneven 10, rare class",
        "uneven_logistic",
        {"samples": 300, "features": 20, "spread": 10.0, "positives": 0.05, "seed": 8},
    ),
    (
        "Huber, near start",
        "huber",
        {"samples": 100, "features": 15, "spread": 10.0, "delta": 0.1, "far": 2.0, "seed": 9},
    ),
    ("Poisson, counts of 50", "poisson", {"samples": 100, "features": 3, "spread": 2.0, "level": 50.0, "seed": 10}),
    ("Rosenbrock, 2, moved", "rosenbrock", {}, 1),
    ("Rosenbrock, 5", "rosenbrock", {"dimension": 5}),
    ("Beale, moved", "beale", {}, 2),
    ("factorisation, rank 1", "factorisation", {"size": 30, "rank": 1, "spread": 1.0, "start": 0.3, "seed": 11}),
    ("network, digits", "network", {"data": "digits", "train_fraction": 0.05, "hidden": 12}, 1),
    ("network, diabetes, squared", "network", {"data": "diabetes", "loss": "squared", "train_fraction": 0.3}),
    (
        "3 sigmoid layers, breast cancer",
        "layers",
        {
            "data": "breast_cancer",
            "hidden": [10, 10, 10],
            "activation": "sigmoid",
            "gain": 3.0,
            "samples": 60,
            "classes": True,
        },
    ),
    (
        "1 softplus layer, waves",
        "layers",
        {"data": "waves", "hidden": [40], "activation": "softplus", "gain": 2.0, "samples": 40},
    ),
)
"""What it is held to."""

PROBLEMS = DESIGN + HELD_OUT
