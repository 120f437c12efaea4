"""What the first released schema holds survives the upgrade to this one, and goes on being worked on."""

from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import Connection, MetaData, insert, select, text

from tests.service.definitions import complete, registered
from tuner.service import ask, studies, tell, trials
from tuner.service.report import NewPoints
from tuner.storage import migration, tables
from tuner.storage.database import Database

FIRST = "0001"


@pytest.fixture
def empty_database(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url)
    yield database
    database.close()


def put_as_first_released(source: Database, target: Database) -> None:
    """Fill a database at the first revision with what another holds, as far as the first revision knows it."""
    migration.upgrade(target, FIRST)
    rows = source.read(
        lambda connection: {
            name: [dict(row._mapping) for row in connection.execute(select(table))]
            for name, table in tables.metadata.tables.items()
        }
    )

    def put(connection: Connection) -> None:
        assert migration.current(connection) == FIRST
        found = MetaData()
        found.reflect(connection)
        for name in ("tuner_study", "tuner_trial", "tuner_attempt", "tuner_curve_block", "tuner_worker"):
            known = [column.name for column in found.tables[name].columns]
            for row in rows[name]:
                values = {column: row[column] for column in known}
                connection.execute(insert(tables.metadata.tables[name]).values(**values))

        if connection.dialect.name == "postgresql":
            # Ids that were written down are none that were counted.
            for name in ("tuner_study", "tuner_trial"):
                counted = f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}"
                connection.execute(text(counted))

    target.write(put)


def test_the_data_of_the_first_release_is_there_after_the_upgrade(database: Database, empty_database: Database) -> None:
    studies.create(database, registered(budget={"trials": 20}, notes="before"))
    leases = ask.ask(database, "line-fit", count=6).trials
    curve = NewPoints("loss", np.arange(3), np.array([2.0, float("inf"), 0.5]))
    endings = [complete(lease, loss=0.5 + lease.number, curves=[curve]) for lease in leases[:5]]
    tell.tell(database, "line-fit", endings)
    put_as_first_released(database, empty_database)

    migration.upgrade(empty_database)
    migration.require_current(empty_database)
    before, after = (studies.get(each, "line-fit")[0] for each in (database, empty_database))
    assert after.definition == before.definition
    assert (after.trials, after.spent.gradient_evaluations) == (before.trials, before.spent.gradient_evaluations)
    assert after.best is not None
    assert (after.best.number, after.best.values) == (leases[0].number, {"loss": 0.5 + leases[0].number})
    assert len(trials.page(empty_database, "line-fit").trials) == 6
    found = trials.curve(empty_database, "line-fit", leases[0].number)["loss"]
    assert (list(found.steps), list(found.values)) == ([0, 1, 2], [2.0, float("inf"), 0.5])

    tell.tell(empty_database, "line-fit", [complete(leases[5], loss=0.1)])
    best = studies.get(empty_database, "line-fit")[0].best
    assert best is not None
    assert best.number == leases[5].number
    more = ask.ask(empty_database, "line-fit", count=100).trials
    assert [lease.number for lease in more] == list(range(6, 20))
