"""What a learner looks at: part of a study's trials, no larger however long the study is.

Optuna's samplers are handed every trial of a study at every trial. Here a learner says which it needs: the best, the
latest, those that run, an even spread over the whole study. The part depends on the trials alone, so that the same
study is seen in the same way by every process and after every restart.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from tuner.storage.columns import Columns

LEARNED_FROM = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
"""The trials that samplers look at; those that run keep others of the batch away from where they are."""


class Trials(Protocol):
    """A study's trials, to be looked at in part. Trials are named by their numbers until they are shown.

    Excluded trials are none of them.
    """

    @property
    def next_number(self) -> int:
        """The number that the study's next trial will get."""

    @property
    def system_attrs(self) -> Mapping[str, Any]:
        """The study's, where samplers keep their state."""

    def best(self, count: int) -> Sequence[int]:
        """The complete trials of the best finite values, the best first.

        Of equal ones the earliest come first where the goal is to minimize, the latest where it is to maximize.
        """

    def latest(self, count: int) -> Sequence[int]:
        """The complete trials of the greatest numbers, descending."""

    def running(self, count: int) -> Sequence[int]:
        """The running trials of the greatest numbers, descending."""

    def of_ids(self, ids: Collection[int]) -> Sequence[int]:
        """The trials of these ids."""

    def show(self, numbers: Collection[int]) -> list[FrozenTrial]:
        """Those of these numbers that are complete, pruned or running, ascending by number."""

    def columns(self, numbers: np.ndarray) -> Columns | None:
        """The same as columns; None where they are not at hand, or do not hold all. Numbers: int64, ascending."""


@dataclass(frozen=True)
class Sight:
    """What is seen of a study.

    trials: complete, pruned and running ones, ascending by number; none where the learner looked at ``columns``, which
    are the same. weights: how many trials each of them stands for, (trials,); None: itself alone.
    """

    trials: list[FrozenTrial]
    columns: Columns | None = None
    weights: np.ndarray | None = None

    @property
    def numbers(self) -> np.ndarray:
        """Of the trials: (trials,)."""
        if self.columns is not None:
            return self.columns.numbers
        return np.array([one.number for one in self.trials], dtype=np.int64)


def spread(next_number: int, most: int) -> Sequence[int]:
    """Numbers spread evenly over 0 … next_number - 1, ascending: all of them up to ``most``, then more than half that.

    One of every 2, 4, 8 … successive numbers: of each pair that merges, a hash says which stays. So the numbers of a
    longer study are, as far as it is the same, among those of the shorter one; and they have no rhythm that a
    pattern in the trials (one worker of four that always fails) could fall in with.
    """
    doublings = 0
    while -(-next_number >> doublings) > most:
        doublings += 1
    if not doublings:
        return range(next_number)
    numbers = _one_of_each(-(-next_number >> doublings), doublings)
    return numbers if numbers[-1] < next_number else numbers[:-1]


@lru_cache(maxsize=64)
def _one_of_each(blocks: int, doublings: int) -> tuple[int, ...]:
    """A number of each block of ``2**doublings``."""
    chosen = np.arange(blocks, dtype=np.uint64)
    for level in range(doublings, 0, -1):
        chosen = 2 * chosen + _bit(chosen, level)
    return tuple(chosen.tolist())


def _bit(places: np.ndarray, level: int) -> np.ndarray:
    """A random-looking bit of each place: the top one of SplitMix64's finaliser."""
    with np.errstate(over="ignore"):
        mixed = (places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(level)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits: np.ndarray = mixed >> np.uint64(63)
    return bits


class Listed:
    """`Trials` in memory: what each part of a study is, said by sorting all, for those who have all at hand.

    ``next_number`` counts with the trials that are given: hand over failed and waiting ones too.
    """

    def __init__(self, trials: Iterable[FrozenTrial], system_attrs: Mapping[str, Any], direction: str) -> None:
        self.next_number = 0
        self.system_attrs = system_attrs
        self._direction = direction
        self._trials: dict[int, FrozenTrial] = {}
        for trial in trials:
            self.add(trial)

    def add(self, trial: FrozenTrial) -> None:
        """One more trial, or an old one in its new state."""
        self._trials[trial.number] = trial
        self.next_number = max(self.next_number, trial.number + 1)

    def best(self, count: int) -> Sequence[int]:
        """The complete trials of the best finite values, the best first."""
        finite = [one for one in self._in(TrialState.COMPLETE) if one.value is not None and math.isfinite(one.value)]
        finite.sort(key=lambda one: (one.value, one.number), reverse=self._direction == "maximize")
        return [one.number for one in finite[:count]]

    def latest(self, count: int) -> Sequence[int]:
        """The complete trials of the greatest numbers, descending."""
        return sorted((one.number for one in self._in(TrialState.COMPLETE)), reverse=True)[:count]

    def running(self, count: int) -> Sequence[int]:
        """The running trials of the greatest numbers, descending."""
        return sorted((one.number for one in self._in(TrialState.RUNNING)), reverse=True)[:count]

    def of_ids(self, ids: Collection[int]) -> Sequence[int]:
        """The trials of these ids."""
        return [one.number for one in self._trials.values() if one._trial_id in ids]

    def show(self, numbers: Collection[int]) -> list[FrozenTrial]:
        """The trials themselves, not copies."""
        found = [self._trials[number] for number in sorted(set(numbers)) if number in self._trials]
        return [one for one in found if one.state in LEARNED_FROM]

    def columns(self, numbers: np.ndarray) -> None:  # noqa: ARG002
        """They are made of the trials by whoever needs them."""
        return

    def _in(self, state: TrialState) -> list[FrozenTrial]:
        return [one for one in self._trials.values() if one.state == state]
