"""Training clients reduced to what the service's promises are about: processes that send requests over plain HTTP.

Each keeps a log of its own, in a file: what it was answered, written when the answer had come. What a log says is
what the service has acknowledged, whatever became of the client, of the service or of the database afterwards.
"""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any, Self

import httpx

PROCESSES = multiprocessing.get_context("forkserver")
"""Clients are forked from a process that has nothing open and has imported what they need."""

PROCESSES.set_forkserver_preload(["tests.faults.trainers"])

AWAY = {502, 503, 504}
"""What a client may be answered while a service or its database is away: it then sends the same again."""


class Log:
    """What happened to one client, a line each, readable at any time."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, **entry: Any) -> None:
        """Add a line, in one write: a process that is killed leaves whole lines."""
        os.write(self._descriptor, json.dumps(entry).encode() + b"\n")


def read(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The lines of some logs."""
    lines = (line for path in paths if path.exists() for line in path.read_text().splitlines(keepends=True))
    # A line that is still being written is read the next time.
    return [json.loads(line) for line in lines if line.endswith("\n")]


class Client:
    """A client of one service, which sends until it is answered."""

    def __init__(self, url: str, patience: float = 60.0) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        self._patience = patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        """The answer, after as many tries as it takes while the service is away.

        Raises:
            AssertionError: it stayed away too long.
        """
        headers = {} if key is None else {"Idempotency-Key": key}
        deadline = time.monotonic() + self._patience
        while True:
            why: object
            try:
                response = self._http.post(path, json=body, headers=headers)
                if response.status_code not in AWAY:
                    return response
                why = response.text
            except httpx.TransportError as error:
                why = error
            assert time.monotonic() < deadline, f"{path} was not answered in time: {why!r}"
            time.sleep(0.02)


@dataclass(frozen=True)
class Crew:
    """Clients at work, and their logs."""

    processes: list[BaseProcess]
    logs: list[Path]

    def finish(self, within: float) -> None:
        """Wait for all of them to come to their end in good order."""
        deadline = time.monotonic() + within
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
            assert process.exitcode == 0, f"{process.name} ended with {process.exitcode}"


@contextmanager
def running(directory: Path, count: int, work: Callable[..., None], *arguments: Any) -> Iterator[Crew]:
    """So many processes that each do ``work(log path, number, *arguments)``, killed at the end if they still run.

    Raises:
        AssertionError: one ended in disorder; what it said is on stderr.
    """
    logs = [directory / f"{work.__name__}-{number}.jsonl" for number in range(count)]
    processes: list[BaseProcess] = [
        PROCESSES.Process(target=work, args=(path, number, *arguments), name=path.stem)
        for number, path in enumerate(logs)
    ]
    try:
        for process in processes:
            process.start()
        yield Crew(processes, logs)
        assert {process.exitcode for process in processes} <= {None, 0, -signal.SIGKILL}, "a client ended in disorder"
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()
                process.close()


def event() -> Event:
    """Something to tell several clients at once."""
    return PROCESSES.Event()


def barrier(parties: int) -> Barrier:
    """Where several clients wait for each other."""
    return PROCESSES.Barrier(parties)
