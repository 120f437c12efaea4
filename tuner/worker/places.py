"""Where trials run: the one seam between "run these studies" and whatever runs them.

A place starts workers and stops them. Studies, leases and results pass through the database alone, so nothing above
or below knows which place it is: a thread of this process, processes of this machine, or, for those who outgrow one
machine, a cluster engine behind the same two verbs.
"""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Protocol

from tuner.errors import TunerError
from tuner.service import workers
from tuner.storage.database import Database
from tuner.worker.loop import Worker

logger = logging.getLogger(__name__)

WATCHED_EVERY = 0.2
"""Seconds between two looks at the processes."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a process that died is started again: doubled with each death, up to the longest."""

LIVED_WELL = 60.0
"""Seconds after which a process that dies is started again as if for the first time."""

GIVEN_UP_AT = 0.8
"""The share of the grace period after which a thread that has not ended is left alone."""

KILLED_AT = 0.9
"""The share of the grace period after which a process that has not ended is killed."""


class Place(Protocol):
    """Somewhere that workers run."""

    def start(self) -> None:
        """Begin to work."""
        ...

    def stop(self, grace_seconds: float) -> None:
        """Take nothing more; be gone within so many seconds."""
        ...


class ThisProcess:
    """One worker in a thread of this process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self.failure: BaseException | None = None
        """What ended the worker without its being told to stop."""

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the worker has not come to its end."""
        return self._thread.is_alive()

    def stop(self, grace_seconds: float) -> None:
        """Take nothing more; return within so many seconds. What a worker that hangs holds is taken from it."""
        self._worker.stop(grace_seconds)
        self._thread.join(GIVEN_UP_AT * grace_seconds)
        if self._thread.is_alive():
            logger.warning("the worker does not come to an end; its trials are given back")
            with contextlib.suppress(TunerError):
                self._worker.give_back()

    def _run(self) -> None:
        try:
            self._worker.run()
        except BaseException as error:  # noqa: BLE001 (raised again by whoever looks after the place)
            self.failure = error


class LocalProcesses:
    """Worker processes of this machine, each ``tuner worker``; one that dies is started again.

    What a dead one held is given to the others at once: its leases need not run out first.

    Args:
        database: where the workers say who they are.
        count: how many.
        environment: of the processes, beside this one's own. What they need to know is there and not in their
            arguments, which every user of the machine can read: a database URL may hold a password.
    """

    def __init__(self, database: Database, count: int, environment: Mapping[str, str]) -> None:
        self._database = database
        self._environment = {**os.environ, **environment}
        self._children = [_Child() for _ in range(count)]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="places", daemon=True)

    @property
    def pids(self) -> list[int]:
        """The processes that run at the moment."""
        return [child.process.pid for child in self._children if child.process is not None]

    def start(self) -> None:
        """Start the processes, and a thread that looks after them."""
        for child in self._children:
            child.start(self._environment)
        self._thread.start()

    def stop(self, grace_seconds: float) -> None:
        """Tell every process to end; kill the ones that have not when most of the time is over."""
        deadline = time.monotonic() + KILLED_AT * grace_seconds
        self._stopping.set()
        self._thread.join()
        processes = [child.process for child in self._children if child.process is not None]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("worker process %d did not end in time and is killed", process.pid)
                process.kill()
                process.wait()
                self._take_from(process.pid)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCHED_EVERY):
            for child in self._children:
                if child.process is not None and child.process.poll() is not None:
                    logger.warning(
                        "worker process %d ended with status %d", child.process.pid, child.process.returncode
                    )
                    self._take_from(child.process.pid)
                    child.died()
                if child.process is None and time.monotonic() >= child.start_at:
                    child.start(self._environment)

    def _take_from(self, pid: int) -> None:
        # Should the database be away, the leases run out by themselves.
        with contextlib.suppress(TunerError):
            workers.lost(self._database, pid)


class _Child:
    """One of the processes, over all its lives."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.start_at = 0.0
        self._began = 0.0
        self._pause = FIRST_PAUSE

    def start(self, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "tuner", "worker", "--with-parent"]
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603
        self._began = time.monotonic()

    def died(self) -> None:
        self.process = None
        now = time.monotonic()
        if now - self._began > LIVED_WELL:
            self._pause = FIRST_PAUSE
        self.start_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
