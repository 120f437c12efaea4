"""A chart that is live takes what has changed, and is then what it would be had it been fetched anew."""

import json
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Page

MERGED = """
async ([figure, changes]) => {
  const style = document.querySelector("link[rel=stylesheet]").href;
  const { merged } = await import(style.replace("tuner.css", "chart.js"));
  const before = JSON.stringify(figure);
  const found = changes.map((change) => merged(figure, change));
  return [JSON.stringify(found), JSON.stringify(figure) === before];
}
"""


def points(uid: str, numbers: Sequence[int], **changes: Any) -> dict[str, Any]:
    """A trace of which trials' points may be put in and taken out."""
    return {
        "uid": uid,
        "x": [number / 10 for number in numbers],
        "y": [float(number) for number in numbers],
        "customdata": [[number, f"trial {number}"] for number in numbers],
        "marker": {"size": 7, "color": [f"#{number}" for number in numbers]},
        "meta": {"merge": True},
        **changes,
    }


def change(traces: Sequence[str], *data: dict[str, Any]) -> dict[str, Any]:
    """What the service answers to whoever asks what has changed."""
    return {"traces": traces, "figure": {"data": data, "layout": {"title": "new"}}}


def test_a_change_is_merged_into_what_is_drawn(page: Page) -> None:
    line = {"uid": "limit", "x": [1, 1], "y": [0, 9]}
    figure = {"data": [points("running", [1, 2]), points("converged", [3]), line], "layout": {"title": "old"}}
    moved = {**line, "x": [2, 2]}
    page.goto("/about")
    answers, untouched = page.evaluate(
        MERGED,
        [
            figure,
            [
                # A trial that has ended leaves one trace for another; what is no point of a trial is replaced whole.
                change(["running", "converged", "limit"], points("converged", [2], name="ok"), moved),
                # A trace comes with its first point, where it belongs; one that has changed nothing stays.
                change(["diverged", "running", "converged"], points("diverged", [1, 4])),
                change(["converged"]),
                change(["running", "nobody's"], points("running", [5])),
                change(["running"], points("running", range(10, 10_010))),
            ],
        ],
    )
    ended, came, one_gone, unknown, too_many = json.loads(answers)
    assert ended == {
        "data": [points("running", [1]), points("converged", [3, 2], name="ok"), moved],
        "layout": {"title": "new"},
    }
    assert came["data"] == [points("diverged", [1, 4]), points("running", [2]), points("converged", [3])]
    assert one_gone["data"] == [points("converged", [3])]
    # Whoever misses a trace, or has more points than should be sent again and again, has to fetch all of it.
    assert (unknown, too_many) == (None, None)
    assert untouched
