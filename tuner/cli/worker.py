"""``tuner worker``: one worker process, until it is told to stop."""

import logging
import os
import sys
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import click

from tuner.cli.database import database_of
from tuner.cli.options import OF_THE_DATABASE, load_objectives, with_settings
from tuner.cli.signals import termination_signals
from tuner.logs import log_to_stderr
from tuner.settings import Settings

if TYPE_CHECKING:
    from tuner.storage.database import Database

logger = logging.getLogger(__name__)

LOOKS_UP_EVERY = 0.5
"""Seconds between two looks at whether the parent process still lives."""

RETRIED_EVERY = 2.0
"""Seconds between two tries at a database that is not there yet."""


@click.command()
@with_settings(
    *OF_THE_DATABASE, "objectives", "lease_seconds", "poll_seconds", "grace_seconds", "log_level", "log_format"
)
@click.option("--with-parent", is_flag=True, hidden=True, help="End when the process that started this one has ended.")
def worker(settings: Settings, with_parent: bool) -> None:
    """Run trials of the studies in a database. SIGTERM drains."""
    from tuner.worker import ThisProcess, Worker

    log_to_stderr(settings.log_level, settings.log_format)
    parent = os.getppid() if with_parent else None
    load_objectives(settings)
    with termination_signals() as signals:
        database = database_of(settings)
        if not _prepared(database, signals):
            return
        # The worker has a thread of its own, so that this one hears a signal however long one evaluation takes.
        place = ThisProcess(Worker(database, lease_seconds=settings.lease_seconds, poll_seconds=settings.poll_seconds))
        place.start()
        while place.alive and parent in {None, os.getppid()}:
            try:
                logger.info("stopping on signal %d", signals.get(timeout=LOOKS_UP_EVERY))
                break
            except Empty:
                continue
        place.stop(settings.grace_seconds)
    database.close()
    if place.failure is not None:
        raise place.failure
    if place.alive:
        # Whatever holds the thread up would hold up the interpreter's ordinary end, too.
        sys.stderr.flush()
        os._exit(0)


def _prepared(database: "Database", signals: "SimpleQueue[int]") -> bool:
    """Wait for the database, if need be: a worker may be started together with it. False: told to end before."""
    from tuner.errors import DatabaseUnavailable
    from tuner.storage import migration

    while True:
        try:
            migration.prepare(database)
        except DatabaseUnavailable as error:
            logger.warning("waiting for the database: %s", error)
        else:
            return True
        with suppress(Empty):
            signals.get(timeout=RETRIED_EVERY)
            return False
