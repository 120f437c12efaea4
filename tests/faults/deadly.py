"""An objective that kills the process that evaluates it, as a crash of native code does."""

import os
from pathlib import Path

import numpy as np

from tuner.objectives import Array, register


@register("deadly_bowl")
class DeadlyBowl:
    """x² from x = 1, whose evaluation kills where |x| is at least ``rim``; each death leaves a line in a log.

    Descent at a rate of 2 and more lands at |x| ≥ 3 with its first step.
    """

    dimension = 1

    def __init__(self, log: str, rim: float = 2.5) -> None:
        self.log = Path(log)
        self.rim = rim

    def initial_parameters(self, seed: int) -> Array:
        return np.ones(1)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        if np.any(np.abs(parameters) >= self.rim):
            with self.log.open("a") as file:
                file.write(f"{os.getpid()}\n")
            os._exit(1)
        return parameters[:, 0] ** 2, 2 * parameters
