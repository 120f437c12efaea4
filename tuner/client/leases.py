"""The trainer's side of the keeper: one helper process for all trials of this process, and what it has to say.

The keeper is started with the first lease, told of each, and ended with the last client or with this process, whatever
way that goes. Where no process can be started (a frozen program, a sandbox), the same keeper runs in a thread: then a
lease is renewed only as long as training code lets threads run.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import IO, Any

from tuner.client import keeper as keeping

logger = logging.getLogger(__name__)

DROPPED_WITHIN = 3.0
"""Seconds to wait for a renewal that is under way."""

RESTART_AFTER = 5.0
"""Seconds between starts of the keeper, should something keep ending it."""

Lost = Callable[[str], None]
"""Told why a lease is lost."""


def renewal(
    url: str,
    headers: Mapping[str, str],
    document: Mapping[str, Any],
    *,
    lease_seconds: float,
    progress_deadline: float | None,
) -> Mapping[str, Any]:
    """What the keeper is told of a lease: to post the document there, three times while the lease lasts."""
    every = lease_seconds / 3
    return {
        "url": url,
        "headers": {**headers, "Content-Type": "application/json"},
        "body": json.dumps(document),
        "every": every,
        "timeout": max(1.0, min(every, 10.0)),
        "deadline": progress_deadline,
        "cafile": _authorities() if url.startswith("https:") else None,
    }


def _authorities() -> str:
    """The certificates that httpx trusts, for the keeper to trust the same."""
    import certifi  # noqa: PLC0415 (httpx brings it, for those who need it)

    return os.environ.get("SSL_CERT_FILE") or certifi.where()


class Lease:
    """One trial's lease, renewed until it is dropped, or nobody has this object any more."""

    def __init__(self, leases: "Leases", name: str) -> None:
        self._leases = leases
        self._name = name
        self._abandoned = weakref.finalize(self, leases.forget, name)
        self._abandoned.atexit = False

    def sign(self) -> None:
        """Say that the trial got on."""
        self._leases.say({"sign": self._name})

    def drop(self, *, wait: bool = False) -> None:
        """Renew it no more; with ``wait``, return when no renewal is under way."""
        self._abandoned.detach()
        self._leases.forget(self._name, wait=wait)


