"""What goes to the driver by itself arrives as what SQLAlchemy would have sent, to the last bit."""

import math
import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from tests.storage.rows import add_study, add_trials
from tuner.storage import bulk, studies, tables, trials
from tuner.storage.database import Database

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)


def doubles(count: int) -> list[float]:
    """Doubles of any exponent, by their bits; none that is not finite, and no negative zero: to SQLite it is zero."""
    bits = np.random.default_rng(3).integers(0, 2**64, count, dtype=np.uint64)
    found = [struct.unpack("d", struct.pack("Q", int(one)))[0] for one in bits]
    return [value for value in found if math.isfinite(value)] + [0.1, 0.0, 5e-324, 1.7976931348623157e308, 2 / 3]


def test_doubles_keep_their_bits(database: Database) -> None:
    values = doubles(300)
    records = add_trials(database, add_study(database, "a").id, len(values))
    changes = [{"id": one.id, "best_value": value} for one, value in zip(records, values, strict=True)]
    database.write(lambda connection: bulk.update(connection, tables.trial, changes, by=("id",)))
    stored = database.read(lambda connection: trials.page(connection, records[0].study_id))
    assert [struct.pack("d", one.best_value) for one in stored] == [struct.pack("d", value) for value in values]


def test_every_kind_of_column(database: Database) -> None:
    study = add_study(database, "a")
    row: dict[str, Any] = {
        "study_id": study.id,
        "number": 0,
        "state": "running",
        "parameters": {"rate": 0.1, "rule": 'é"\\ \n\u2028', "nested": [1, None, True]},
        "values": None,
        "quarantined": True,
        "lease_seconds": 1.5,
        "worker": "w'\"\\",
        "created_at": MOMENT.astimezone(timezone(timedelta(hours=5))),
        "updated_at": MOMENT,
        "finished_at": None,
        "user_attrs": {},
        "system_attrs": {"a": "NaN"},
        "last_step": 2**53,
    }
    database.write(lambda connection: bulk.insert(connection, tables.trial, [row]))
    [stored] = database.read(lambda connection: trials.get_many(connection, study.id, [0])).values()
    assert {name: getattr(stored, name) for name in row} == row
    assert stored.created_at.tzinfo is UTC

    block: dict[str, Any] = {
        "trial_id": stored.id, "metric": "loss", "attempt": 1, "sequence": 0, "first_step": 0, "last_step": 9,
        "points": bytes(range(256)),
    }  # fmt: skip
    database.write(lambda connection: bulk.insert(connection, tables.curve_block, [block]))
    read = select(tables.curve_block.c.points)
    assert database.read(lambda connection: connection.execute(read).scalar_one()) == bytes(range(256))


def test_rows_are_found_by_all_their_keys_and_nothing_is_no_write(database: Database) -> None:
    first, second = add_trials(database, add_study(database, "a").id, 2)
    blocks = [
        {
            "trial_id": one.id,
            "metric": metric,
            "attempt": 1,
            "sequence": 0,
            "first_step": 0,
            "last_step": 0,
            "points": b"",
        }
        for one in (first, second)
        for metric in ("loss", "accuracy")
    ]

    def work(connection: Connection) -> None:
        bulk.insert(connection, tables.curve_block, blocks)
        bulk.insert(connection, tables.curve_block, [])
        bulk.update(connection, tables.curve_block, [], by=("trial_id",))
        change = {**blocks[3], "last_step": 7}
        bulk.update(connection, tables.curve_block, [change], by=("trial_id", "metric", "attempt", "sequence"))

    database.write(work)
    read = select(tables.curve_block.c.last_step).order_by(tables.curve_block.c.trial_id, tables.curve_block.c.metric)
    assert database.read(lambda connection: list(connection.scalars(read))) == [0, 0, 7, 0]


def test_a_drivers_error_is_the_usual_one_and_the_transaction_is_undone(database: Database) -> None:
    study = add_study(database, "a")
    add_trials(database, study.id, 1)

    def work(connection: Connection) -> None:
        studies.change(connection, study.id, state_reason="half")
        row = {"study_id": study.id, "number": 0, "state": "waiting", "parameters": {}, "created_at": MOMENT}
        bulk.insert(connection, tables.trial, [{**row, "updated_at": MOMENT, "user_attrs": {}, "system_attrs": {}}])

    with pytest.raises(IntegrityError):
        database.write(work)
    assert database.read(lambda connection: studies.get(connection, "a")).state_reason is None
