"""Reported points on their way: kept in columns, sent many at a time by a thread, and kept until they are taken.

`Outbox.append` is what training code pays for: a lock and a few appends. A batch is made into bytes once, under one
idempotency key, and is sent again as it is until the service has answered.
"""

import logging
import threading
from array import array
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from tuner.client.errors import ServiceUnreachable, UnexpectedAnswer
from tuner.client.metrics import NAME, encoded
from tuner.client.transport import Message, Transport, document_of
from tuner.errors import Conflict, InvalidInput, StudyNotFound, TrialNotFound, TunerError

logger = logging.getLogger(__name__)

MANY = 10_000
"""Values that wait: from here on they are sent without waiting for the next round."""

MOST = 50_000
"""Values in one request; the service takes twice as many."""


class _Block:
    """Successive points of the same metrics."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.steps = array("q")
        self.columns = [array("d") for _ in names]

    def take(self, rows: int) -> "_Block":
        """Its first rows, which it then has no more."""
        taken = _Block(self.names)
        taken.steps = self.steps[:rows]
        taken.columns = [column[:rows] for column in self.columns]
        del self.steps[:rows]
        for column in self.columns:
            del column[:rows]
        return taken


class Outbox:
    """The points of one attempt at a trial that the service has not taken yet.

    Args:
        transport: to the service.
        path: where they are reported.
        attempt: which lease of the trial they are of.
        answered: given each answer's document.
        over: told why, when the service says that this attempt has nothing to report any more.
    """

    def __init__(
        self,
        transport: Transport,
        path: str,
        attempt: int,
        answered: Callable[[Mapping[str, Any]], None],
        over: Callable[[str], None],
    ) -> None:
        self._transport = transport
        self._path = path
        self._attempt = attempt
        self._answered = answered
        self._over = over
        self._lock = threading.Lock()
        self._blocks: deque[_Block] = deque()
        self._sending = threading.Lock()
        self._message: Message | None = None
        self.closed = False
        self.refused: TunerError | None = None
        self.waiting = 0

    def append(self, step: int, values: Mapping[str, float]) -> bool:
        """Keep a point to be sent; whether many wait.

        Raises:
            InvalidInput: at ``values.<metric>``, which no metric may be called.
        """
        names = tuple(values)
        with self._lock:
            if self.closed:
                return False
            if not self._blocks or self._blocks[-1].names != names:
                for name in names:
                    if NAME.fullmatch(name) is None:
                        raise InvalidInput.at(f"values.{name}", "no metric may be called so")
                if not names:
                    return False
                self._blocks.append(_Block(names))
            block = self._blocks[-1]
            block.steps.append(step)
            for column, value in zip(block.columns, values.values(), strict=True):
                column.append(value)
            self.waiting += len(names)
            return self.waiting >= MANY

    def send(self, patience: float | None = None) -> None:
        """Send all that waits: with one try for each request, or with tries for ``patience`` seconds.

        Raises:
            ServiceUnreachable: what was not taken waits on.
        """
        with self._sending:
            while True:
                self._message = None if self.closed else self._message or self._next()
                if self._message is None:
                    return
                try:
                    if patience is None:
                        answer = self._transport.attempt(self._message)
                    else:
                        answer = self._transport.send(self._message, patience=patience)
                    self._answered(document_of(answer))
                except ServiceUnreachable:
                    raise
                except (Conflict, StudyNotFound, TrialNotFound) as error:
                    self.close()
                    self._over(str(error))
                except TunerError as error:
                    if isinstance(error, UnexpectedAnswer) and patience is None:
                        # A proxy's page, or a fault of the service: there is time to see whether it passes.
                        raise ServiceUnreachable(str(error)) from error
                    # The service would say the same again, and what comes after may be better.
                    logger.error("points of %s were refused: %s", self._path, error)  # noqa: TRY400
                    self.refused = error
                self._message = None

    def close(self) -> None:
        """Keep nothing, now and from now on."""
        with self._lock:
            self.closed = True
            self._blocks.clear()
            self.waiting = 0

    def _next(self) -> Message | None:
        """The next request: points in the order in which they were reported, a column for each metric."""
        taken: list[_Block] = []
        names: dict[str, None] = {}
        rows = 0
        with self._lock:
            while self._blocks:
                block = self._blocks[0]
                width = len(names.keys() | set(block.names))
                room = MOST // width - rows
                if room <= 0:
                    break
                names |= dict.fromkeys(block.names)
                taken.append(block.take(room) if len(block.steps) > room else self._blocks.popleft())
                rows += len(taken[-1].steps)
                self.waiting -= len(taken[-1].steps) * len(block.names)
        if not taken:
            return None
        columns: dict[str, list[float | str | None]] = {name: [] for name in names}
        steps: list[int] = []
        for block in taken:
            steps += block.steps
            given = dict(zip(block.names, block.columns, strict=True))
            for name in names:
                columns[name] += map(encoded, given[name]) if name in given else [None] * len(block.steps)
        return Message.write(self._path, {"attempt": self._attempt, "steps": steps, "values": columns})
