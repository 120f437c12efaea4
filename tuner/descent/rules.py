"""Update rules: what one step of each method does to a whole batch.

To add one: a function, and one entry in `RULES`. A rule sees the R rows of a `Batch` at once, each with its own
learning rate η and settings. It answers new parameters x and a new state, and changes no array it was given. Its
``step`` is k, the number of updates before this one: x_k becomes x_{k+1}. Every array of the state starts at zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tuner.descent.batch import Batch
from tuner.errors import FieldError, InvalidInput
from tuner.objectives import Array

State = Mapping[str, Array]


@dataclass(frozen=True)
class RuleSetting:
    """A number that an update rule takes, per row: ``low <= value < high``."""

    default: float
    low: float
    high: float
    description: str

    def allows(self, value: float) -> bool:
        """Whether the value is within the bounds."""
        return self.low <= value < self.high


Update = Callable[[Batch, int], tuple[Array, State]]
"""From a batch at step k (and k): parameters (R, D) and state at step k + 1."""


@dataclass(frozen=True)
class UpdateRule:
    """A method of descent. ``state`` names the arrays that it carries from step to step."""

    name: str
    description: str
    update: Update
    settings: Mapping[str, RuleSetting]
    state: tuple[str, ...]

    def problems(self, settings: Mapping[str, float]) -> list[FieldError]:
        """What is wrong with these settings, field by field (``settings.momentum``)."""
        found = []
        for name, value in settings.items():
            bounds = self.settings.get(name)
            if bounds is None:
                known = ", ".join(self.settings) or "none"
                found.append(FieldError(f"settings.{name}", f"{self.name} has no such setting; it has: {known}"))
            elif not bounds.allows(value):
                found.append(FieldError(f"settings.{name}", f"must be at least {bounds.low} and below {bounds.high}"))
        return found


def _gradient_descent(batch: Batch, _step: int) -> tuple[Array, State]:
    """x ← x - η·g (Cauchy 1847)."""
    return batch.parameters - batch.learning_rates * batch.gradients, batch.state


def _heavy_ball(batch: Batch, _step: int) -> tuple[Array, State]:
    """v ← β·v + g, x ← x - η·v.

    For a constant rate this is x_{k+1} = x_k - η·g_k + β·(x_k - x_{k-1}) of Polyak, "Some methods of speeding up the
    convergence of iteration methods" (1964). On a quadratic it converges exactly when η < 2(1+β)/L.
    """
    velocity = batch.settings["momentum"] * batch.state["velocity"] + batch.gradients
    return batch.parameters - batch.learning_rates * velocity, {"velocity": velocity}


def _nesterov(batch: Batch, _step: int) -> tuple[Array, State]:
    """v ← β·v + g, y ← y - η·(g + β·v).

    Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k²)" (1983), with constant
    β: x_{k+1} = y_k - η·∇f(y_k), y_{k+1} = x_{k+1} + β·(x_{k+1} - x_k). The parameters are the look-ahead points y,
    where the gradient is taken, as in every deep-learning library.
    """
    momentum = batch.settings["momentum"]
    velocity = momentum * batch.state["velocity"] + batch.gradients
    return batch.parameters - batch.learning_rates * (batch.gradients + momentum * velocity), {"velocity": velocity}


def _rmsprop(batch: Batch, _step: int) -> tuple[Array, State]:
    """s ← β₂·s + (1-β₂)·g², x ← x - η·g / (√s + ε).

    Hinton, "Neural Networks for Machine Learning", lecture 6e (2012).
    """
    beta2 = batch.settings["beta2"]
    mean_square = beta2 * batch.state["mean_square"] + (1 - beta2) * np.square(batch.gradients)
    direction = batch.gradients / (np.sqrt(mean_square) + batch.settings["epsilon"])
    return batch.parameters - batch.learning_rates * direction, {"mean_square": mean_square}


def _adam(batch: Batch, step: int) -> tuple[Array, State]:
    """m ← β₁·m + (1-β₁)·g, s ← β₂·s + (1-β₂)·g², x ← x - η·m̂ / (√ŝ + ε), with m̂ = m/(1-β₁ᵗ), ŝ = s/(1-β₂ᵗ), t = k+1.

    Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1.
    """
    beta1, beta2 = batch.settings["beta1"], batch.settings["beta2"]
    mean = beta1 * batch.state["mean"] + (1 - beta1) * batch.gradients
    mean_square = beta2 * batch.state["mean_square"] + (1 - beta2) * np.square(batch.gradients)
    updates = step + 1
    unbiased_mean = mean / (1 - beta1**updates)
    unbiased_mean_square = mean_square / (1 - beta2**updates)
    direction = unbiased_mean / (np.sqrt(unbiased_mean_square) + batch.settings["epsilon"])
    return batch.parameters - batch.learning_rates * direction, {"mean": mean, "mean_square": mean_square}


_MOMENTUM = RuleSetting(0.9, 0.0, 1.0, "β: the share of the last step's velocity that is kept.")
_EPSILON = RuleSetting(1e-8, 1e-16, 1.0, "ε: keeps the division finite where gradients vanish.")
_BETA1 = RuleSetting(0.9, 0.0, 1.0, "β₁: the decay of the mean gradient.")
_BETA2_TEXT = "β₂: the decay of the mean squared gradient (RMSProp's ρ or α)."  # noqa: RUF001


def _rule(
    name: str, description: str, update: Update, state: tuple[str, ...] = (), **settings: RuleSetting
) -> tuple[str, UpdateRule]:
    return name, UpdateRule(name, description, update, MappingProxyType(settings), state)


RULES: Mapping[str, UpdateRule] = MappingProxyType(
    dict(
        (
            _rule("gradient_descent", "Straight down the gradient.", _gradient_descent),
            _rule("heavy_ball", "Polyak's momentum.", _heavy_ball, ("velocity",), momentum=_MOMENTUM),
            _rule("nesterov", "Nesterov's momentum, looking ahead.", _nesterov, ("velocity",), momentum=_MOMENTUM),
            _rule(
                "rmsprop",
                "Each parameter's step divided by its gradient's recent size.",
                _rmsprop,
                ("mean_square",),
                beta2=RuleSetting(0.9, 0.0, 1.0, _BETA2_TEXT),
                epsilon=_EPSILON,
            ),
            _rule(
                "adam",
                "RMSProp with momentum, and without the bias of the first steps.",
                _adam,
                ("mean", "mean_square"),
                beta1=_BETA1,
                beta2=RuleSetting(0.999, 0.0, 1.0, _BETA2_TEXT),
                epsilon=_EPSILON,
            ),
        )
    )
)
"""Every update rule by its name."""


def find_rule(name: str) -> UpdateRule:
    """The update rule of that name.

    Raises:
        InvalidInput: at ``update_rule``: there is none.
    """
    if name not in RULES:
        raise InvalidInput.at("update_rule", f"{name!r} is none of {', '.join(RULES)}")
    return RULES[name]
