"""Range tests of a study: the loss while the rate grows, and the rates that it suggests."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from api.dashboard.figures.figure import Empty, Figure, Table
from api.dashboard.figures.scales import axis, line_label, short
from api.dashboard.format import number
from tuner.service.points import spans_decades
from tuner.service.range_tests import StoredRangeTest

CURVES = ("var(--accent)", "var(--second)", "var(--third)", "var(--fourth)")

SUGGESTIONS = (
    ("tenth_of_minimum", "a tenth of the bottom", "dash"),
    ("steepest", "steepest fall", "dot"),
    ("minimum", "bottom", "dashdot"),
)


def range_test(tests: Sequence[StoredRangeTest]) -> Figure | Empty:
    """The latest range tests, the newest first: its suggestions are those that are marked."""
    if not tests:
        return Empty(
            "No range test yet. One raises the rate a little on every step and watches the loss: "
            "POST …/range-tests, or tuner range-test."
        )
    newest = tests[0]
    ceiling = _ceiling(newest)
    data: list[dict[str, Any]] = []
    finite: list[float] = []
    for test, color in zip(tests, CURVES, strict=False):
        rates, losses = np.array(test.rates), np.array(test.losses, dtype=np.float64)
        shown = np.isfinite(losses) & (losses <= ceiling)
        finite += losses[shown].tolist()
        name = f"range test {test.id}" if len(tests) > 1 else "loss"
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "uid": f"losses-{test.id}",
                "name": name,
                "x": short(rates),
                "y": [value if keep else None for value, keep in zip(short(losses), shown.tolist(), strict=True)],
                "line": {"color": color, "width": 1.2 if test is newest else 1},
                "opacity": 0.6,
                "hovertemplate": f"{name}<br>learning rate %{{x:.4~g}}<br>loss %{{y:.4~g}}<extra></extra>",
            }
        )
    if newest.smoothed and newest.points == len(newest.rates):
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "uid": "smoothed",
                "name": "smoothed, as it is judged",
                "x": short(np.array(newest.rates[: len(newest.smoothed)])),
                "y": short(np.array(newest.smoothed)),
                "line": {"color": "var(--accent)", "width": 3},
                "hovertemplate": "smoothed loss %{y:.4~g}<extra></extra>",
            }
        )
    logarithmic = spans_decades(np.array(finite)) if finite else False
    layout = {
        "xaxis": axis("learning rate, rising on every step", logarithmic=True),
        "yaxis": axis("loss after the update at that rate", logarithmic=logarithmic, values=np.array(finite)),
        "shapes": _marks(newest),
        "annotations": _labels(newest),
    }
    return Figure(data=data, layout=layout, summary=_summary(tests), table=_table(tests))


def _ceiling(test: StoredRangeTest) -> float:
    """The loss above which a curve has exploded: a few times above where it began."""
    finite = [loss for loss in test.losses if np.isfinite(loss)]
    return 4 * abs(finite[0]) if finite else np.inf


def _marks(test: StoredRangeTest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if test.range is not None:
        found.append(
            {
                "type": "rect",
                "x0": test.range.low,
                "x1": test.range.high,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "fillcolor": "var(--accent)",
                "opacity": 0.08,
                "line": {"width": 0},
                "layer": "below",
            }
        )
    for field, _, dash in SUGGESTIONS:
        rate = getattr(test, field)
        if rate is not None:
            found.append(
                {
                    "type": "line",
                    "x0": rate,
                    "x1": rate,
                    "yref": "paper",
                    "y0": 0,
                    "y1": 1,
                    "line": {"dash": dash, "width": 1.5, "color": "var(--ink)"},
                }
            )
    return found


def _labels(test: StoredRangeTest) -> list[dict[str, Any]]:
    rates = np.array(test.rates)
    marked = [(name, rate) for field, name, _ in SUGGESTIONS if (rate := getattr(test, field)) is not None]
    return [
        line_label(f"{name} {number(rate)}", rate, rates, logarithmic=True, down=down)
        for down, (name, rate) in enumerate(marked)
    ]


def _summary(tests: Sequence[StoredRangeTest]) -> str:
    newest = tests[0]
    others = f" {len(tests) - 1} earlier one{'' if len(tests) == 2 else 's'} beside it." if len(tests) > 1 else ""
    return f"{newest.statement}{others}"


def _table(tests: Sequence[StoredRangeTest]) -> Table:
    rows = []
    for test in tests:
        span = None if test.range is None else f"{number(test.range.low)} … {number(test.range.high)}"
        rows.append([test.id, test.tenth_of_minimum, test.steepest, test.minimum, span])
    return Table(["range test", "a tenth of the bottom", "steepest fall", "bottom", "range to search"], rows)
