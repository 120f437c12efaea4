"""A thread that looks after trials: their reports are sent, and their progress is passed on, about every second."""

import logging
import threading
import time
import weakref
from typing import Protocol

from tuner.client.errors import ServiceUnreachable
from tuner.client.transport import pause

logger = logging.getLogger(__name__)


class Watched(Protocol):
    """What a round looks after."""

    def look_after(self) -> None:
        """Send what waits.

        Raises:
            ServiceUnreachable: it waits on.
        """


class Rounds:
    """A thread that looks after trials every so many seconds, for as long as there are any."""

    def __init__(self, every: float) -> None:
        self.every = every
        self._condition = threading.Condition()
        self._watched: weakref.WeakSet[Watched] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._hurried = False

    def watch(self, trial: Watched) -> None:
        """Look after a trial from now on."""
        with self._condition:
            self._watched.add(trial)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tuner-reports", daemon=True)
                self._thread.start()

    def forget(self, trial: Watched) -> None:
        """Look after it no more."""
        with self._condition:
            self._watched.discard(trial)
            if not self._watched:
                self._condition.notify()

    def hurry(self) -> None:
        """Begin the next round at once."""
        with self._condition:
            self._hurried = True
            self._condition.notify()

    def after_fork(self) -> None:
        """In a child process, where the thread is not: begin anew, with nothing to look after."""
        self.__init__(self.every)  # type: ignore[misc]

    def _run(self) -> None:
        try:
            self._go_round()
        finally:
            with self._condition:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _go_round(self) -> None:
        failures = 0
        seconds = self.every
        while True:
            with self._condition:
                began = time.monotonic()
                while self._watched and not (self._hurried and not failures):
                    left = began + seconds - time.monotonic()
                    if left <= 0:
                        break
                    self._condition.wait(left)
                self._hurried = False
                if not self._watched:
                    # Under this lock, so that a trial that comes now finds no thread and starts one.
                    self._thread = None
                    return
                watched = list(self._watched)
            try:
                for trial in watched:
                    trial.look_after()
                failures, seconds = 0, self.every
            except ServiceUnreachable as failure:
                failures += 1
                seconds = max(self.every, pause(failures, failure.retry_after))
                if failures == 3:
                    logger.warning("%s; reports are kept and sent when it does", failure)
            finally:
                del watched
                trial = None  # type: ignore[assignment]  # a trial that nobody has must not be kept here
