"""The rows that run at the moment, as arrays: what the loop moves and an update rule works on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.objectives import Array

Rows = NDArray[np.intp]
"""Numbers of some rows, ascending, shape (R,)."""


@dataclass
class Batch:
    """R rows at one step. Learning rates and settings are columns (R, 1), to be broadcast over D.

    ``parameters``, ``gradients`` and each array of ``state`` have shape (R, D), ``values`` (the losses) shape (R,).
    """

    rows: Rows
    parameters: Array
    values: Array
    gradients: Array
    learning_rates: Array
    settings: Mapping[str, Array]
    state: Mapping[str, Array]

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Batch":
        """The chosen rows, by mask or index."""
        return Batch(
            self.rows[which],
            self.parameters[which],
            self.values[which],
            self.gradients[which],
            self.learning_rates[which],
            {name: column[which] for name, column in self.settings.items()},
            {name: array[which] for name, array in self.state.items()},
        )

    def join(self, other: "Batch") -> "Batch":
        """Both batches' rows, in ascending order."""
        both = Batch(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.parameters, other.parameters]),
            np.concatenate([self.values, other.values]),
            np.concatenate([self.gradients, other.gradients]),
            np.concatenate([self.learning_rates, other.learning_rates]),
            {name: np.concatenate([column, other.settings[name]]) for name, column in self.settings.items()},
            {name: np.concatenate([array, other.state[name]]) for name, array in self.state.items()},
        )
        return both.take(np.argsort(both.rows))
