"""The geometry of a loss curve."""

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.pictures.line_chart import HEIGHT, WIDTH, draw
from tuner.trial import Curve


def curve(values: list[float]) -> Curve:
    return Curve(steps=list(range(len(values))), values=values, points=len(values))


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+),([-\d.]+)", path.replace(" ", ""))]


def test_a_geometric_decay_is_a_straight_line_on_the_logarithmic_axis() -> None:
    chart = draw({"loss": curve([0.1**step for step in range(6)])})
    assert chart is not None
    assert chart.logarithmic
    drawn = points(chart.lines[0].path)
    falls = [after[1] - before[1] for before, after in itertools.pairwise(drawn)]
    assert falls == pytest.approx([falls[0]] * 5, abs=0.2)
    assert falls[0] > 0, "down is down: SVG counts from the top"
    assert [tick.label for tick in chart.y_ticks][:3] == ["1e\N{MINUS SIGN}5", "0.0001", "0.001"]


def test_what_is_not_finite_is_left_out_and_said() -> None:
    chart = draw({"loss": curve([1.0, 10.0, math.inf, math.nan])})
    assert chart is not None
    assert chart.left_at == 2
    assert len(points(chart.lines[0].path)) == 2


def test_without_a_finite_point_there_is_no_chart() -> None:
    assert draw({}) is None
    assert draw({"loss": curve([math.nan, math.inf])}) is None


@given(st.lists(st.floats(), min_size=1, max_size=20), st.lists(st.floats(), max_size=5))
def test_every_point_is_within_the_drawing(losses: list[float], validation: list[float]) -> None:
    chart = draw({"loss": curve(losses), "validation_loss": curve(validation)})
    for line in chart.lines if chart else []:
        for x, y in points(line.path):
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
    for tick in [*chart.x_ticks, *chart.y_ticks] if chart else []:
        assert math.isfinite(tick.position)
