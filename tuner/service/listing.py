"""Use case: those of a study's trials that somebody wants to see, in the order of any column, a page at a time.

The database neither filters nor sorts: both are done on the trials as columns (`storage.points`), which are remembered,
and the rows of one page are read. The list of all trials by number does without columns too: numbers have no gaps.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tuner.errors import InvalidInput
from tuner.service.paging import page_number
from tuner.service.trials import TrialPage
from tuner.storage import points, studies, trials
from tuner.storage.database import Connection, Database
from tuner.storage.points import Floats, Integers, Points
from tuner.storage.studies import StudyRecord

RATE = "learning_rate"

PARAMETER = "parameters."
"""What the name of a parameter's column begins with, here as in the CSV."""

COLUMNS: dict[str, Callable[[Points], NDArray[Any]]] = {
    "number": lambda found: found.number,
    "state": lambda found: found.state,
    "verdict": lambda found: found.verdict,
    "value": lambda found: found.value,
    "steps_run": lambda found: found.steps_run,
    "gradient_evaluations": lambda found: found.gradient_evaluations,
    "finished_at": lambda found: found.finished_at,
}
"""What trials can be sorted by, beside parameters. ``value``: what they are ranked by, or of a trade-off the metric."""


@dataclass(frozen=True)
class Order:
    """By which column, and whether the greatest come first. What has no finite value comes last either way."""

    column: str = "number"
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """``value``, or ``-value`` for the greatest first."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.column}" if self.descending else self.column


@dataclass(frozen=True)
class Wanted:
    """Which trials: what is None does not matter. Both bounds of the learning rate are included."""

    states: Collection[str] | None = None
    verdicts: Collection[str] | None = None
    excluded: bool | None = None
    rate_from: float | None = None
    rate_to: float | None = None

    def among(self, found: Points) -> NDArray[np.bool_]:
        """A mask of those trials."""
        wanted = np.ones(len(found), dtype=np.bool_)
        if self.states is not None:
            wanted &= np.isin(found.state, list(self.states))
        if self.verdicts is not None:
            wanted &= np.isin(found.verdict, list(self.verdicts))
        if self.excluded is not None:
            wanted &= found.excluded == self.excluded
        if self.rate_from is not None:
            wanted &= found.of(RATE) >= self.rate_from
        if self.rate_to is not None:
            wanted &= found.of(RATE) <= self.rate_to
        return wanted


ALL, BY_NUMBER = Wanted(), Order()


@dataclass(frozen=True)
class ListedTrials(TrialPage):
    """A page of a list. ``total``: trials of all its pages; ``start``: the place of the page's first, from 0."""

    total: int
    start: int


def listed(
    database: Database,
    name: str,
    *,
    wanted: Wanted = ALL,
    order: Order = BY_NUMBER,
    page_size: int = 100,
    page_token: str | None = None,
) -> ListedTrials:
    """A page of the wanted trials in that order; equal ones by number. A page token is a place in the list.

    The list is as it is when its page is read: who walks it while trials are written may meet one twice, or miss it.

    Raises:
        StudyNotFound: there is none.
        InvalidInput: the page token is none of ours, or there is no such column.
    """
    start = page_number(page_token) or 0

    def work(connection: Connection) -> ListedTrials:
        study = studies.get(connection, name)
        numbers = _numbers(connection, study, wanted, order)
        chosen = [int(number) for number in numbers[start : start + page_size]]
        found = trials.get_many(connection, study.id, chosen)
        end = start + page_size
        return ListedTrials(
            trials=[found[number].view() for number in chosen if number in found],
            next_page_token=str(end) if end < len(numbers) else None,
            as_of=trials.latest_update(connection, study.id),
            total=len(numbers),
            start=start,
        )

    return database.read(work)


def _numbers(connection: Connection, study: StudyRecord, wanted: Wanted, order: Order) -> Sequence[int] | Integers:
    """The numbers of the trials, in order."""
    if wanted == ALL and order.column == "number":
        numbers = range(study.next_number)
        return numbers[::-1] if order.descending else numbers
    found = points.read(connection, study)
    column = _column(found, study, order.column)
    places = np.flatnonzero(wanted.among(found))
    keys = column[places]
    # NaN comes last, whichever way.
    return found.number[places][np.argsort(-keys if order.descending else keys, kind="stable")]


def _column(found: Points, study: StudyRecord, column: str) -> Floats:
    """What to sort by, as numbers; texts by the alphabet."""
    if column in COLUMNS:
        values = COLUMNS[column](found)
        if values.dtype.kind != "U":
            return values.astype(np.float64)
        places = np.unique(values, return_inverse=True)[1].astype(np.float64)
        return np.where(values == "", np.nan, places)
    parameter = column.removeprefix(PARAMETER)
    searched = () if study.definition is None else study.definition.search_space
    if not column.startswith(PARAMETER) or (parameter not in searched and parameter not in found.parameters):
        there = [*COLUMNS, *(PARAMETER + name for name in {**dict.fromkeys(searched), **found.parameters})]
        raise InvalidInput.at("sort", f"there is no column {column!r} of numbers; there are {', '.join(there)}")
    return found.of(parameter)
