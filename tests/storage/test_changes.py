"""What has changed since: nothing that became visible late is passed over."""

import threading

import pytest
from sqlalchemy import Connection

from tests.storage.rows import add_study, add_trials
from tuner.storage import changes, studies, trials
from tuner.storage.database import Database
from tuner.storage.transactions import horizon


def touch(database: Database, study_id: int) -> None:
    database.write(lambda connection: studies.change(connection, study_id, asked_at=None))


def look(database: Database, since: int) -> tuple[list[int], list[int], int]:
    """The studies that changed, those that are gone, and where to go on: one snapshot."""

    def work(connection: Connection) -> tuple[list[int], list[int], int]:
        deleted = [gone.id for gone in changes.deleted_since(connection, since)]
        return list(changes.studies_since(connection, since)), deleted, horizon(connection)

    return database.read(work)


def test_what_changes_is_found_from_the_last_look_on(database: Database) -> None:
    first, second = add_study(database, "first").id, add_study(database, "second").id
    changed, _, since = look(database, 0)
    assert changed == [first, second]
    assert look(database, since)[:2] == ([], [])
    touch(database, first)
    changed, _, since = look(database, since)
    assert changed == [first]
    database.write(lambda connection: studies.remove(connection, first))
    changed, deleted, later = look(database, since)
    assert (changed, deleted) == ([], [first])
    assert look(database, later)[:2] == ([], [])
    third = add_study(database, "first").id
    assert look(database, later)[:2] == ([third], [])
    assert look(database, since)[:2] == ([third], [first])


def test_numbers_go_on_after_everything_is_deleted(database: Database) -> None:
    only = add_study(database).id
    _, _, since = look(database, 0)
    database.write(lambda connection: studies.remove(connection, only))
    _, deleted, since = look(database, since)
    assert deleted == [only]
    another = add_study(database).id
    assert look(database, since)[0] == [another]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_transaction_that_began_first_and_became_visible_last_is_not_missed(database: Database) -> None:
    slow, quick = add_study(database, "slow").id, add_study(database, "quick").id
    _, _, since = look(database, 0)
    written, go_on = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        studies.change(connection, slow, asked_at=None)
        written.set()
        assert go_on.wait(30)

    thread = threading.Thread(target=lambda: database.write(work))
    thread.start()
    assert written.wait(30)
    for _ in range(5):
        touch(database, quick)
    changed, _, since = look(database, since)
    assert changed == [quick]
    go_on.set()
    thread.join()
    assert slow in look(database, since)[0]


def test_trials_come_in_the_order_of_their_writes_from_any_place(database: Database) -> None:
    study_id = add_study(database).id
    records = add_trials(database, study_id, 6, sequence=1)

    def work(connection: Connection) -> None:
        trials.change_many(connection, [{"id": records[number].id, "sequence": 2} for number in (1, 4)])
        trials.change_many(connection, [{"id": records[0].id, "sequence": 3}])

    database.write(work)
    order = [(1, 2), (1, 3), (1, 5), (2, 1), (2, 4), (3, 0)]
    for place in range(-1, len(order)):
        sequence, number = order[place] if place >= 0 else (0, 0)
        for size in (1, 3, 10):

            def read(connection: Connection, at: tuple[int, int] = (sequence, number), size: int = size) -> list[int]:
                return [each.number for each in changes.trials_after(connection, study_id, *at, size)]

            assert database.read(read) == [number for _, number in order[place + 1 :]][:size]
