"""The best trial of a study, and those that have no rank, on both databases."""

import pytest

from tests.storage.rows import add_study, add_trials
from tuner.storage import ranked
from tuner.storage.database import Database


@pytest.fixture
def study_id(database: Database) -> int:
    return add_study(database).id


@pytest.mark.parametrize(("direction", "expected"), [("minimize", 1), ("maximize", 3)])
def test_the_best_is_complete_finite_not_excluded_and_the_earliest_of_equals(
    database: Database, study_id: int, direction: str, expected: int
) -> None:
    assert database.read(lambda connection: ranked.best(connection, study_id, direction)) is None
    add_trials(database, study_id, 1, state="complete", objective_value=None, values={"loss": "-Infinity"})
    for number, value in [(1, -5.0), (2, -5.0), (3, 1e300), (4, 1e300)]:
        add_trials(database, study_id, 1, first=number, state="complete", objective_value=value)
    for state, value in [("pruned", -9.0), ("failed", -9.0)]:
        add_trials(database, study_id, 1, first=5 + (state == "failed"), state=state, objective_value=value)
    add_trials(database, study_id, 1, first=7, state="complete", objective_value=-9e9, excluded=True)
    add_trials(database, study_id, 1, first=8, state="complete", objective_value=9e307, excluded=True)

    best = database.read(lambda connection: ranked.best(connection, study_id, direction))
    assert best is not None
    assert best.number == expected


def test_a_complete_trial_without_a_finite_value_is_found_by_its_values(database: Database, study_id: int) -> None:
    def first(values: dict[str, float | str] | None = None) -> int | None:
        found = database.read(lambda connection: ranked.first_unranked(connection, study_id, values=values))
        return None if found is None else found.number

    add_trials(database, study_id, 1, state="complete", objective_value=1.0, values={"loss": 1.0})
    assert first() is None
    for number, value in [(1, "NaN"), (2, "Infinity"), (3, "Infinity")]:
        add_trials(database, study_id, 1, first=number, state="complete", values={"loss": value})
    assert (first(), first({"loss": "Infinity"}), first({"loss": "-Infinity"})) == (1, 2, None)
