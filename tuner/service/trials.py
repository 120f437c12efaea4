"""Use cases of single trials: enqueue a chosen point, renew and release leases, read trials and their curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuner.analysis.decimation import decimate
from tuner.errors import InvalidInput, LeaseLost
from tuner.service.open_study import open_study
from tuner.service.paging import page_number
from tuner.storage import curves, studies, trials
from tuner.storage.database import Connection, Database, now
from tuner.storage.trials import TrialRecord
from tuner.trial import Curve, Trial


@dataclass(frozen=True)
class TrialPage:
    """Trials by number, where the next page begins, and what was written last when this page was read."""

    trials: list[Trial]
    next_page_token: str | None
    as_of: datetime | None


def enqueue(database: Database, name: str, parameters: Mapping[str, Any]) -> Trial:
    """Add a chosen point. It waits until somebody asks, and counts against the budget from then on.

    Raises:
        InvalidInput: the point is not one of the search space.
    """

    def work(connection: Connection) -> Trial:
        study = open_study(connection, name)
        try:
            chosen = study.definition.point(parameters)
        except InvalidInput as error:
            raise error.within("parameters") from None
        # Optuna programs look for a chosen point under this key.
        return study.create_waiting((chosen, {"fixed_params": chosen})).view()

    return database.write(work)


def renew(database: Database, name: str, held: Sequence[tuple[int, int]]) -> list[int]:
    """Renew the leases of (number, attempt) pairs; the numbers of those that are still held."""

    def work(connection: Connection) -> list[int]:
        study = studies.get(connection, name, lock=True)
        records = trials.get_many(connection, study.id, [number for number, _ in held])
        pairs = [(records[number].id, attempt) for number, attempt in held if number in records]
        kept = set(trials.renew(connection, pairs, now(connection)))
        return [number for number, _ in held if number in records and records[number].id in kept]

    return database.write(work)


def heartbeat(database: Database, name: str, number: int, attempt: int) -> datetime:
    """Renew one lease; when it now ends.

    Raises:
        StudyNotFound, TrialNotFound: there is nothing to hold.
        ReadOnlyStudy: an Optuna program made the study.
        LeaseLost: the attempt does not hold the trial any more.
    """

    def work(connection: Connection) -> datetime:
        record = trials.get(connection, open_study(connection, name).record.id, number)
        if not trials.renew(connection, [(record.id, attempt)], now(connection)):
            raise LeaseLost(f"trial {number} is {record.state} at attempt {record.attempt}; {attempt} is over")
        expiry = trials.get(connection, record.study_id, number).lease_expires_at
        assert expiry is not None  # noqa: S101 (it has just been renewed)
        return expiry

    return database.write(work)


def release(database: Database, name: str, held: Sequence[tuple[int, int]]) -> list[int]:
    """Give running trials back, to be run again, without charging them a lost lease; the numbers of those given back.

    Lost ones are passed over. What the attempts have spent, as far as their reported curves show, is the study's.
    """

    def work(connection: Connection) -> list[int]:
        study = open_study(connection, name)
        records = trials.get_many(connection, study.record.id, [number for number, _ in held])
        given_back = [
            records[number]
            for number, attempt in dict.fromkeys(held)
            if number in records and records[number].state == "running" and records[number].attempt == attempt
        ]
        spent = [study.reported_evaluations(record) for record in given_back]
        trials.change_many(
            connection,
            [
                {
                    "id": record.id,
                    "state": "waiting",
                    "gradient_evaluations": record.gradient_evaluations + evaluations,
                    "lease_expires_at": None,
                    "worker": None,
                    "updated_at": study.moment,
                }
                for record, evaluations in zip(given_back, spent, strict=True)
            ],
        )
        trials.end_attempts(connection, given_back, "released", study.moment)
        studies.increase(connection, study.record.id, spent_evaluations=sum(spent))
        return [record.number for record in given_back]

    return database.write(work)


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
