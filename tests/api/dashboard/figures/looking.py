"""Studies as columns, for figures to be drawn of, and what is asked of every figure."""

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from api.dashboard.figures.figure import Empty, Figure
from tuner.definition import StudyDefinition
from tuner.service.points import Limit, StudyPoints
from tuner.storage.points import Points

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 10.0, "scale": "log"},
    "steps": {"type": "int", "low": 1, "high": 200},
}


def definition(goal: dict[str, Any] | None = None, space: dict[str, Any] | None = None) -> StudyDefinition:
    """An external study's."""
    document = {"name": "s", "search_space": space or SPACE, "goal": goal or {"minimize": "loss"}}
    return StudyDefinition.model_validate(document)


def points(values: ArrayLike, **columns: Any) -> Points:
    """Complete trials of these values; rates descend from 1, each has run 10 steps."""
    count = np.size(values)
    parameters = {"learning_rate": 1.0 / np.arange(1, count + 1), "steps": np.full(count, 10.0)}
    given: dict[str, Any] = {
        "number": np.arange(count),
        "state": np.full(count, "complete"),
        "verdict": np.full(count, ""),
        "excluded": np.zeros(count, dtype=bool),
        "value": np.array(values, dtype=float),
        "best_value": np.full(count, np.nan),
        "steps_run": np.full(count, 10.0),
        "gradient_evaluations": np.full(count, 11),
        "finished_at": 1e9 + 60.0 * np.arange(count),
        "sequence": np.arange(1, count + 1),
        "parameters": parameters,
    }
    return Points(**(given | {name: _array(value) for name, value in columns.items()}))


def _array(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: np.array(column, dtype=float) for name, column in value.items()}
    return np.array(value)


def study(
    found: Points,
    goal: dict[str, Any] | None = None,
    *,
    limits: Sequence[Limit] = (),
    space: dict[str, Any] | None = None,
    optuna: bool = False,
) -> StudyPoints:
    """A study of these trials; ``optuna``: one that has no definition."""
    whole = definition(goal, space)
    return StudyPoints(
        address="s",
        sequence=len(found),
        active=True,
        definition=None if optuna else whole,
        metric="value" if optuna else whole.goal.metric,
        direction=whole.goal.direction,
        ranked=not whole.goal.is_trade_off,
        began=1e9 - 60,
        points=found,
        limits=limits,
    )


def drawn(found: Figure | Empty) -> Figure:
    """A figure, after looking at what every figure promises."""
    assert isinstance(found, Figure), found
    # Plotly is given strict JSON: None for what is not finite.
    json.dumps([found.data, found.layout], allow_nan=False)
    uids = [trace["uid"] for trace in found.data]
    assert len(uids) == len(set(uids))
    assert all(re.fullmatch("[a-z][a-z0-9_-]*", uid) for uid in uids), "Plotly makes them parts of selectors"
    assert found.summary.endswith(".")
    assert found.table is not None
    json.dumps(found.table.rows, allow_nan=False)
    assert len(found.table.rows) <= 20
    assert all(len(row) == len(found.table.columns) for row in found.table.rows)
    for trace in found.data:
        if "customdata" in trace:
            assert len(trace["customdata"]) == len(trace["x"]) == len(trace["y"])
        colors = json.dumps([trace.get("marker", {}).get("color"), trace.get("line", {}).get("color")])
        assert "#" not in colors, "colours are the style sheet's"
        assert "rgb" not in colors
    return found


def why(found: Figure | Empty) -> str:
    """Why there is no figure."""
    assert isinstance(found, Empty), found
    assert found.why.endswith(".")
    return found.why


def numbers(figure: Figure, *uids: str) -> list[int]:
    """The trials whose points are in these traces, or in all of those that are trials'."""
    traces = [one for one in figure.data if (one["uid"] in uids if uids else one.get("meta", {}).get("merge"))]
    return sorted(each[0] for trace in traces for each in trace["customdata"])


def merged(whole: Figure, change: Figure) -> dict[str, dict[int, tuple[Any, Any]]]:
    """What a page shows that has put a change into a figure: by trace, each trial's place."""
    assert change.traces is not None
    changed = {each[0] for one in change.data if one.get("meta") for each in one["customdata"]}
    shown: dict[str, dict[int, tuple[Any, Any]]] = {}
    for source, left_out in ((whole, changed), (change, set[int]())):
        for one in source.data:
            if one.get("meta"):
                places = {
                    each[0]: (x, y)
                    for each, x, y in zip(one["customdata"], one["x"], one["y"], strict=True)
                    if each[0] not in left_out
                }
                shown.setdefault(one["uid"], {}).update(places)
    return {uid: places for uid, places in shown.items() if uid in change.traces and places}


def places(figure: Figure) -> dict[str, dict[int, tuple[Any, Any]]]:
    """By trace, each trial's place."""
    return {
        one["uid"]: {each[0]: (x, y) for each, x, y in zip(one["customdata"], one["x"], one["y"], strict=True)}
        for one in figure.data
        if one.get("meta")
    }
