"""Group commit: writes that arrive together share one transaction, and one flush to the disk.

A transaction of one small write is mostly overhead: its beginning and end, the study's row locked and read, the row
written again. Here one thread takes whatever has come in since it last looked and carries it out as one transaction;
under load groups grow by themselves, and nobody waits for a group to fill. Nobody is answered before the commit.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from pydantic import BaseModel

from tuner.errors import StorageError, TunerError
from tuner.service.writes import Answer, Write, commit
from tuner.storage.database import Database

logger = logging.getLogger(__name__)

LARGEST_GROUP = 512
"""Writes in one transaction: it holds its studies until the last is done."""


class GroupCommit:
    """One database's writes. Its thread starts with the first, and ends with `close`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: SimpleQueue[tuple[Write, Future[BaseModel]] | None] = SimpleQueue()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many writes nobody has begun."""
        return self._waiting.qsize()

    def submit(self, write: Write) -> "Future[BaseModel]":
        """The answer to a write, once it is durable; its refusal as an exception."""
        future: Future[BaseModel] = Future()
        self._waiting.put((write, future))
        if self._thread is None:
            self._start()
        return future

    def close(self) -> None:
        """Carry out what has been submitted, and end."""
        with self._guard:
            thread = self._thread
        self._waiting.put(None)
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        closing = False
        while not closing:
            group = []
            taken = self._waiting.get()
            try:
                while taken is not None:
                    # What its submitter has given up meanwhile is not begun; from here on it cannot be given up.
                    if taken[1].set_running_or_notify_cancel():
                        group.append(taken)
                    if len(group) == LARGEST_GROUP:
                        break
                    taken = self._waiting.get_nowait()
                else:
                    closing = True
            except Empty:
                pass
            if group:
                self._commit(group)

    def _commit(self, group: Sequence[tuple[Write, "Future[BaseModel]"]]) -> None:
        writes = [write for write, _ in group]
        try:
            answers: Sequence[Answer] = commit(self._database, writes)
        except StorageError as error:
            answers = [error] * len(group)
        except Exception as error:  # noqa: BLE001 (whoever submitted it is told)
            if len(group) > 1:
                # One of them made the whole fail; alone, the others succeed.
                logger.warning("a group of %d writes failed, each is tried alone: %s", len(group), error)
                for one in group:
                    self._commit([one])
                return
            group[0][1].set_exception(error)
            return
        for (_, future), answer in zip(group, answers, strict=True):
            if isinstance(answer, TunerError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
