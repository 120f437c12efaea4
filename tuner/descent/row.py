"""One row of a descent: what it is told, what it gives, and where it can go on."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from tuner.descent.curves import Curve
from tuner.descent.rules import UpdateRule
from tuner.errors import FieldError
from tuner.objectives import Array
from tuner.trial import Outcome


@dataclass(frozen=True)
class Row:
    """One descent to run: ``steps`` updates at a constant learning rate. Settings left out are the rule's defaults.

    It is stopped at the first step after the one it begins at where its loss is above ``ceiling``.
    """

    learning_rate: float
    steps: int
    settings: Mapping[str, float] = field(default_factory=dict)
    ceiling: float = math.inf

    @classmethod
    def of(cls, parameters: Mapping[str, Any], rule: UpdateRule, *, steps: int | None = None) -> Self:
        """The row of a trial's parameters, over its own steps or so many; settings of other rules are none of it."""
        settings = {name: float(parameters[name]) for name in rule.settings if name in parameters}
        return cls(float(parameters["learning_rate"]), parameters["steps"] if steps is None else steps, settings)

    def problems(self, rule: UpdateRule) -> list[FieldError]:
        """What is wrong with it under that rule, field by field."""
        found = []
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            found.append(FieldError("learning_rate", "must be a finite number above 0"))
        if self.steps < 0:
            found.append(FieldError("steps", "must not be negative"))
        return found + rule.problems(self.settings)


@dataclass(frozen=True)
class Checkpoint:
    """Where a row stood, so that it can go on and nothing is evaluated twice.

    ``parameters``, ``gradient`` and each array of ``state`` have shape (D,); ``value`` is the loss at ``step``. Value
    and gradient are None where the last evaluation is none to go on from: in stochastic descent a row that ran its
    steps ended with the full loss, and going on evaluates the mini-batch of that step, one evaluation more.
    """

    step: int
    parameters: Array
    state: Mapping[str, Array]
    value: float | None
    gradient: Array | None

    def to_bytes(self) -> bytes:
        """All of it, as bytes that `from_bytes` reads again, bit for bit: NumPy's ``npz``."""
        arrays: dict[str, Any] = {"step": np.int64(self.step), "parameters": self.parameters}
        arrays |= {f"state_{name}": array for name, array in self.state.items()}
        if self.gradient is not None:
            arrays |= {"value": np.float64(self.value), "gradient": self.gradient}
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        """The inverse of `to_bytes`."""
        with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
            return cls(
                step=int(arrays["step"]),
                parameters=arrays["parameters"],
                state={name.removeprefix("state_"): arrays[name] for name in arrays if name.startswith("state_")},
                value=float(arrays["value"]) if "value" in arrays else None,
                gradient=arrays.get("gradient"),
            )


@dataclass(frozen=True)
class RowResult:
    """What a row gave so far; ``outcome`` is None while it runs.

    ``steps_run`` is the last step with a loss, counted from x_0 even where the row continues from a checkpoint; there
    the curves begin at the checkpoint's step, and ``gradient_evaluations`` are those of this descent alone.
    ``validation`` is None where the objective holds no data out. ``checkpoint`` is None where nothing can go on:
    before the row began, and outside the finite numbers.
    """

    outcome: Outcome | None
    steps_run: int
    gradient_evaluations: int
    loss: Curve
    validation: Curve | None
    checkpoint: Checkpoint | None
