"""Statements that go to the driver directly, on both databases."""

from sqlalchemy import bindparam, select

from tests.storage.rows import add_study
from tuner.storage.database import Database
from tuner.storage.driver import Prepared
from tuner.storage.studies import StudyRecord
from tuner.storage.tables import study as table


def test_a_word_that_never_changes_is_part_of_the_text_and_other_text_is_not(database: Database) -> None:
    odd = "it's 5 % :of %(them)s \\"
    studies = [add_study(database, name=name) for name in (odd, "plain")]
    found = Prepared(
        lambda _: (
            select(table.c.name, table.c.directions)
            .where(table.c.name == odd, table.c.state == "active", table.c.id == bindparam("id"))
            .limit(bindparam("count"))
        )
    )

    def rows(study: StudyRecord) -> list[list[object]]:
        return database.read(lambda connection: found.rows(connection, {"id": study.id, "count": 5}))

    assert [rows(one) for one in studies] == [[[odd, ["minimize"]]], []]
    [made] = found._made.values()
    assert "'active'" in made.text
    assert odd in made.constants.values()
    assert "active" not in made.constants.values()
