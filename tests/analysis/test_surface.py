"""The table of rates and steps against one that is filled cell by cell."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tuner.analysis.surface import columns, step_counts, surface

Curves = list[tuple[int, NDArray[np.int64], NDArray[np.float64]]]


def curves(seed: int, rates: int) -> Curves:
    rng = np.random.default_rng(seed)
    found: Curves = []
    for _ in range(12):
        steps = np.unique(rng.integers(0, 40, rng.integers(1, 30)))
        values = rng.normal(size=len(steps))
        if rng.random() < 0.4:
            values[-rng.integers(1, len(values) + 1) :] = rng.choice([math.nan, math.inf])
        found.append((int(rng.integers(0, rates)), steps, values))
    return found


def cell(found: Curves, column: int, step: int, sign: float, within: bool) -> float | None:
    """The best value there; nan where only diverged ones are known, None where none is."""
    candidates: list[float] = []
    for place, steps, values in found:
        if place != column or steps[0] > step or (step > steps[-1] and math.isfinite(values[-1]) and not within):
            continue
        upto = values[steps <= step]
        seen = upto[np.isfinite(upto)] if within else upto[-1:]
        candidates.append(sign * min(sign * seen) if len(seen) else math.nan)
    finite = [sign * value for value in candidates if math.isfinite(value)]
    return sign * min(finite) if finite else math.nan if candidates else None


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("rising", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_every_cell_is_the_best_that_is_known_there(seed: int, rising: bool, within: bool) -> None:
    found = curves(seed, rates=4)
    steps = np.array([0, 1, 2, 3, 5, 8, 13, 21, 34, 55])
    table = surface(found, np.arange(4.0), steps, rising=rising, within=within)
    for row, step in enumerate(steps):
        for column in range(4):
            expected = cell(found, column, int(step), -1.0 if rising else 1.0, within)
            assert table.known[row, column] == (expected is not None)
            if expected is not None and math.isfinite(expected):
                assert table.values[row, column] == expected
            else:
                assert not math.isfinite(table.values[row, column])


def test_few_rates_have_a_column_each() -> None:
    rates, place = columns(np.array([0.1, 0.5, 0.1, 0.01]), 3)
    assert rates.tolist() == [0.01, 0.1, 0.5]
    assert place.tolist() == [1, 2, 1, 0]


@pytest.mark.parametrize("low", [1e-4, -1.0])
def test_many_rates_share_columns_and_each_is_in_the_nearest(low: float) -> None:
    drawn = np.random.default_rng(0).uniform(low, 1.0, 500)
    rates, place = columns(drawn, 20)
    assert len(rates) <= 20
    assert np.all(np.diff(rates) > 0)
    assert set(place.tolist()) == set(range(len(rates)))
    scale = np.log if low > 0 else np.asarray
    wide = (scale(drawn).max() - scale(drawn).min()) / 20
    assert np.all(np.abs(scale(drawn) - scale(rates[place])) <= wide / 2 + 1e-12)


def test_step_counts_are_all_where_they_are_few_and_spread_where_they_are_many() -> None:
    assert step_counts(5, 40).tolist() == [1, 2, 3, 4, 5]
    many = step_counts(1_000_000, 40)
    assert (many[0], many[-1]) == (1, 1_000_000)
    assert len(many) <= 40
    assert step_counts(0, 40).tolist() == [1]
