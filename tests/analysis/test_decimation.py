"""A long curve shown by few points keeps what a reader looks for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tuner.analysis.decimation import decimate, spread


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


@given(
    st.lists(st.tuples(st.floats(-1e300, 1e300), st.floats(-1e3, 1e3), st.integers(0, 3)), min_size=1, max_size=300),
    st.integers(20, 60),
)
def test_of_a_cloud_the_outermost_points_of_each_kind_are_kept(
    points: list[tuple[float, float, int]], most: int
) -> None:
    across, up = np.array([one[:2] for one in points]).T
    kinds = np.array([one[2] for one in points], dtype=np.intp)
    wanted = np.arange(len(points)) == len(points) // 2
    kept = spread(across, up, most, kinds=kinds, kept=wanted)
    assert len(kept) == min(most, len(points))
    assert np.all(np.diff(kept) > 0)
    assert len(points) // 2 in kept
    for kind in set(kinds.tolist()):
        for values in (across, up):
            mine, shown = values[kinds == kind], values[kept][kinds[kept] == kind]
            assert (mine.min(), mine.max()) == (shown.min(), shown.max())


def test_where_a_cloud_is_thin_its_points_are_kept() -> None:
    rng = np.random.default_rng(0)
    dense = rng.normal(0, 0.01, (10_000, 2))
    thin = np.array([[1.0, 1.0], [0.5, 0.7], [0.9, 0.1], [0.2, 0.9]])
    across, up = np.concatenate([dense, thin]).T
    kept = spread(across, up, 400)
    assert len(kept) == 400
    assert set(range(10_000, 10_004)) <= set(kept.tolist())
