"""Lines of equal height against a circle, a plane and a saddle."""

import math

import numpy as np
import pytest

from tuner.analysis.isolines import isoline


def test_the_line_of_a_bowl_is_a_circle() -> None:
    at = np.arange(41) - 20.0
    pieces = list(isoline(at[:, None] ** 2 + at**2, 144.0))
    for begin, end in pieces:
        for x, y in (begin, end):
            assert math.hypot(x - 20, y - 20) == pytest.approx(12, abs=0.03)
    assert sum(math.dist(begin, end) for begin, end in pieces) == pytest.approx(2 * math.pi * 12, rel=0.003)


def test_the_pieces_join_to_closed_lines() -> None:
    at = np.arange(30) - 14.6
    ends = [end for piece in isoline(np.hypot(at[:, None], 2 * at), 9.3) for end in piece]
    rounded = [(round(x, 9), round(y, 9)) for x, y in ends]
    assert ends
    assert all(rounded.count(end) == 2 for end in rounded)


def test_the_line_of_a_plane_is_straight_and_crosses_the_grid() -> None:
    rows, columns = np.mgrid[:5, :7]
    pieces = list(isoline(2.0 * columns + rows, 5.0))
    assert all(2 * x + y == pytest.approx(5) for piece in pieces for x, y in piece)
    assert sum(math.dist(*piece) for piece in pieces) == pytest.approx(math.dist((2.5, 0), (0.5, 4)))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_saddle_has_two_lines(sign: float) -> None:
    pieces = list(isoline(sign * np.array([[1.0, -1.0], [-1.0, 1.0]]), 0.0))
    assert sorted(end for piece in pieces for end in piece) == [(0.0, 0.5), (0.5, 0.0), (0.5, 1.0), (1.0, 0.5)]
    assert len(pieces) == 2


def test_cells_that_are_not_finite_have_no_line() -> None:
    heights = np.add.outer(np.arange(5.0), np.arange(5.0))
    heights[2, 2] = np.inf
    heights[0, 4] = np.nan
    assert all(not (1 < x < 3 and 1 < y < 3) for piece in isoline(heights, 3.5) for x, y in piece)
    assert list(isoline(np.full((3, 3), np.nan), 0.0)) == []
    assert list(isoline(heights, 100.0)) == []
