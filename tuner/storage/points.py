"""A study's trials as columns, one number each: what is drawn, counted and compared of a hundred thousand at once.

The database makes a list of each column, and that is read as a whole. What was read of a study is remembered by its
sequence: the next look reads the trials that were written since, and nothing else.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from sqlalchemy import Connection, Double, Engine, Select, Text, bindparam, cast, extract, func, select, type_coerce

from tuner.storage.studies import StudyRecord
from tuner.storage.tables import trial as table
from tuner.trial import decode_float

REMEMBERED_CELLS = 20_000_000
"""Numbers that are remembered of all studies together, of those that were looked at last: some 160 MB."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Points:
    """Trials by number, each array of shape (n,).

    value: what the trial is ranked by, or, where trials are not ranked, its value of the first metric; NaN where it has
    none or it is not finite. best_value: the best that its present attempt has reported. verdict: "" where there is
    none. steps_run: those that it has run, or reported; NaN where it is not known. finished_at: seconds since 1970,
    UTC; NaN where it has not. parameters: by name, those that are numbers; NaN where a trial's is none.
    """

    number: Integers
    state: NDArray[np.str_]
    verdict: NDArray[np.str_]
    excluded: NDArray[np.bool_]
    value: Floats
    best_value: Floats
    steps_run: Floats
    gradient_evaluations: Integers
    finished_at: Floats
    sequence: Integers
    parameters: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.number)

    def of(self, parameter: str) -> Floats:
        """A parameter's column; all NaN where no trial has a number of that name."""
        found = self.parameters.get(parameter)
        return np.full(len(self), np.nan) if found is None else found

    def at(self, places: NDArray[Any]) -> "Points":
        """Some of the trials: by a mask, or by their places."""
        columns = {name: getattr(self, name)[places] for name in _COLUMNS}
        return Points(**columns, parameters={name: column[places] for name, column in self.parameters.items()})

    def updated(self, others: "Points") -> "Points":
        """These with those of others, which replace the ones of the same numbers."""
        if not len(others):
            return self
        kept = self.at(~np.isin(self.number, others.number))
        order = np.argsort(np.concatenate([kept.number, others.number]), kind="stable")
        columns = {name: np.concatenate([getattr(kept, name), getattr(others, name)])[order] for name in _COLUMNS}
        names = dict.fromkeys([*kept.parameters, *others.parameters])
        both = {name: np.concatenate([kept.of(name), others.of(name)])[order] for name in names}
        return Points(**columns, parameters=both)


_COLUMNS = [field.name for field in fields(Points) if field.name != "parameters"]


@cache
def _statement(dialect: str, *, ranked: bool) -> Select[Any]:
    """One row, a JSON list of each column's values: to make that takes the database less than to give all rows.

    The last column is all that was told of each trial, where they are not ``ranked``.
    """
    sqlite = dialect == "sqlite"
    ended = table.c.finished_at

    def column(of: Any) -> Any:
        return func.json_group_array(of) if sqlite else cast(func.json_agg(of), Text)

    def documents(of: Any) -> Any:
        return "[" + func.aggregate_strings(func.coalesce(type_coerce(of, Text), "null"), ",") + "]"

    columns = [
        column(table.c.number),
        column(table.c.state),
        column(table.c.verdict),
        column(table.c.excluded),
        column(table.c.objective_value),
        column(table.c.best_value),
        column(func.coalesce(table.c.steps_run, table.c.last_step)),
        column(table.c.gradient_evaluations),
        column(type_coerce(ended, Text) if sqlite else cast(extract("epoch", ended), Double)),
        column(table.c.sequence),
        documents(table.c.parameters),
        *([] if ranked else [documents(table.c["values"])]),
    ]
    return select(*columns).where(
        table.c.study_id == bindparam("of_study"), table.c.sequence > bindparam("after_sequence")
    )


EVERYTHING = -1
"""A sequence before all others."""


def read(connection: Connection, study: StudyRecord) -> Points:
    """All trials of a study, as they are in this transaction's snapshot, in which its record was read."""
    memory = _memory_of(connection.engine)
    with memory.study(study.id) as kept:
        # A restored database may have gone back.
        known = kept.points if kept.points is not None and kept.sequence <= study.sequence else None
        if known is None:
            points = since(connection, study, EVERYTHING)
        elif kept.sequence < study.sequence:
            points = known.updated(since(connection, study, kept.sequence))
        else:
            points = known
        kept.points, kept.sequence = points, study.sequence
    memory.forget_oldest()
    return points


