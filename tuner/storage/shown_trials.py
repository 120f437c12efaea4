"""The trials that a sampler looks at, in Optuna's terms: found by indexes, read once, remembered while in use.

What it costs to look at some trials does not depend on how many the study has. Finished trials never change, but for
being excluded, which the study's version counts; what is remembered of a study belongs to one version of it.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, Select, bindparam, event, select

from tuner.storage import trials
from tuner.storage.columns import HIDDEN, Columns
from tuner.storage.driver import Prepared, among
from tuner.storage.frozen import frozen_trial
from tuner.storage.known_trials import search_space
from tuner.storage.studies import StudyRecord
from tuner.storage.tables import trial as table
from tuner.storage.trials import TrialRecord

REMEMBERED_STUDIES = 16
"""Those that were looked at last."""

_ROWS_A_QUERY = 1000

_OF_STUDY = table.c.study_id == bindparam("of_study")


def _latest(state: str, _dialect: str) -> Select[Any]:
    statement = select(table.c.number).where(_OF_STUDY, table.c.state == state, ~table.c.excluded)
    return statement.order_by(table.c.number.desc()).limit(bindparam("count"))


_LATEST = {state: Prepared(partial(_latest, state)) for state in ("complete", "running")}

_RUNNING = Prepared(
    lambda dialect: select(table.c.number).where(
        _OF_STUDY, table.c.state == "running", among(table.c.number, "numbers", dialect)
    )
)

_OF_IDS = Prepared(lambda dialect: select(table.c.number).where(_OF_STUDY, among(table.c.id, "ids", dialect)))


def _best(direction: str, _dialect: str) -> Select[Any]:
    # Both columns in one direction: an index gives the rows in that order, however many values are equal.
    order = (table.c.objective_value, table.c.number)
    return (
        select(table.c.number)
        .where(_OF_STUDY, table.c.state == "complete", table.c.objective_value.is_not(None), ~table.c.excluded)
        .order_by(*(column.desc() if direction == "maximize" else column for column in order))
        .limit(bindparam("count"))
    )


_BEST = {direction: Prepared(partial(_best, direction)) for direction in ("minimize", "maximize")}


@dataclass(frozen=True)
class Remembered:
    """What is remembered of a study: trials by number, None for one that is never shown, and the same as columns.

    A learner looks at the ones or at the others.
    """

    trials: Mapping[int, FrozenTrial | None]
    columns: Columns


class ShownTrials:
    """The trials of one study, to be looked at in part, in a transaction that holds the study's row."""

    def __init__(self, connection: Connection, study: StudyRecord) -> None:
        self._connection = connection
        self._study = study
        self._space: dict[str, BaseDistribution] = search_space(study)
        self._memory = _memory_of(connection.engine)
        remembered = self._memory.recall(study) or Remembered({}, Columns.none(len(self._space)))
        self._remembered, self._columns = remembered.trials, remembered.columns
        self._used: dict[int, FrozenTrial | None] = {}
        self._used_columns = Columns.none(len(self._space))
        self._running: set[int] = set()

    @property
    def next_number(self) -> int:
        """The number that the study's next trial will get."""
        return self._study.next_number

    @property
    def system_attrs(self) -> Mapping[str, Any]:
        """The study's."""
        return self._study.system_attrs

    def best(self, count: int) -> Sequence[int]:
        """The complete trials of the best finite values, the best first, and of equal ones as the direction runs."""
        return self._numbers(_BEST[self._study.directions[0]], count=count)

    def latest(self, count: int) -> Sequence[int]:
        """The complete trials of the greatest numbers, descending."""
        return self._numbers(_LATEST["complete"], count=count)

    def running(self, count: int) -> Sequence[int]:
        """The running trials of the greatest numbers, descending."""
        found = self._numbers(_LATEST["running"], count=count)
        self._running.update(found)
        return found

    def of_ids(self, ids: Collection[int]) -> Sequence[int]:
        """The trials of these ids."""
        known = {one._trial_id: number for number, one in self._remembered.items() if one is not None}
        missing = [trial_id for trial_id in ids if trial_id not in known]
        found = self._numbers(_OF_IDS, ids=missing) if missing else []
        return [known[trial_id] for trial_id in ids if trial_id in known] + list(found)

    def show(self, numbers: Collection[int]) -> list[FrozenTrial]:
        """Those of these numbers that are complete, pruned or running, and not excluded, ascending by number."""
        wanted, running = set(numbers), TrialState.RUNNING
        # Of a finished trial what is remembered holds always, of one that runs while it does.
        shown = {
            number: trial
            for number in wanted & self._remembered.keys()
            if (trial := self._remembered[number]) is None or trial.state is not running or number in self._running
        }
        self._used |= shown
        shown |= self._freeze(sorted(wanted - shown.keys()))
        return [trial for number in sorted(shown) if (trial := shown[number]) is not None]

    def columns(self, numbers: np.ndarray) -> Columns | None:
        """Those of `show` as columns; None where columns do not hold all that learners go by. Numbers: ascending."""
        if len(self._study.directions) > 1:
            return None
        places = self._columns.places_of(numbers)
        known = self._without_settled(self._columns.take(places[places >= 0]))
        unknown = numbers[known.places_of(numbers) < 0] if len(known) < len(numbers) else numbers[:0]
        growing: list[int] = []
        for records in self._read(unknown.tolist()):
            known = known.joined(Columns.of_records(records, self._study, self._space))
            growing += [one.number for one in records if _grows(one)]
        self._used_columns = known.take(~np.isin(known.numbers, growing)) if growing else known
        shown = known.take(known.states != HIDDEN)
        return None if shown.goes_beyond else shown

    def remember(self) -> None:
        """Keep what was shown, and nothing else, for the next look."""
        self._memory.keep(self._connection, self._study, Remembered(self._used, self._used_columns))

    def _without_settled(self, known: Columns) -> Columns:
        """What is known, but for trials that ran and do so no more."""
        ran = known.numbers[known.states == TrialState.RUNNING]
        if not len(ran):
            return known
        running = self._numbers(_RUNNING, numbers=[int(number) for number in ran])
        return known.take((known.states != TrialState.RUNNING) | np.isin(known.numbers, running))

    def _freeze(self, numbers: Sequence[int]) -> dict[int, FrozenTrial | None]:
        found: dict[int, FrozenTrial | None] = {}
        for record in (record for records in self._read(numbers) for record in records):
            hidden = record.state == "failed" or record.excluded
            trial = None if hidden else frozen_trial(record, self._study, self._space)
            found[record.number] = trial
            if hidden or not _grows(record):
                self._used[record.number] = trial
        return found

    def _read(self, numbers: Sequence[int]) -> Iterator[list[TrialRecord]]:
        """Those of these numbers that do not wait, part by part."""
        for start in range(0, len(numbers), _ROWS_A_QUERY):
            found = trials.get_many(self._connection, self._study.id, numbers[start : start + _ROWS_A_QUERY])
            yield [record for record in found.values() if record.state != "waiting"]

    def _numbers(self, statement: Prepared, **values: Any) -> Sequence[int]:
        return [number for [number] in statement.rows(self._connection, {"of_study": self._study.id, **values})]


