"""The migrations make exactly the tables that the code works with, and refuse what they do not know."""

import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

import migrations
from tuner.errors import SchemaMismatch
from tuner.storage import TunerStorage, migration, tables
from tuner.storage.database import Database


@pytest.fixture
def empty_database(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url)
    yield database
    database.close()


def described(connection: Connection) -> dict[str, Any]:
    """All that the database says of each of our tables, comparably."""
    inspector = inspect(connection)

    def column(found: Any) -> tuple[Any, ...]:
        return found["name"], str(found["type"]), found["nullable"], found["default"]

    def by_name(found: Any) -> list[str]:
        return sorted(str(plain(each)) for each in found)

    def plain(value: Any) -> Any:
        """Conditions of partial indexes are objects of SQLAlchemy's, which are equal to themselves only."""
        return sorted((name, plain(each)) for name, each in value.items()) if isinstance(value, dict) else str(value)

    return {
        name: {
            # A column that came later stands last, wherever the models show it.
            "columns": sorted(column(each) for each in inspector.get_columns(name)),
            "primary key": str(inspector.get_pk_constraint(name)),
            "foreign keys": by_name(inspector.get_foreign_keys(name)),
            "unique": by_name(inspector.get_unique_constraints(name)),
            "checks": by_name(inspector.get_check_constraints(name)),
            "indexes": by_name(inspector.get_indexes(name)),
        }
        for name in inspector.get_table_names()
        if name != migration.VERSION_TABLE
    }


def test_the_migrated_schema_equals_the_models(database: Database) -> None:
    def differences(connection: Connection) -> Any:
        options = {
            "version_table": migration.VERSION_TABLE,
            "compare_type": True,
            "compare_server_default": True,
        }
        return compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata)

    assert database.read(differences) == []


def test_the_migrations_and_the_models_make_the_same_tables(database: Database, empty_database: Database) -> None:
    empty_database.write(tables.metadata.create_all)
    made_by_models = empty_database.read(described)
    assert set(made_by_models) == set(tables.metadata.tables)
    assert database.read(described) == made_by_models


def test_up_from_empty_and_down_again(empty_database: Database) -> None:
    migration.upgrade(empty_database)
    migration.require_current(empty_database)
    assert empty_database.read(migration.current) == migration.head()

    migration.downgrade(empty_database, "base")
    assert empty_database.read(migration.current) is None
    assert empty_database.read(described) == {}

    migration.upgrade(empty_database)
    assert set(empty_database.read(described)) == set(tables.metadata.tables)


def test_files_are_named_after_their_revisions_in_order() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions()
    assert [script.revision for script in scripts] == list(reversed(migration._known()))


def test_a_process_whose_schema_is_current_does_not_load_alembic(database: Database) -> None:
    program = (
        "import sys; from tuner.storage import migration; from tuner.storage.database import Database; "
        "migration.prepare(Database(sys.argv[1])); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, database.url], check=True, timeout=60)


def test_an_upgrade_of_a_current_database_changes_nothing(database: Database) -> None:
    before = database.read(described)
    migration.upgrade(database)
    assert database.read(described) == before


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    statement = text(f"UPDATE {migration.VERSION_TABLE} SET version_num = 'from_the_future'")
    database.write(lambda connection: connection.execute(statement))
    for use in (migration.upgrade, migration.require_current, migration.prepare):
        with pytest.raises(SchemaMismatch, match=r"from_the_future.*newer version"):
            use(database)
    with pytest.raises(SchemaMismatch):
        TunerStorage(database.url)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_server_is_migrated_by_command_only(empty_database: Database) -> None:
    with pytest.raises(SchemaMismatch, match="run `tuner migrate`"):
        migration.prepare(empty_database)
    with pytest.raises(SchemaMismatch, match="run `tuner migrate`"):
        TunerStorage(empty_database.url)
    assert empty_database.read(described) == {}

    migration.upgrade(empty_database)
    migration.prepare(empty_database)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_sqlite_file_migrates_itself(empty_database: Database) -> None:
    with pytest.raises(SchemaMismatch, match=r"has no tables yet.*run `tuner migrate`"):
        migration.require_current(empty_database)
    migration.prepare(empty_database)
    assert set(empty_database.read(described)) == set(tables.metadata.tables)


def upgrade(url: str) -> None:
    database = Database(url)
    migration.upgrade(database)
    database.close()


def test_processes_that_upgrade_at_once_wait_for_each_other(empty_database: Database) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=upgrade, args=(empty_database.url,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    migration.require_current(empty_database)


def test_a_failed_migration_leaves_the_schema_as_it_was(empty_database: Database) -> None:
    # The last table that the first migration makes is in its way.
    obstacle = text("CREATE TABLE tuner_curve_block (id integer)")
    empty_database.write(lambda connection: connection.execute(obstacle))
    with pytest.raises(Exception, match="already exists"):
        migration.upgrade(empty_database)
    assert set(empty_database.read(described)) == {"tuner_curve_block"}
    assert empty_database.read(migration.current) is None
