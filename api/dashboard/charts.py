"""The charts of a study: by name, where each has its data from, and which figure draws them.

A chart that has been drawn is kept until something of its study changes. Of those that can, a page that is live gets
what has changed since it last asked.
"""

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.dashboard.assets import compressed
from api.dashboard.figures.figure import Empty, Figure
from api.dashboard.figures.front import front
from api.dashboard.figures.history import history
from api.dashboard.figures.importance import importance
from api.dashboard.figures.loss_curves import loss_curves, numbers_of
from api.dashboard.figures.range_test import range_test
from api.dashboard.figures.rate_loss import rate_loss
from api.dashboard.figures.rate_steps import rate_steps
from api.serving import OfDatabase, StudyAddress
from tuner.errors import NoResult
from tuner.service import points, range_tests, trajectories
from tuner.service.importance import importance as importance_of
from tuner.service.pareto import Pareto, pareto
from tuner.service.points import Standing
from tuner.service.surface import rate_surface
from tuner.storage.database import Database

router = APIRouter(include_in_schema=False)

KEPT_BYTES = 32_000_000
"""Drawn charts that are kept, of all studies of a database together."""

SOON = 10.0
"""Seconds that a chart without deltas stands for a study that goes on changing meanwhile."""

RANGE_TESTS, RANGE_TEST_POINTS = 4, 1000


class Options(BaseModel):
    """What is asked of any chart. ``since``: only what has changed since that sequence."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[int | None, Field(ge=0)] = None


class RateLossOptions(Options):
    """What is across, and what colours mean."""

    parameter: Annotated[str | None, Field(max_length=200)] = None
    color: Literal["verdict", "steps"] = "verdict"


class LossCurvesOptions(Options):
    """Whose curves, on which scale, over what. ``trials``: numbers with commas; they come before ``which``."""

    which: Literal["best", "all"] = "best"
    trials: Annotated[str, Field(max_length=500, pattern="^[0-9, ]*$")] = ""
    scale: Literal["log", "linear"] = "log"
    align: Literal["step", "evaluation"] = "step"

    @property
    def numbers(self) -> list[int]:
        """The chosen trials; those beyond the largest number are none."""
        found = [int(text) for text in re.findall("[0-9]+", self.trials) if len(text) < 10]
        return list(dict.fromkeys(found))


class RateStepsOptions(Options):
    """Whether a value is that after exactly so many steps, or the best within them."""

    value: Literal["after", "within"] = "after"


class HistoryOptions(Options):
    """What is across."""

    by: Literal["trials", "evaluations", "time"] = "trials"


def _rate_loss(database: Database, study: str, options: RateLossOptions) -> Figure | Empty:
    found = points.read(database, study)
    return rate_loss(found, parameter=options.parameter, color=options.color, since=options.since)


def _loss_curves(database: Database, study: str, options: LossCurvesOptions) -> Figure | Empty:
    found = points.read(database, study)
    numbers = options.numbers or numbers_of(found, options.which)
    curves = trajectories.read(database, trajectories.chosen(database, study, numbers))
    return loss_curves(found, curves, numbers, scale=options.scale, align=options.align, since=options.since)


def _rate_steps(database: Database, study: str, options: RateStepsOptions) -> Figure | Empty:
    found = points.read(database, study)
    if found.rate is None:
        return Empty("No trial has a parameter that is a number." if len(found.points) else "No trial yet.")
    return rate_steps(found, rate_surface(database, study, parameter=found.rate, within=options.value == "within"))


def _history(database: Database, study: str, options: HistoryOptions) -> Figure | Empty:
    return history(points.read(database, study), by=options.by, since=options.since)


def _range_test(database: Database, study: str, _: Options) -> Figure | Empty:
    page = range_tests.page(database, study, max_points=RANGE_TEST_POINTS, page_size=RANGE_TESTS)
    return range_test(page.range_tests)


def _importance(database: Database, study: str, _: Options) -> Figure | Empty:
    try:
        return importance(importance_of(database, study))
    except NoResult as why:
        return Empty(f"{str(why)[0].upper()}{str(why)[1:]}.")


def _front(database: Database, study: str, _: Options) -> Figure | Empty:
    return front(front_of(database, study, soon=True), rate=points.read(database, study).rate)


@dataclass(frozen=True)
class Chart:
    """A chart. ``deltas``: whether it can say what has changed since a sequence."""

    options: type[Options]
    draw: Callable[[Database, str, Any], Figure | Empty]
    deltas: bool = False


CHARTS: Mapping[str, Chart] = {
    "rate-loss": Chart(RateLossOptions, _rate_loss, deltas=True),
    "loss-curves": Chart(LossCurvesOptions, _loss_curves, deltas=True),
    "rate-steps": Chart(RateStepsOptions, _rate_steps),
    "history": Chart(HistoryOptions, _history, deltas=True),
    "range-test": Chart(Options, _range_test),
    "importance": Chart(Options, _importance),
    "front": Chart(Options, _front),
}


@router.get("/studies/{study}/charts/{name}")
def chart(study: StudyAddress, name: str, request: Request, database: OfDatabase) -> Response:
    """A figure with its text alternative, or why there is none: what ``static/chart.js`` draws."""
    if name not in CHARTS:
        raise HTTPException(404)
    found = CHARTS[name]
    try:
        options = found.options.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("query", *one["loc"])} for one in error.errors()]) from None
    if not found.deltas:
        options = options.model_copy(update={"since": None})
    standing = points.standing(database, study)
    if options.since is not None:
        return compressed(request, _document(database, study, standing, found, options), "application/json")
    key = (standing.study_id, name, options.model_dump_json())
    make = partial(_document, database, study, standing, found, options)
    return compressed(request, kept(database, key, standing, make, soon=not found.deltas), "application/json")


def _document(database: Database, study: str, standing: Standing, chart: Chart, options: Options) -> bytes:
    # What is drawn may be newer than where the study stood before; then it is told once more.
    drawn = chart.draw(database, study, options)
    document: dict[str, Any] = {"sequence": standing.sequence, "active": standing.active, "deltas": chart.deltas}
    if isinstance(drawn, Empty):
        document["empty"] = drawn.why
    else:
        table = drawn.table
        document |= {
            "figure": {"data": drawn.data, "layout": drawn.layout},
            "summary": drawn.summary,
            "table": None if table is None else {"columns": table.columns, "rows": table.rows},
            "traces": drawn.traces,
        }
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()


_Key = tuple[int, str, str]


class _Kept:
    """Charts of one database that were drawn, the last ones asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._charts: OrderedDict[_Key, tuple[int, float, bytes]] = OrderedDict()

    def recall(self, key: _Key, standing: Standing, *, soon: bool) -> bytes | None:
        """The chart as it was drawn of that standing; ``soon``: or a moment ago, of a study that is going on."""
        with self._lock:
            if key not in self._charts:
                return None
            sequence, drawn_at, content = self._charts[key]
            self._charts.move_to_end(key)
        fresh = sequence == standing.sequence or (soon and standing.active and time.monotonic() < drawn_at + SOON)
        return content if fresh else None

    def keep(self, key: _Key, sequence: int, content: bytes) -> None:
        """Keep a chart, and within the bound those asked for last."""
        with self._lock:
            self._charts[key] = (sequence, time.monotonic(), content)
            self._charts.move_to_end(key)
            size = sum(len(content) for _, _, content in self._charts.values())
            while size > KEPT_BYTES and len(self._charts) > 1:
                size -= len(self._charts.popitem(last=False)[1][2])


