"""The sweeper acts without being asked, and outlives a database that is away."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.worker.running import definition, eventually, study_of
from tuner.service import studies
from tuner.service.ask import ask
from tuner.storage import migration
from tuner.storage.database import Database
from tuner.worker import Sweeper, sweeper


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "SWEEP_EVERY", 0.05)


@contextmanager
def sweeping_over(database: Database) -> Iterator[None]:
    """A sweeper at work, ended whatever happens."""
    sweeping = Sweeper(database)
    sweeping.start()
    try:
        yield
    finally:
        sweeping.stop()


def test_an_expired_lease_is_requeued_though_nobody_asks(database: Database) -> None:
    studies.create(database, definition())
    ask(database, "line-fit", count=3, lease_seconds=0.1)
    with sweeping_over(database):
        eventually(lambda: study_of(database, "line-fit").trials["waiting"] == 3)


def test_it_survives_a_database_without_tables(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'later.db'}")) as database, sweeping_over(database):
        migration.upgrade(database)
        studies.create(database, definition())
        ask(database, "line-fit", count=1, lease_seconds=0.1)
        eventually(lambda: study_of(database, "line-fit").trials["waiting"] == 1)