class Leases:
    """All leases of this process, and the conversation with the keeper."""

    def __init__(self) -> None:
        # Reentrant: a lease that is garbage is forgotten wherever the collector happens to run.
        self._lock = threading.RLock()
        self._names = count()
        self._held: dict[str, tuple[Mapping[str, Any], Lost]] = {}
        self._dropping: dict[str, threading.Event] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: IO[bytes] | None = None
        self._started = 0.0
        self._works = True

    def hold(self, renewal: Mapping[str, Any], lost: Lost) -> Lease:
        """Have a lease renewed.

        Args:
            renewal: what to send, how often: the fields of `tuner.client.keeper.Hold`.
            lost: told why, when the service says that the lease is lost; called in a thread of its own.
        """
        with self._lock:
            name = f"{os.getpid()}-{next(self._names)}"
            self._held[name] = (renewal, lost)
            if self._lines is None:
                self._start()
            else:
                self.say({"hold": name, **renewal})
        return Lease(self, name)

    def say(self, message: Mapping[str, Any]) -> None:
        """Tell the keeper. One that is gone is told everything anew when it is back."""
        with self._lock:
            if self._lines is not None:
                try:
                    self._lines.write(json.dumps(message).encode() + b"\n")
                except (OSError, ValueError):
                    lines, self._lines = self._lines, None
                    with contextlib.suppress(OSError):
                        lines.close()

    def forget(self, name: str, *, wait: bool = False) -> None:
        """Have a lease renewed no more."""
        with self._lock:
            if self._held.pop(name, None) is None or self._lines is None:
                return
            dropped = self._dropping[name] = threading.Event()
            self.say({"drop": name})
        if wait:
            dropped.wait(DROPPED_WITHIN)

    @property
    def process(self) -> int | None:
        """The keeper's process id, or None while there is none."""
        return None if self._process is None else self._process.pid

    def _start(self) -> None:
        self._started = time.monotonic()
        command = [sys.executable, "-S", "-P", str(Path(keeping.__file__)), str(os.getpid())]
        try:
            self._check_startable()
            # In a session of its own: Ctrl-Z stops the trainer, and the keeper has to notice.
            process = subprocess.Popen(  # noqa: S603 (our own file)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            logger.warning("leases are renewed by a thread, since no process can be started: %s", error)
            self._process = None
            self._lines, answers = _in_thread()
        else:
            assert process.stdin is not None  # noqa: S101 (it is a pipe)
            assert process.stdout is not None  # noqa: S101
            self._process, self._lines, answers = process, process.stdin, process.stdout
        threading.Thread(target=self._hear, args=(answers, self._process), name="tuner-leases", daemon=True).start()
        for dropped in self._dropping.values():
            dropped.set()
        self._dropping.clear()
        for name, (renewal, _) in self._held.items():
            self.say({"hold": name, **renewal})

    def _check_startable(self) -> None:
        """Whether to start a process.

        Raises:
            ValueError: what runs this program is no Python that would run another, or the last one did not come up.
        """
        if not self._works:
            raise ValueError("the keeper did not come up")
        name = Path(sys.executable or "").name.lower()
        if getattr(sys, "frozen", False) or not ("python" in name or "pypy" in name):
            raise ValueError(f"{sys.executable!r} is no Python interpreter")

    def _hear(self, answers: IO[bytes], process: "subprocess.Popen[bytes] | None") -> None:
        """Pass on what the keeper says, until it ends; start another if it was not to end."""
        ready = False
        with answers:
            for line in answers:
                ready = True
                message = json.loads(line)
                with self._lock:
                    dropped = self._dropping.pop(message.get("dropped"), None)
                    _, lost = self._held.pop(message.get("lost"), (None, None))
                if dropped is not None:
                    dropped.set()
                if lost is not None:
                    lost(message["detail"])
        if process is None:
            return
        ended = process.wait()
        with self._lock:
            if self._process is not process:
                return
            # Something may kill it before it has said a word; that is not its fault.
            self._works = ready or ended < 0
        time.sleep(max(0.0, self._started + RESTART_AFTER - time.monotonic()))
        with self._lock:
            if self._process is not process:
                return
            if self._lines is not None:
                self._lines.close()
            self._process = self._lines = None
            if self._held:
                self._start()

    def rest(self) -> None:
        """End the keeper if it has nothing to renew; the next lease starts one anew."""
        with self._lock:
            if not self._held:
                self.end()

    def end(self) -> None:
        """End the keeper, whatever it renews."""
        with self._lock:
            process, self._process = self._process, None
            lines, self._lines = self._lines, None
            self._held.clear()
        if lines is not None:
            lines.close()
        if process is not None:
            try:
                process.wait(DROPPED_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def after_fork(self) -> None:
        """In a child process: the keeper is the parent's, and must not be kept alive from here."""
        if self._lines is not None:
            self._lines.close()
        if self._process is not None:
            assert self._process.stdout is not None  # noqa: S101 (it is a pipe)
            self._process.stdout.close()
            # It is no child of this process, which therefore cannot wait for it.
            self._process.returncode = 0
        self.__init__()  # type: ignore[misc]


def _in_thread() -> tuple[IO[bytes], IO[bytes]]:
    """The keeper in this process: where to write lines to it, and its answers."""
    (hears, says), (reads, answers) = os.pipe(), os.pipe()
    out = os.fdopen(answers, "wb", buffering=0)

    def answer(message: Mapping[str, Any]) -> None:
        out.write(json.dumps(message).encode() + b"\n")

    def listen() -> None:
        with os.fdopen(hears, "rb") as lines:
            keeper.listen(lines)

    def run() -> None:
        with out:
            keeper.run()

    keeper = keeping.Keeper(answer)
    for work in (listen, run):
        threading.Thread(target=work, name="tuner-keeper", daemon=True).start()
    return os.fdopen(says, "wb", buffering=0), os.fdopen(reads, "rb")


leases = Leases()
"""This process's."""
