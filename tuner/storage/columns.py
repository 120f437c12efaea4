"""Trials as columns: what a sampler needs of each that learns from hundreds of them at every ask.

A trial of Optuna's is an object with a dictionary for each of its sides. To go through them one by one, at every ask,
takes longer than to compute with them. A column is made once for a trial; columns are cut and joined whole.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tuner.storage.frozen import OPTUNA_STATE, values_shown
from tuner.storage.studies import StudyRecord
from tuner.storage.trials import TrialRecord
from tuner.trial import TrialState

HIDDEN = OptunaState.FAIL
"""The state of a trial that no sampler is shown: it failed, or is excluded."""

_ABOVE_PARAMETERS = 4

_MISSING = math.nan


class Columns:
    """Trials, one a column, ascending by number.

    ``table``: one array, so that to cut or join is one operation: (4 + parameters, trials), float64. Its rows are those
    that the properties name.
    """

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    def __len__(self) -> int:
        trials: int = self.table.shape[1]
        return trials

    @classmethod
    def none(cls, parameters: int) -> "Columns":
        """No trial, of a search space of so many parameters."""
        return cls(np.empty((_ABOVE_PARAMETERS + parameters, 0)))

    @staticmethod
    def of_trials(trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]) -> "Columns":
        """Complete, pruned and running trials, ascending by number, of one goal."""
        return _table(
            [one.number for one in trials],
            [one.state for one in trials],
            [one.values[0] if one.state is OptunaState.COMPLETE else math.nan for one in trials],
            [bool(one.intermediate_values) or _is_constrained(one.system_attrs) for one in trials],
            [_column(name, part, [one.params for one in trials]) for name, part in space.items()],
        )

    @staticmethod
    def of_records(
        records: Sequence[TrialRecord], study: StudyRecord, space: Mapping[str, BaseDistribution]
    ) -> "Columns":
        """Trials as they are stored, ascending by number, of a study with one goal."""
        shown = [not one.excluded and one.state != TrialState.FAILED for one in records]
        pairs = list(zip(records, shown, strict=True))
        points = [one.parameters if show else {} for one, show in pairs]
        return _table(
            [one.number for one in records],
            [OPTUNA_STATE[TrialState(one.state)] if show else HIDDEN for one, show in pairs],
            [_value(one, study) for one in records],
            [_is_constrained(one.system_attrs) for one in records],
            [_column(name, part, points) for name, part in space.items()],
        )

    @property
    def numbers(self) -> np.ndarray:
        """Of the trials: (trials,)."""
        found: np.ndarray = self.table[0]
        return found

    @property
    def states(self) -> np.ndarray:
        """Optuna's: (trials,)."""
        found: np.ndarray = self.table[1]
        return found

    @property
    def values(self) -> np.ndarray:
        """Of the goal where a trial is complete, NaN elsewhere: (trials,)."""
        found: np.ndarray = self.table[2]
        return found

    @property
    def parameters(self) -> np.ndarray:
        """As Optuna's distributions hold them, in the order of the search space: (parameters, trials).

        A choice is its index, what a trial lacks is NaN.
        """
        return self.table[_ABOVE_PARAMETERS:]

    @cached_property
    def goes_beyond(self) -> bool:
        """Whether there is more to any of them that samplers go by: constraints, or a curve."""
        return bool(self.table[3].any())

    @cached_property
    def finished(self) -> int:
        """How many are complete or pruned."""
        return int(np.count_nonzero((self.states == OptunaState.COMPLETE) | (self.states == OptunaState.PRUNED)))

    def take(self, places: np.ndarray) -> "Columns":
        """Those at these places, or where this is true."""
        return Columns(self.table[:, places])

    def joined(self, others: "Columns") -> "Columns":
        """These and others, none of which is one of these."""
        both = np.concatenate([self.table, others.table], axis=1)
        return Columns(both[:, both[0].argsort(kind="stable")])

    def places_of(self, numbers: np.ndarray) -> np.ndarray:
        """Where the trials of these numbers are, -1 where they are not; the shape of ``numbers``."""
        if not len(self):
            return np.full(numbers.shape, -1)
        places = self.numbers.searchsorted(numbers)
        places[self.numbers.take(places, mode="clip") != numbers] = -1
        return places


def _table(
    numbers: Sequence[int],
    states: Sequence[int],
    values: Sequence[float],
    beyond: Sequence[bool],
    parameters: Sequence[Sequence[float]],
) -> Columns:
    return Columns(np.array([numbers, states, values, beyond, *parameters], dtype=np.float64))


def _column(name: str, part: BaseDistribution, points: Sequence[Mapping[str, Any]]) -> list[float]:
    values = [point.get(name, _MISSING) for point in points]
    if isinstance(part, CategoricalDistribution):
        places = {_MISSING: math.nan} | {choice: place for place, choice in reversed(list(enumerate(part.choices)))}
        values = [places[value] if value in places else part.to_internal_repr(value) for value in values]
    return values


def _value(record: TrialRecord, study: StudyRecord) -> float:
    values = values_shown(record, study) if record.state == TrialState.COMPLETE else None
    return math.nan if values is None else values[0]


def _is_constrained(system_attrs: Mapping[str, Any]) -> bool:
    return any(name.startswith("constraints") for name in system_attrs)