def since(connection: Connection, study: StudyRecord, sequence: int) -> Points:
    """The trials of a study that were written after a sequence."""
    ranked = len(study.directions) == 1
    statement = _statement(connection.dialect.name, ranked=ranked)
    texts = connection.execute(statement, {"of_study": study.id, "after_sequence": sequence}).one()
    *columns, parameters, told = (text or "[]" for text in (texts if not ranked else [*texts, None]))
    number, state, verdict, excluded, value_of, best, steps, evaluations, finished, at = map(_list, columns)
    order: Any = np.argsort(np.array(number, dtype=np.int64), kind="stable")
    if (order[1:] > order[:-1]).all():
        # They come as they were written, which is by number, most often.
        order = slice(None)
    value = _floats(value_of) if ranked else _told(_list(told), study.curve_metric)

    def text(column: Sequence[str | None]) -> NDArray[np.str_]:
        found: NDArray[np.str_] = np.array([one or "" for one in column], dtype=np.str_)[order]
        return found

    return Points(
        number=np.array(number, dtype=np.int64)[order],
        state=text(state),
        verdict=text(verdict),
        excluded=np.array(excluded, dtype=np.bool_)[order],
        value=value[order],
        best_value=_floats(best)[order],
        steps_run=_floats(steps)[order],
        gradient_evaluations=np.array(evaluations, dtype=np.int64)[order],
        finished_at=_seconds(finished)[order],
        sequence=np.array(at, dtype=np.int64)[order],
        parameters={name: column[order] for name, column in _numbers(parameters, len(number)).items()},
    )


def _list(text: str) -> list[Any]:
    """A JSON list, read in a third of the time that `json` takes, but for what only that reads."""
    found: list[Any]
    try:
        found = from_json(text)
    except ValueError:
        # Half a surrogate pair, which an Optuna program may store; a document of hundreds of levels.
        found = json.loads(text)
    return found


def _told(values: Sequence[Mapping[str, Any] | None], metric: str) -> Floats:
    """The finite values of a metric."""
    told = _floats([decode_float((one or {}).get(metric)) for one in values])
    return np.where(np.isfinite(told), told, np.nan)


def _numbers(text: str, count: int) -> dict[str, Floats]:
    """The parameters that are numbers, in the order in which they first appear, of a list of so many documents."""
    alike = _alike(text, count) if count else None
    if alike is not None:
        return alike
    documents: list[dict[str, Any]] = _list(text)
    found = {}
    for name in dict.fromkeys(name for document in documents for name in document):
        column = [document.get(name) for document in documents]
        if not set(map(type, column)) <= {int, float, type(None)}:
            column = [one if type(one) in {int, float} else None for one in column]
        numbers = _floats(column)
        if not np.isnan(numbers).all():
            found[name] = numbers
    return found


def _alike(text: str, count: int) -> dict[str, Floats] | None:
    """The same of documents that hold the same names in the same order, each with a number; None where they do not.

    Without their names and braces such documents are one list of numbers, which is read in a fifth of the time. What is
    left of any other document is no number, or one too few.
    """
    first, _ = json.JSONDecoder().raw_decode(text, 1)
    if not first:
        return None
    names = [json.dumps(name) for name in first]
    space = " " if text.startswith(f"{{{names[0]}: ", 1) else ""
    begin = f"{{{names[0]}:{space}"
    text = text.removeprefix(f"[{begin}").removesuffix("}]").replace(f"}},{begin}", ",")
    for name in names[1:]:
        text = text.replace(f",{space}{name}:{space}", ",")
    try:
        numbers = from_json(f"[{text}]")
    except ValueError:
        return None
    if len(numbers) != count * len(first) or not set(map(type, numbers)) <= {int, float}:
        return None
    columns = _floats(numbers).reshape(count, len(first)).T.copy()
    return dict(zip(first, columns, strict=True))


def _floats(column: Sequence[Any]) -> Floats:
    """None is NaN."""
    return np.array(column, dtype=np.float64)


def _seconds(column: Sequence[Any]) -> Floats:
    """Seconds since 1970; of the times that are text, as `tables.UtcTime` writes it, UTC."""
    if not any(isinstance(moment, str) for moment in column):
        return _floats(column)
    moments = np.array([moment or "NaT" for moment in column], dtype="datetime64[us]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)


class _Kept:
    """What is remembered of one study. Who looks waits for who reads, so that the same is not read twice."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.points: Points | None = None
        self.sequence = EVERYTHING

    def __enter__(self) -> "_Kept":
        self.lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    @property
    def cells(self) -> int:
        """How many numbers it holds."""
        points = self.points
        return 0 if points is None else len(points) * (len(_COLUMNS) + len(points.parameters))


class _Memory:
    """What is remembered of the studies of one database, those that were looked at last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._studies: OrderedDict[int, _Kept] = OrderedDict()

    def study(self, study_id: int) -> _Kept:
        """What is remembered of a study."""
        with self._lock:
            kept = self._studies.setdefault(study_id, _Kept())
            self._studies.move_to_end(study_id)
            return kept

    def forget_oldest(self) -> None:
        """Keep the bound; the study that was looked at last stays."""
        with self._lock:
            cells = sum(kept.cells for kept in self._studies.values())
            while cells > REMEMBERED_CELLS and len(self._studies) > 1:
                cells -= self._studies.popitem(last=False)[1].cells


_lock = threading.Lock()
_memories: WeakKeyDictionary[Engine, _Memory] = WeakKeyDictionary()


def _memory_of(engine: Engine) -> _Memory:
    with _lock:
        return _memories.setdefault(engine, _Memory())
