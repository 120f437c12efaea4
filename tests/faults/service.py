"""The service as its operators run it: processes killed, told to end, and started again at one address."""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.worker.running import eventually

PORTS = range(20_000, 32_000)
"""Where to look for free ports: below those that systems give to outgoing connections, or a client that knocks on the
door of a service that is down could get the very port that it knocks on, and answer itself."""


class Service:
    """``tuner serve`` with everything that it starts, in a process group of its own.

    Its address stays the same from one start to the next.

    Args:
        database_url: what it works on.
        directory: where it runs, and leaves what it says.
        flags: of the command.
        environment: beside this process's own.
    """

    def __init__(
        self, database_url: str, directory: Path, *flags: str, environment: dict[str, str] | None = None
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = database_url
        self._directory = directory
        self._said = directory / "service.log"
        self._command = [sys.executable, "-m", "tuner", "serve", "--port", str(self.port), "--log-level", "warning"]
        self._command += ["--poll-seconds", "0.05", *flags]
        self._environment = {**os.environ, "TUNER_DATABASE_URL": database_url, **(environment or {})}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that was started."""
        assert self.process is not None
        return self.process.pid

    @property
    def said(self) -> str:
        """What it wrote, over all its lives."""
        return self._said.read_text()

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with self._said.open("a") as file:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        eventually(self.is_ready, within=120)

    def is_ready(self) -> bool:
        """Whether it answers that it is."""
        assert self.process is not None
        assert self.process.poll() is None, f"the service has ended: {self.said}"
        try:
            return httpx.get(f"{self.url}/readyz", timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """SIGKILL for it and all that it started, at once: what a power cut leaves of it is the database.

        Python's own resource tracker is left: it ends by itself, and removes the semaphores that the dead leave behind.
        """
        if self.process is not None:
            for pid in _members(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()


def _members(group: int) -> list[int]:
    """The processes of a group, the resource tracker apart."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            of_group = int((directory / "stat").read_text().rpartition(")")[2].split()[2]) == group
            if of_group and b"resource_tracker" not in (directory / "cmdline").read_bytes():
                found.append(int(directory.name))
    return found


@contextmanager
def serving(
    database_url: str, directory: Path, *flags: str, environment: dict[str, str] | None = None
) -> Iterator[Service]:
    """A service that runs, gone at the end however often it was started."""
    service = Service(database_url, directory, *flags, environment=environment)
    try:
        service.start()
        yield service
    finally:
        service.kill()


def api_processes(backend: str) -> tuple[str, ...]:
    """The flags for as many processes that answer as somebody with such a database would start: 2 on a server's."""
    return ("--processes", "2" if backend == "postgresql" else "1")


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    while True:
        port = random.choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