def _grows(record: TrialRecord) -> bool:
    """Whether a running trial is given its parameters one by one, as an Optuna program does; the service's has all."""
    return record.state == "running" and record.distributions is not None


class _Memory:
    """What is remembered of the studies of one database.

    Whoever looks at a study holds its row, so nobody else is looking at the same study. What was read in a
    transaction that then fails may never have been: it is forgotten.
    """

    def __init__(self, engine: Engine) -> None:
        self._lock = threading.Lock()
        self._studies: OrderedDict[int, tuple[int, ref[Connection], Remembered]] = OrderedDict()
        event.listen(engine, "rollback", self._forget)
        event.listen(engine, "rollback_savepoint", lambda connection, *_: self._forget(connection))
        event.listen(engine, "handle_error", lambda context: self._forget(context.connection))

    def recall(self, study: StudyRecord) -> Remembered | None:
        """What is remembered of the study."""
        with self._lock:
            version, _, remembered = self._studies.get(study.id, (study.version, None, None))
            return remembered if version == study.version else None

    def keep(self, connection: Connection, study: StudyRecord, remembered: Remembered) -> None:
        """Remember this of the study."""
        with self._lock:
            self._studies[study.id] = (study.version, ref(connection), remembered)
            self._studies.move_to_end(study.id)
            if len(self._studies) > REMEMBERED_STUDIES:
                self._studies.popitem(last=False)

    def _forget(self, connection: Connection | None) -> None:
        """What was read over this connection may not be so."""
        with self._lock:
            for study_id, (_, reader, _) in list(self._studies.items()):
                if reader() is connection:
                    del self._studies[study_id]


_lock = threading.Lock()
_memories: WeakKeyDictionary[Engine, _Memory] = WeakKeyDictionary()


def _memory_of(engine: Engine) -> _Memory:
    with _lock:
        if engine not in _memories:
            _memories[engine] = _Memory(engine)
        return _memories[engine]
