"""Backups: whole while the database is written, refused where they could harm, and restored to the same."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.service.definitions import complete, external
from tuner.errors import InvalidInput, SchemaMismatch
from tuner.service import ask, studies, tell
from tuner.storage import migration
from tuner.storage.backup import backup, restore
from tuner.storage.database import Database, sqlite_module

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def refused(field: str, *arguments: object, of: object = backup) -> str:
    with pytest.raises(InvalidInput) as caught:
        of(*arguments)  # type: ignore[operator]
    assert caught.value.fields[0].field == field
    return caught.value.fields[0].message


def test_a_backup_of_a_database_that_is_being_written_is_one_moment_of_it(database: Database, tmp_path: Path) -> None:
    studies.create(database, external(budget={"trials": 100_000}))
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            [lease] = ask.ask(database, "resnet").trials
            tell.tell(database, "resnet", [complete(lease)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            file = tmp_path / f"{number}.db"
            backup(database, file)
            with closing(Database(f"sqlite:///{file}")) as copy:
                found = studies.get(copy, "resnet")[0]
                # Counted from the trials, and kept on the study: of one moment they are equal.
                assert sum(found.trials.values()) == found.spent.trials
                assert found.trials["running"] <= 1
    finally:
        done.set()
        writer.join()


def test_what_is_restored_is_what_was_backed_up(database: Database, tmp_path: Path) -> None:
    studies.create(database, external(notes="kept"))
    file, elsewhere = tmp_path / "backup.db", Database(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    backup(database, file)
    assert not [path for path in tmp_path.iterdir() if path != file]
    restore(file, elsewhere)
    with closing(elsewhere):
        migration.require_current(elsewhere)
        assert studies.get(elsewhere, "resnet")[0] == studies.get(database, "resnet")[0]
        assert "exists" in refused("database_url", file, elsewhere, of=restore)


def test_nothing_is_overwritten_and_nothing_unsound_is_restored(database: Database, tmp_path: Path) -> None:
    file, target = tmp_path / "backup.db", tmp_path / "new.db"
    file.write_bytes(b"precious")
    assert "exists" in refused("file", database, file)
    assert file.read_bytes() == b"precious"
    with closing(Database(f"sqlite:///{target}")) as new:
        refused("file", file, new, of=restore)
        refused("file", tmp_path / "nothing.db", new, of=restore)
        with closing(sqlite_module().connect(tmp_path / "other.db")) as other:
            other.execute("CREATE TABLE t (x)")
        assert "Tuner" in refused("file", tmp_path / "other.db", new, of=restore)
        refused("database_url", new, tmp_path / "b.db")
    assert not target.exists()


def test_a_backup_of_a_newer_version_is_not_restored(database: Database, tmp_path: Path) -> None:
    file, target = tmp_path / "backup.db", tmp_path / "new.db"
    backup(database, file)
    with closing(sqlite_module().connect(file)) as newer:
        newer.execute(f"UPDATE {migration.VERSION_TABLE} SET version_num = 'from_the_future'")
        newer.commit()
    with pytest.raises(SchemaMismatch, match="newer version"):
        restore(file, Database(f"sqlite:///{target}"))
    assert not list(tmp_path.glob("new.db*"))


def test_a_damaged_backup_is_not_restored(database: Database, tmp_path: Path) -> None:
    studies.create(database, external(notes="x" * 3000))
    file = tmp_path / "backup.db"
    backup(database, file)
    content = bytearray(file.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 20_000] = b"\xff" * 20_000
    file.write_bytes(content)
    refused("file", file, Database(f"sqlite:///{tmp_path / 'new.db'}"), of=restore)
    assert not list(tmp_path.glob("new.db*"))
