"""Seeds for Optuna's samplers, which take 32 bits: from the study's seed and the trial's number, and nothing else.

A sampler is built anew for every trial. With a seed of its own for each, no point is drawn twice because a process, a
request or a batch began; and what was drawn before in the same process changes nothing.
"""

import threading
from functools import lru_cache

import numpy as np

_MASK = 0xFFFFFFFF


def study_seed(seed: int) -> int:
    """The seed that all trials of a study share."""
    return _words(seed)[0]


def trial_seed(seed: int, number: int) -> int:
    """The seed of one trial; the first 2**32 numbers of a study have different ones.

    A hash into 32 bits would give about one pair among 100,000 trials the same seed, so this is a permutation of the
    numbers: MurmurHash3's finaliser between two keys.
    """
    before, after = _words(seed)
    mixed = (number ^ before) & _MASK
    mixed = ((mixed ^ (mixed >> 16)) * 0x85EBCA6B) & _MASK
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2AE35) & _MASK
    return mixed ^ (mixed >> 16) ^ after


class _Generator(threading.local):
    def __init__(self) -> None:
        self.random = np.random.RandomState()


_generator = _Generator()


def generator(seed: int) -> np.random.RandomState:
    """Random numbers as of ``RandomState(seed)``: the thread's own, seeded anew.

    To make one takes fifty times as long: it first gathers randomness that the seed then replaces.
    """
    _generator.random.seed(seed)
    return _generator.random


@lru_cache(maxsize=64)
def _words(seed: int) -> tuple[int, int]:
    first, second = np.random.SeedSequence(seed).generate_state(2).tolist()
    return first, second
