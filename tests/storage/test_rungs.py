"""Rungs: replaced, not repeated; read newest first, without those that do not count."""

import math

import numpy as np
import pytest
from sqlalchemy import Connection, func, select

from tests.storage.rows import add_study, add_trials
from tuner.storage import rungs, trials
from tuner.storage.database import Database
from tuner.storage.rungs import RungValue
from tuner.storage.tables import rung as table


def write(database: Database, study_id: int, *values: RungValue) -> None:
    database.write(lambda connection: rungs.write(connection, study_id, values))


def read(database: Database, study_id: int, *places: tuple[int, int], limit: int = 500) -> list[dict[int, float]]:
    """What each rung holds: trial id → value, in the order in which it was read."""
    found = database.read(lambda connection: rungs.read(connection, study_id, places, limit))
    return [dict(zip(found[at].trial_ids.tolist(), found[at].values.tolist(), strict=True)) for at in places]


def test_the_newest_trials_come_first_and_only_they(database: Database) -> None:
    study = add_study(database)
    ids = [record.id for record in add_trials(database, study.id, 10)]
    write(database, study.id, *(RungValue(trial_id, 0, 8, float(trial_id)) for trial_id in ids))
    (newest,) = read(database, study.id, (0, 8), limit=3)
    assert list(newest.items()) == [(trial_id, float(trial_id)) for trial_id in ids[:-4:-1]]


def test_each_rung_of_each_bracket_and_study_is_its_own(database: Database) -> None:
    study, other = add_study(database), add_study(database, "other")
    (trial,) = add_trials(database, study.id, 1)
    (stranger,) = add_trials(database, other.id, 1)
    write(
        database,
        study.id,
        RungValue(trial.id, 0, 8, 1.0),
        RungValue(trial.id, 1, 8, 2.0),
        RungValue(trial.id, 0, 16, 3.0),
    )
    write(database, other.id, RungValue(stranger.id, 0, 8, 4.0))
    places = [(0, 8), (1, 8), (0, 16), (1, 16)]
    assert read(database, study.id, *places) == [{trial.id: 1.0}, {trial.id: 2.0}, {trial.id: 3.0}, {}]
    assert read(database, other.id, *places) == [{stranger.id: 4.0}, {}, {}, {}]


def test_more_rungs_than_a_statement_holds_are_read_all_the_same(database: Database) -> None:
    study = add_study(database)
    first, second = add_trials(database, study.id, 2)
    steps = range(1, 54)
    write(
        database, study.id, *(RungValue(trial.id, 0, step, float(step)) for step in steps for trial in (first, second))
    )
    expected = [{second.id: float(step), first.id: float(step)} for step in steps]
    assert read(database, study.id, *((0, step) for step in steps)) == expected


def test_a_value_replaces_the_one_before(database: Database) -> None:
    study = add_study(database)
    (trial,) = add_trials(database, study.id, 1)
    write(database, study.id, RungValue(trial.id, 0, 8, 1.0), RungValue(trial.id, 0, 16, 0.5))
    write(database, study.id, RungValue(trial.id, 0, 8, 7.0))
    assert read(database, study.id, (0, 8), (0, 16)) == [{trial.id: 7.0}, {trial.id: 0.5}]


@pytest.mark.parametrize("worst", [math.nan, math.inf, -math.inf])
def test_what_never_was_finite_is_kept_as_such(database: Database, worst: float) -> None:
    study = add_study(database)
    (trial,) = add_trials(database, study.id, 1)
    write(database, study.id, RungValue(trial.id, 0, 10**12, worst))
    assert np.isnan(read(database, study.id, (0, 10**12))[0][trial.id])


@pytest.mark.parametrize("flag", ["excluded", "quarantined"])
def test_excluded_and_quarantined_trials_do_not_count(database: Database, flag: str) -> None:
    study = add_study(database)
    first, second, third = add_trials(database, study.id, 3)
    write(database, study.id, *(RungValue(trial.id, 0, 8, 1.0) for trial in (first, second, third)))
    database.write(lambda connection: trials.change(connection, third.id, **{flag: True}))
    assert read(database, study.id, (0, 8), limit=2) == [{second.id: 1.0, first.id: 1.0}]


def test_a_trial_has_one_last_improvement_or_none(database: Database) -> None:
    study = add_study(database)
    first, second = add_trials(database, study.id, 2)

    def improvements() -> dict[int, tuple[int, float]]:
        return database.read(lambda connection: rungs.read_improvements(connection, [first.id, second.id]))

    def improve(**changes: tuple[int, float] | None) -> None:
        named = {{"first": first.id, "second": second.id}[name]: change for name, change in changes.items()}
        database.write(lambda connection: rungs.write_improvements(connection, study.id, named))

    assert improvements() == {}
    improve(first=(3, 0.5), second=(4, -1.0))
    improve(first=(9, 0.25))
    assert improvements() == {first.id: (9, 0.25), second.id: (4, -1.0)}
    improve(second=None)
    assert improvements() == {first.id: (9, 0.25)}
    # It is no rung.
    assert read(database, study.id, (0, 9), (0, 3)) == [{}, {}]


def test_rungs_go_with_their_study(database: Database) -> None:
    from tuner.storage import studies

    study = add_study(database)
    (trial,) = add_trials(database, study.id, 1)
    write(database, study.id, RungValue(trial.id, 0, 8, 1.0))
    database.write(lambda connection: studies.remove(connection, study.id))

    def count(connection: Connection) -> int:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()

    assert database.read(count) == 0
