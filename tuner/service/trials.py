"""Use cases of single trials: enqueue a chosen point, read trials and their curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuner.analysis.decimation import decimate
from tuner.errors import InvalidInput, TunerError
from tuner.service.open_study import OpenStudy, open_study
from tuner.service.paging import page_number
from tuner.storage import curves, studies, trials
from tuner.storage.database import Connection, Database
from tuner.storage.trials import TrialRecord
from tuner.trial import Curve, Trial


@dataclass(frozen=True)
class TrialPage:
    """Trials by number, where the next page begins, and what was written last when this page was read."""

    trials: list[Trial]
    next_page_token: str | None
    as_of: datetime | None


@dataclass(frozen=True)
class Enqueue:
    """A point that somebody chose."""

    parameters: Mapping[str, Any]


def enqueue(database: Database, name: str, parameters: Mapping[str, Any]) -> Trial:
    """Add a chosen point. It waits until somebody asks, and counts against the budget from then on.

    Raises:
        InvalidInput: the point is not one of the search space.
    """

    def work(connection: Connection) -> Trial:
        with open_study(connection, name) as study:
            [added] = add_chosen(study, [Enqueue(parameters)])
        if isinstance(added, TunerError):
            raise added
        return added

    return database.write(work)


def add_chosen(study: OpenStudy, points: Sequence[Enqueue]) -> list[Trial | TunerError]:
    """`enqueue` within a transaction that has opened the study, each point judged on its own."""
    answers: list[Trial | TunerError] = []
    for point in points:
        try:
            chosen = study.definition.point(point.parameters)
        except InvalidInput as error:
            answers.append(error.within("parameters"))
            continue
        # Optuna programs look for a chosen point under this key.
        row = study.row(study.record.next_number, (chosen, {"fixed_params": chosen}), state="waiting")
        [created] = trials.create(study.connection, [row])
        study.add(next_number=1)
        study.has_waiting = True
        answers.append(created.view())
    return answers


def get(database: Database, name: str, number: int) -> Trial:
    """One trial.

    Raises:
        StudyNotFound, TrialNotFound: there is none.
    """
    return database.read(lambda connection: _find(connection, name, number).view())


def page(
    database: Database,
    name: str,
    *,
    states: Sequence[str] | None = None,
    updated_after: datetime | None = None,
    page_size: int = 100,
    page_token: str | None = None,
) -> TrialPage:
    """Trials by number, those written after ``updated_after`` (aware of its zone).

    Who walks the pages and comes back with ``as_of`` of the *first* page misses nothing: what was written while the
    pages were walked is found the next time. The time of the last trial seen would pass over such trials.

    Raises:
        InvalidInput: the page token is none of ours.
    """
    after = page_number(page_token)

    def work(connection: Connection) -> TrialPage:
        study = studies.get(connection, name)
        as_of = trials.latest_update(connection, study.id)
        records = trials.page(
            connection, study.id, states=states, updated_after=updated_after, after=after, size=page_size + 1
        )
        more = len(records) > page_size
        records = records[:page_size]
        return TrialPage([record.view() for record in records], str(records[-1].number) if more else None, as_of)

    return database.read(work)


def curve(database: Database, name: str, number: int, *, max_points: int | None = None) -> dict[str, Curve]:
    """A trial's curves by metric, each shown by at most ``max_points`` points, extremes and ends among them."""

    def work(connection: Connection) -> dict[str, Curve]:
        record = _find(connection, name, number)
        shown = {}
        for metric, stored in curves.read(connection, record.id, record.attempt).items():
            kept = decimate(stored.values, max_points)
            shown[metric] = Curve(
                steps=stored.steps[kept].tolist(), values=stored.values[kept].tolist(), points=len(stored.steps)
            )
        return shown

    return database.read(work)


def _find(connection: Connection, name: str, number: int) -> TrialRecord:
    return trials.get(connection, studies.get(connection, name).id, number)
