"""Report: what a running trial has seen so far, written while it runs."""

from collections.abc import Sequence

from tuner.service.open_study import open_study
from tuner.service.tell import NewPoints
from tuner.storage import curves, trials
from tuner.storage.curves import CurveBlock
from tuner.storage.database import Connection, Database

Reported = tuple[int, int, Sequence[NewPoints]]
"""A trial's number, its attempt, and the new points of its curves."""


def append_points(database: Database, name: str, reports: Sequence[Reported]) -> list[int]:
    """Append points to the curves of running trials and renew their leases; the numbers of those still held.

    Of a trial whose lease is lost nothing is written.

    Raises:
        StudyNotFound, ReadOnlyStudy: there is nothing to report on.
    """

    def work(connection: Connection) -> list[int]:
        study = open_study(connection, name)
        records = trials.get_many(connection, study.record.id, [number for number, _, _ in reports])
        held = [(records[number].id, attempt) for number, attempt, _ in reports if number in records]
        renewed = set(trials.renew(connection, held, study.moment))
        kept = [report for report in reports if report[0] in records and records[report[0]].id in renewed]
        curves.append(
            connection,
            [
                CurveBlock(records[number].id, attempt, points.metric, points.steps, points.values)
                for number, attempt, found in kept
                for points in found
            ],
        )
        return [number for number, _, _ in kept]

    return database.write(work)
