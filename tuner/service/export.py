"""Use cases: a study as a table and as one document, in pieces, however many trials it has.

Both are read page by page, each page in a snapshot of its own: one snapshot held for as long as somebody downloads
would keep the database from cleaning up. So a trial is as it was when its page was read, and trials that were added
after the first page are left out.

The document, format `FORMAT`::

    {"format": "tuner.study/1", "exported_at": …,
     "study": {…},                                  as ``GET /v1/studies/{study}`` answers it
     "trials": [{…, "attempts": [{…}, …],           as ``…/trials/{number}`` and ``…/attempts`` answer them
                 "curves": {"loss": {"steps": […], "values": […]}}}, …]}

A trial's curves are those of its latest attempt, whole. The number of a format counts up when what it promises breaks.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from tuner.definition import Study
from tuner.errors import StudyNotFound
from tuner.service.attempts import attempts_of
from tuner.service.studies import views
from tuner.storage import attempts, curves, studies, trials
from tuner.storage.curves import Curve
from tuner.storage.database import Connection, Database, now
from tuner.storage.studies import StudyRecord
from tuner.storage.trials import TrialRecord
from tuner.trial import encode_float

FORMAT = "tuner.study/1"

AT_ONCE = 1000
"""Trials that are read at once."""

PIECE = 65_536
"""Characters that are sent at once, about: a piece a trial would take longer to hand on than to write."""

CURVES_AT_ONCE = 20
"""Trials whose curves are read at once."""

COLUMNS_BEFORE = ("number", "state", "attempt")
COLUMNS_AFTER = (
    "objective_value",
    "steps_run",
    "gradient_evaluations",
    "outcome",
    "verdict",
    "advice",
    "reason",
    "excluded",
    "quarantined",
    "worker",
    "created_at",
    "started_at",
    "finished_at",
    "updated_at",
)
"""The table's columns around those of parameters and values, which each study has its own of."""


def as_table(database: Database, name: str) -> Iterator[bytes]:
    """The study's trials as CSV (RFC 4180, UTF-8), a row each by number; the header names every parameter and value.

    Numbers that are not finite are ``NaN``, ``Infinity`` and ``-Infinity``. Text that a spreadsheet would take for a
    formula gets an apostrophe in front.

    Raises:
        StudyNotFound: there is none; once the iterator has begun, it is gone.
    """
    study, last, view = database.read(partial(_begin, name=name))
    parameters = dict.fromkeys(view.definition.search_space if view.definition is not None else ())
    values = dict.fromkeys(study.metrics if study.definition is None else [study.curve_metric])
    for page in _pages(database, study, last):
        for record in page:
            parameters |= dict.fromkeys(record.parameters)
            values |= dict.fromkeys(record.values or ())
    return _rows(database, study, last, list(parameters), list(values))


def _rows(
    database: Database, study: StudyRecord, last: int, parameters: Sequence[str], values: Sequence[str]
) -> Iterator[bytes]:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(
        [
            *COLUMNS_BEFORE,
            *(f"parameters.{name}" for name in parameters),
            *(f"values.{name}" for name in values),
            *COLUMNS_AFTER,
        ]
    )
    for page in _pages(database, study, last):
        for record in page:
            told = record.metrics or {}
            table.writerow(
                [
                    *(_cell(getattr(record, column)) for column in COLUMNS_BEFORE),
                    *(_cell(record.parameters.get(name)) for name in parameters),
                    *(_cell(told.get(name)) for name in values),
                    *(_cell(getattr(record, column)) for column in COLUMNS_AFTER),
                ]
            )
        yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    written = text.getvalue().encode(errors="replace")  # half a surrogate pair is no character
    text.seek(0)
    text.truncate()
    return written


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return str(encode_float(value))
        case datetime():
            return _time(value)
        case str() if value.startswith(("=", "+", "-", "@", "\t", "\r")):
            return f"'{value}"
        case _:
            return str(value)


def as_document(database: Database, name: str, *, with_curves: bool = True) -> Iterator[bytes]:
    """The study as one strict JSON document (see the module).

    Raises:
        StudyNotFound: there is none; once the iterator has begun, it is gone.
    """
    study, last, view = database.read(partial(_begin, name=name))
    head = {"format": FORMAT, "exported_at": _time(database.read(now)), "study": view.model_dump(mode="json")}
    return _document(database, study, last, head, with_curves=with_curves)


def _document(
    database: Database, study: StudyRecord, last: int, head: dict[str, Any], *, with_curves: bool
) -> Iterator[bytes]:
    written, size = [_json(head)[:-1] + ', "trials": ['], 0
    separator = "\n"
    for page in _pages(database, study, last):
        ended = database.read(partial(attempts.ended, trial_ids=[record.id for record in page]))
        for start in range(0, len(page), CURVES_AT_ONCE):
            some = page[start : start + CURVES_AT_ONCE]
            held = [(record.id, record.attempt) for record in some] if with_curves else []
            found = database.read(partial(curves.read_many, trials=held)) if held else {}
            for record in some:
                shown = [each.model_dump(mode="json") for each in attempts_of(record, ended.get(record.id, []))]
                document = {**record.view().model_dump(mode="json"), "attempts": shown}
                if with_curves:
                    document["curves"] = {metric: _curve(curve) for metric, curve in found.get(record.id, {}).items()}
                written.append(separator + _json(document))
                separator = ",\n"
                size += len(written[-1])
                if size > PIECE:
                    yield "".join(written).encode()
                    written, size = [], 0
    yield "".join([*written, "\n]}\n"]).encode()


def _curve(curve: Curve) -> dict[str, Any]:
    values: list[Any] = curve.values.tolist()
    if not np.isfinite(curve.values).all():
        values = [encode_float(value) for value in values]
    return {"steps": curve.steps.tolist(), "values": values}


def _json(document: dict[str, Any]) -> str:
    """ASCII, so that any text can be sent."""
    return json.dumps(document, allow_nan=False)


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _begin(connection: Connection, name: str) -> tuple[StudyRecord, int, Study]:
    """The study, the number of its last trial, and the study as it is read."""
    study = studies.get(connection, name)
    [view] = views(connection, [study])
    return study, study.next_number - 1, view


def _pages(database: Database, study: StudyRecord, last: int) -> Iterator[list[TrialRecord]]:
    """The trials up to that number, by number."""

    after = -1
    while after < last:
        records = database.read(partial(trials.page, study_id=study.id, after=after, size=AT_ONCE))
        if not records:  # a study keeps every trial that it has
            raise StudyNotFound(f"the study {study.name!r} has been deleted")
        yield [record for record in records if record.number <= last]
        after = records[-1].number