def kept(database: Database, key: _Key, standing: Standing, make: Callable[[], bytes], *, soon: bool) -> bytes:
    """What is made of a study's trials; as it was made before, where that stands still. The key begins with its id.

    soon: it may also have been made a moment ago, of a study that is going on.
    """
    made = _kept_of(database)
    content = made.recall(key, standing, soon=soon)
    if content is None:
        content = make()
        made.keep(key, standing.sequence, content)
    return content


_READING_FRONTS = [threading.Lock() for _ in range(16)]


def front_of(database: Database, study: str, *, soon: bool) -> Pareto:
    """The front of a study, for whose points all curves are read: once for its chart and for its answer in words.

    soon: it may also be that of a moment ago, of a study that is going on.

    Raises:
        StudyNotFound: there is none.
    """
    standing = points.standing(database, study)
    key = (standing.study_id, "points of the front", "")
    with _READING_FRONTS[standing.study_id % len(_READING_FRONTS)]:
        content = kept(database, key, standing, lambda: pareto(database, study).model_dump_json().encode(), soon=soon)
    return Pareto.model_validate_json(content)


_lock = threading.Lock()
_kept: WeakKeyDictionary[Database, _Kept] = WeakKeyDictionary()


def _kept_of(database: Database) -> _Kept:
    with _lock:
        return _kept.setdefault(database, _Kept())
