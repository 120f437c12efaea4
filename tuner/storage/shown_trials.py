"""The trials that a sampler looks at, in Optuna's terms: found by indexes, read once, remembered while in use.

What it costs to look at some trials does not depend on how many the study has. Finished trials never change, but for
being excluded, which the study's version counts; what is remembered of a study belongs to one version of it.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, ref

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, Select, bindparam, event, select

from tuner.storage import trials
from tuner.storage.driver import Prepared, among
from tuner.storage.frozen import frozen_trial
from tuner.storage.known_trials import search_space
from tuner.storage.studies import StudyRecord
from tuner.storage.tables import trial as table

REMEMBERED_STUDIES = 16
"""Those that were looked at last."""

_ROWS_A_QUERY = 1000

_OF_STUDY = table.c.study_id == bindparam("of_study")

_LATEST = Prepared(
    lambda _: (
        select(table.c.number)
        .where(_OF_STUDY, table.c.state == bindparam("in_state"), ~table.c.excluded)
        .order_by(table.c.number.desc())
        .limit(bindparam("count"))
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


class ShownTrials:
    """The trials of one study, to be looked at in part, in a transaction that holds the study's row."""

    def __init__(self, connection: Connection, study: StudyRecord) -> None:
        self._connection = connection
        self._study = study
        self._space: dict[str, BaseDistribution] = search_space(study)
        self._memory = _memory_of(connection.engine)
        self._remembered = self._memory.recall(study)
        self._used: dict[int, FrozenTrial | None] = {}
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
        return self._numbers(_LATEST, in_state="complete", count=count)

    def running(self, count: int) -> Sequence[int]:
        """The running trials of the greatest numbers, descending."""
        found = self._numbers(_LATEST, in_state="running", count=count)
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
        shown |= self._read(sorted(wanted - shown.keys()))
        return [trial for number in sorted(shown) if (trial := shown[number]) is not None]

    def remember(self) -> None:
        """Keep what was shown, and nothing else, for the next look."""
        self._memory.keep(self._connection, self._study, self._used)

    def _read(self, numbers: Sequence[int]) -> dict[int, FrozenTrial | None]:
        found: dict[int, FrozenTrial | None] = {}
        for start in range(0, len(numbers), _ROWS_A_QUERY):
            some = numbers[start : start + _ROWS_A_QUERY]
            for record in trials.get_many(self._connection, self._study.id, some).values():
                if record.state == "waiting":
                    continue
                hidden = record.state == "failed" or record.excluded
                trial = None if hidden else frozen_trial(record, self._study, self._space)
                found[record.number] = trial
                # An Optuna program gives a running trial its parameters one by one; the service, all at once.
                if record.state != "running" or (record.distributions is None and not hidden):
                    self._used[record.number] = trial
        return found

    def _numbers(self, statement: Prepared, **values: Any) -> Sequence[int]:
        return [number for [number] in statement.rows(self._connection, {"of_study": self._study.id, **values})]


class _Memory:
    """What is remembered of the studies of one database: number → trial, None for one that is never shown.

    Whoever looks at a study holds its row, so nobody else is looking at the same study. What was read in a
    transaction that then fails may never have been: it is forgotten.
    """

    def __init__(self, engine: Engine) -> None:
        self._lock = threading.Lock()
        self._studies: OrderedDict[int, tuple[int, ref[Connection], dict[int, FrozenTrial | None]]] = OrderedDict()
        event.listen(engine, "rollback", self._forget)
        event.listen(engine, "rollback_savepoint", lambda connection, *_: self._forget(connection))
        event.listen(engine, "handle_error", lambda context: self._forget(context.connection))

    def recall(self, study: StudyRecord) -> dict[int, FrozenTrial | None]:
        """What is remembered of the study."""
        with self._lock:
            version, _, trials = self._studies.get(study.id, (study.version, None, {}))
            return trials if version == study.version else {}

    def keep(self, connection: Connection, study: StudyRecord, trials: dict[int, FrozenTrial | None]) -> None:
        """Remember these of the study."""
        with self._lock:
            self._studies[study.id] = (study.version, ref(connection), trials)
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
