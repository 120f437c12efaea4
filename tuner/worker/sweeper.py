"""The sweeper: a thread that lets time act on leases and budgets, whether or not anybody asks.

Every process that serves runs one, so that a lost trial is found again whichever of them is left.
"""

import logging
import threading

from tuner.errors import TunerError
from tuner.service.leases import SWEEP_EVERY, sweep
from tuner.storage.database import Database

logger = logging.getLogger(__name__)


JOINED_WITHIN = 1.0
"""Seconds that whoever stops a sweeper waits for it; a database that is away may hold it for longer."""


class Sweeper:
    """Sweeps a database every `SWEEP_EVERY` seconds from `start` to `stop`, also through the times it is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def stop(self) -> None:
        """Sweep no more."""
        self._stopped.set()
        self._thread.join(JOINED_WITHIN)

    def _run(self) -> None:
        while not self._stopped.wait(SWEEP_EVERY):
            try:
                lost = sweep(self._database)
            except TunerError as error:
                logger.warning("the sweep is put off: %s", error)
                continue
            if lost:
                logger.warning("%d leases were over; their trials wait again", lost)
