"""What a worker holds, and the thread that keeps it: leases renewed, the worker's row fresh, whatever the worker does.

It holds trials of one study, or a whole study, or both: a study under whose hold it runs trials that users chose.

The thread beats while the worker descends. NumPy lets other threads run during its longer operations, and Python
switches between threads every few milliseconds, so that a beat is late only where a user's objective holds the
interpreter for a third of a lease.
"""

import contextlib
import logging
import threading
from collections.abc import Iterable

from tuner.errors import NotFound, TunerError
from tuner.service import holds, workers
from tuner.service.leases import release
from tuner.service.report import Report, append_points
from tuner.storage.database import Database
from tuner.trial import Lease

logger = logging.getLogger(__name__)

SEEN_EVERY = 4.0
"""Seconds between two signs of life; a third of a lease where that is less."""


JOINED_WITHIN = 1.0
"""Seconds to wait for the thread to end; a database that is away may hold it for longer."""


class Holding:
    """What a worker holds of one study at a time."""

    def __init__(self, database: Database, worker: str, lease_seconds: float) -> None:
        self._database = database
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._every = min(SEEN_EVERY, lease_seconds / 3)
        self._guard = threading.Lock()
        self._study = ""
        self._name: str | None = None
        self._held: dict[int, int] = {}
        self._lost: set[int] = set()
        self._whole: str | None = None
        self._followed = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="holding", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._ended.set()
        self._thread.join(JOINED_WITHIN)

    def take(self, study: str, name: str, leases: Iterable[Lease]) -> None:
        """Hold these trials of a study (its address, its name), and nothing else."""
        with self._guard:
            self._study, self._name = study, name
            self._held = {lease.number: lease.attempt for lease in leases}
            self._lost = set()

    def hold(self, study: str, name: str) -> None:
        """Hold a whole study (its address, its name), and no trials."""
        with self._guard:
            self._study, self._name = study, name
            self._held, self._lost = {}, set()
            self._whole, self._followed = study, 0

    def follow(self, count: int) -> None:
        """So many trials are followed under the hold of the study."""
        with self._guard:
            self._followed = count

    def forget(self) -> None:
        """The study is held no longer."""
        with self._guard:
            self._whole, self._followed, self._name = None, 0, None

    def let_go(self, numbers: Iterable[int]) -> None:
        """These are settled, or somebody else's."""
        with self._guard:
            for number in numbers:
                self._held.pop(number, None)
            if not self._held and self._whole is None:
                self._name = None

    def lost(self) -> set[int]:
        """Numbers of trials that turned out to be held no longer, since the last call."""
        with self._guard:
            lost, self._lost = self._lost, set()
            return lost

    def release(self) -> None:
        """Give the trials that are held back to their study, not charged."""
        with self._guard:
            study, held, self._held = self._study, list(self._held.items()), {}
            if self._whole is None:
                self._name = None
        if held:
            try:
                release(self._database, study, held)
            except NotFound:
                logger.info("the study is gone, with the trials that were to be given back")

    def release_all(self) -> None:
        """Give everything back, a study that is held too."""
        self.release()
        with self._guard:
            study = self._whole
        self.forget()
        if study is not None:
            try:
                holds.release(self._database, study, self._worker)
            except NotFound:
                logger.info("the study that was to be given back is gone")

    def _beat_on(self) -> None:
        while not self._ended.wait(self._every):
            try:
                self._beat()
            except TunerError as error:
                logger.warning("no sign of life could be given: %s", error)

    def _beat(self) -> None:
        with self._guard:
            study, name, held = self._study, self._name, dict(self._held)
            whole, busy = self._whole, len(held) + self._followed
        workers.seen(self._database, self._worker, study=name, trials=busy)
        if whole is not None:
            with contextlib.suppress(NotFound):
                holds.renew(self._database, whole, self._worker, self._lease_seconds)
        if not held:
            return
        try:
            kept = append_points(self._database, study, [Report(*one) for one in held.items()])
        except NotFound:
            kept = []
        with self._guard:
            # What was settled while the beat was under way is not held by anybody, and not lost.
            gone = {number for number in held if number not in kept and self._held.get(number) == held[number]}
            self._lost |= gone if self._study == study else set()
