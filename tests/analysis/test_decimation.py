"""A long curve shown by few points keeps what a reader looks for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tuner.analysis.decimation import decimate


@given(st.lists(st.floats(), min_size=1, max_size=300), st.integers(5, 60))
def test_ends_extremes_and_the_first_loss_that_is_not_finite_are_kept(losses: list[float], max_points: int) -> None:
    values = np.array(losses)
    kept = decimate(values, max_points)
    assert len(kept) <= max_points
    assert np.all(np.diff(kept) > 0)
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    finite = values[np.isfinite(values)]
    if finite.size:
        shown = values[kept]
        assert finite.max() in shown
        assert finite.min() in shown
    if finite.size < values.size:
        assert np.flatnonzero(~np.isfinite(values))[0] in kept


def test_a_short_curve_is_shown_whole() -> None:
    assert decimate(np.arange(50.0), 50).tolist() == list(range(50))
    assert decimate(np.arange(50.0), None).tolist() == list(range(50))
