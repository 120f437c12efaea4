"""Some trials of a study side by side: what they share, and what makes the difference."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from api.dashboard.evidence import in_words
from api.dashboard.format import duration, number, opening, words
from api.dashboard.rendering import render_with_charts
from api.dashboard.signs import sign
from api.serving import LARGEST_NUMBER, OfDatabase, StudyAddress
from tuner.definition import Study
from tuner.errors import InvalidInput
from tuner.service import studies
from tuner.service import trials as reading
from tuner.service.edge import Edge, edge_of
from tuner.trial import Trial

router = APIRouter(prefix="/studies/{study}/compare", include_in_schema=False)

FEWEST, MOST = 2, 5
"""Trials that can be seen side by side."""

Row = tuple[str, list[str]]
"""What is compared, and how it is in each trial."""


@router.get("")
def compare_page(
    study: StudyAddress, database: OfDatabase, trials: Annotated[list[str] | None, Query(max_length=100)] = None
) -> HTMLResponse:
    """The page. The trials' numbers come with commas, repeated, or both."""
    numbers = _numbers(trials or [])
    found, _ = studies.get(database, study)
    compared = [reading.get(database, study, one) for one in numbers]
    edges = [edge_of(database, found, trial) for trial in compared]
    return render_with_charts("compare.html", study=found, trials=compared, groups=_groups(found, compared, edges))


def _groups(study: Study, trials: Sequence[Trial], edges: Sequence[Edge | None]) -> list[list[Row]]:
    """The rows, those together that belong together."""

    def row(label: str, value: Callable[[Trial], Any]) -> Row:
        return opening(label), [number(value(trial)) for trial in trials]

    def rows(of: Callable[[Trial], Mapping[str, Any] | None]) -> list[Row]:
        found = [of(trial) or {} for trial in trials]
        names = dict.fromkeys(name for one in found for name in one)
        return [(opening(words(name)), [number(one.get(name)) for one in found]) for name in names]

    goal = None if study.definition is None else study.definition.goal
    results = rows(lambda trial: trial.values)
    if goal is not None and goal.target is not None:
        label = f"steps to {words(goal.metric)} {number(goal.target)}"
        results.insert(0, row(label, lambda trial: trial.objective_value))
    ratios = [None if edge is None else f"{edge.ratio:.3g}×" for edge in edges]
    judged = [
        row("verdict", lambda trial: f"{sign(trial.verdict).glyph} {sign(trial.verdict).words}"),
        row("outcome", lambda trial: words(trial.outcome.value if trial.outcome else trial.state.value)),
        row("excluded", lambda trial: "yes" if trial.excluded else "no"),
        ("Rate, of the stability limit", [number(ratio) for ratio in ratios]),
    ]
    spent = [
        row("steps run", lambda trial: trial.steps_run),
        row("gradient evaluations", lambda trial: trial.gradient_evaluations),
        row("took", _took),
        row("worker", lambda trial: trial.worker),
    ]
    return [
        rows(lambda trial: trial.parameters),
        results,
        judged,
        spent,
        [(opening(label), values) for label, values in in_words(*map(_evidence, trials))],
    ]


def _evidence(trial: Trial) -> dict[str, float]:
    """Without what stands among the parameters."""
    return {name: value for name, value in (trial.evidence or {}).items() if name not in trial.parameters}


def _took(trial: Trial) -> str | None:
    if trial.started_at is None or trial.finished_at is None:
        return None
    return duration((trial.finished_at - trial.started_at).total_seconds())


def _numbers(texts: list[str]) -> list[int]:
    """Trial numbers, each once.

    Raises:
        InvalidInput: at ``trials``: one is no number, or there are too few or too many.
    """
    parts = list(dict.fromkeys(part.strip() for text in texts for part in text.split(",") if part.strip()))
    for part in parts:
        if re.fullmatch("[0-9]{1,10}", part) is None or int(part) > LARGEST_NUMBER:
            raise InvalidInput.at("trials", f"{part[:20]!r} is no trial's number")
    if not FEWEST <= len(parts) <= MOST:
        raise InvalidInput.at("trials", f"{FEWEST} to {MOST} can be seen side by side; {len(parts)} are named")
    return [int(part) for part in parts]
