"""The process that renews a trainer's leases. Training code may hold the interpreter for minutes; no thread then runs.

It runs this one file, with nothing but the standard library and of that only what it cannot do without (no dataclasses,
no pathlib), so that it starts quickly and takes little memory. What it renews comes in as lines of JSON on its standard
input, never as arguments: headers may carry a token. It renews for a trainer that lives and gets on, not for one that

- is gone: its input ends, or its parent is another process than at first; then it ends too;
- is stopped (SIGSTOP, Ctrl-Z, a debugger): it waits until the trainer goes on;
- has shown no progress for longer than was agreed.

=========================================  ==========================================================
line in                                    what it means
=========================================  ==========================================================
``{"hold": id, "url": …, "body": …, …}``   renew by posting ``body`` there, ``every`` so many seconds
``{"sign": id}``                           the trial got on: ``deadline`` seconds run from now
``{"drop": id}``                           renew no more; answered by ``dropped``, with no request under way
=========================================  ==========================================================

=====================================  ==============================================================
line out                               what it means
=====================================  ==============================================================
``{"ready": process}``                 it runs
``{"lost": id, "detail": …}``          the service says that the trial is no longer this trainer's
``{"dropped": id}``                    no request of that trial is under way, and none will follow
=====================================  ==============================================================
"""

import json
import os
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException
from typing import Any

LOOK_EVERY = 1.0
"""Seconds between looks at the trainer."""

TRY_AGAIN = 2.0
"""Seconds after which a renewal that failed is tried again."""

LOST = frozenset({404, 409, 410})
"""Statuses by which a service says that there is nothing left to renew."""


class Hold:
    """A lease to renew. ``deadline``: seconds without progress after which it is not; they run from the first sign."""

    def __init__(
        self,
        *,
        url: str,
        headers: Mapping[str, str],
        body: str,
        every: float,
        timeout: float,
        deadline: float | None = None,
        cafile: str | None = None,
    ) -> None:
        self.url, self.headers, self.body = url, headers, body
        self.every, self.timeout, self.deadline = every, timeout, deadline
        self.cafile = cafile
        self.due = 0.0
        self.sign: float | None = None

    def rests(self, moment: float) -> bool:
        """Whether it has shown no progress for too long."""
        return self.deadline is not None and self.sign is not None and moment - self.sign > self.deadline


class Keeper:
    """Renews leases until it is told to end. ``trainer`` is the process to watch, None for the one it runs in."""

    def __init__(self, answer: Callable[[Mapping[str, Any]], None], trainer: int | None = None) -> None:
        self._answer = answer
        self._trainer = trainer
        self._holds: dict[str, Hold] = {}
        self._changed = threading.Condition()
        self._renewing = threading.Lock()
        self._over = False

    def listen(self, lines: Iterable[bytes]) -> None:
        """Follow the trainer's lines until they end."""
        for line in lines:
            message = json.loads(line)
            moment = time.monotonic()
            if "hold" in message:
                name = message.pop("hold")
                hold = Hold(**message)
                # Many leases taken at once need not all be renewed at once.
                hold.due = moment + hold.every * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
                with self._changed:
                    self._holds[name] = hold
                    self._changed.notify()
            elif "sign" in message:
                with self._changed:
                    if message["sign"] in self._holds:
                        self._holds[message["sign"]].sign = moment
            elif "drop" in message:
                with self._changed:
                    self._holds.pop(message["drop"], None)
                with self._renewing:
                    self._answer({"dropped": message["drop"]})
        with self._changed:
            self._over = True
            self._changed.notify()

    def run(self) -> None:
        """Renew until the lines have ended or the trainer is gone."""
        while True:
            with self._changed:
                if self._over or self._orphaned():
                    return
                moment = time.monotonic()
                due = [(hold.due, name) for name, hold in self._holds.items()]
                soonest = min(due, default=(moment + LOOK_EVERY, ""))
                if soonest[0] > moment:
                    self._changed.wait(min(soonest[0] - moment, LOOK_EVERY))
                    continue
                hold = self._holds[soonest[1]]
                if hold.rests(moment) or (self._trainer is not None and is_stopped(self._trainer)):
                    hold.due = moment + min(hold.every, LOOK_EVERY)
                    continue
                # Taken while the trial is still known to be held: whoever drops it waits for this renewal.
                self._renewing.acquire()
            try:
                self._renew(soonest[1], hold)
            finally:
                self._renewing.release()

    def _orphaned(self) -> bool:
        return self._trainer is not None and os.name == "posix" and os.getppid() != self._trainer

    def _renew(self, name: str, hold: Hold) -> None:
        request = urllib.request.Request(hold.url, hold.body.encode(), dict(hold.headers), method="POST")  # noqa: S310
        pause = min(TRY_AGAIN, hold.every)
        try:
            with urllib.request.urlopen(request, timeout=hold.timeout, context=_tls(hold)) as response:  # noqa: S310
                response.read()
            pause = hold.every
        except urllib.error.HTTPError as refused:
            with refused:
                if refused.code in LOST:
                    self._lose(name, hold, refused.read())
                    return
        except (OSError, HTTPException):
            pass
        hold.due = time.monotonic() + pause * random.uniform(0.8, 1.0)  # noqa: S311 (no secret)

    def _lose(self, name: str, hold: Hold, body: bytes) -> None:
        with self._changed:
            if self._holds.get(name) is not hold:
                return
            del self._holds[name]
        try:
            detail = str(json.loads(body)["detail"])
        except (ValueError, KeyError, TypeError):
            detail = "the service does not know it any more"
        self._answer({"lost": name, "detail": detail})


def _tls(hold: Hold) -> Any:
    if not hold.url.startswith("https:"):
        return None
    import ssl  # noqa: PLC0415 (half of the memory, for those who need it)

    return ssl.create_default_context(cafile=hold.cafile)


def is_stopped(process: int) -> bool:
    """Whether a process does not run at the moment, or never will again: stopped, traced, or a zombie."""
    return state_of(process) in {"T", "t", "Z", "X"}


def state_of(process: int) -> str:
    """The letter that the system gives a process's state; empty where it gives none."""
    if os.name != "posix":
        return ""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as stat:  # noqa: PTH123
            # The second field is the program's name, in parentheses, and may hold anything.
            return stat.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if os.path.exists("/proc/self/stat"):  # noqa: PTH110
            return "X"
    except OSError:
        return ""
    return _asked(process)


def _asked(process: int) -> str:
    """`state_of` where the system has no /proc."""
    import subprocess  # noqa: PLC0415 (only such systems need it)

    said = subprocess.run(  # noqa: S603 (a number)
        ["/bin/ps", "-o", "state=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return said.stdout.strip()[:1]


def main() -> None:
    """Serve the process that started this one."""
    # Its signals are the trainer's affair, which may need its leases to end in good order. It ends with the trainer.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    out = sys.stdout.buffer
    speaking = threading.Lock()

    def answer(message: Mapping[str, Any]) -> None:
        with speaking:
            try:
                out.write(json.dumps(message).encode() + b"\n")
                out.flush()
            except OSError:
                os._exit(0)

    answer({"ready": os.getpid()})
    keeper = Keeper(answer, int(sys.argv[1]))

    def listen() -> None:
        try:
            keeper.listen(sys.stdin.buffer)
        finally:
            # At once, whatever request is under way: who waits for it is gone.
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    keeper.run()
    os._exit(0)


if __name__ == "__main__":
    main()
