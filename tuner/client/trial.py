"""A trial that this process runs: its parameters, its lease, what it reports, and how it ends.

*Steps*: step k is the state after k updates. ``report(step, …)`` stores exactly the step that it is given.
"""

import logging
import math
import os
import threading
import weakref
from builtins import range as counting
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

from tuner.client.errors import ServiceUnreachable
from tuner.client.leases import leases, renewal
from tuner.client.metrics import as_step, encoded, numbers
from tuner.client.outbox import Outbox
from tuner.client.parameters import Parameterised, ParameterValue
from tuner.client.snapshot import TrialSnapshot
from tuner.client.terms import Terms
from tuner.client.transport import in_path
from tuner.errors import AlreadyTold, InvalidInput, LeaseLost, NotFound, TrialState, TunerError

logger = logging.getLogger(__name__)

LONGEST_REASON = 2000
"""Characters of a reason that are sent."""

LAST_PATIENCE = 5.0
"""Seconds spent on settling a trial that its program has left: who waits for a traceback waits no longer."""

UNTOLD = "no result was told"
"""The reason of a trial that its program left, where there is no exception."""

UNSEEN = "an exception ended the loop; use `with trial:` to have it named here"
"""Its reason where there was one that nobody could see."""


class _Stop(Enum):
    """Who wants the trial to stop."""

    PRUNER = 1
    DIVERGED = 2
    LEASE_LOST = 3
    ARRIVED = 4


class Trial(Parameterised):
    """A trial of yours: train with its parameters, report, tell.

    Parameters are attributes (``trial.learning_rate``) and items (``trial["momentum"]``). ``with trial:`` tells the
    service of an exception that leaves the block: the trial failed, and why; `KeyboardInterrupt` and `SystemExit` give
    it back to be run by somebody else.

    Its methods may be called from any thread of the process that asked for it; a forked child has no say.
    """

    def __init__(self, terms: Terms, lease: Mapping[str, Any]) -> None:
        self.number: int = lease["number"]
        self.attempt: int = lease["attempt"]
        self.parameters: Mapping[str, ParameterValue] = MappingProxyType(lease["parameters"])
        self._terms = terms
        self._path = f"{terms.path}/trials/{in_path(str(self.number))}"
        self._process = os.getpid()
        self._stop: _Stop | None = None
        self._stop_reason: str | None = None
        self._verdict: str | None = None
        self._advice: str | None = None
        self._stop_seen = False
        self._stirred = False
        self._last_step = -1
        self._ended = False
        self._settling = threading.RLock()
        self.left: TracebackType | None = None
        self._outbox = Outbox(
            terms.transport, f"{self._path}:report", self.attempt, _weakly(self._answered), _weakly(self._lose)
        )
        self._lease = leases.hold(
            renewal(
                f"{terms.transport.url}{self._path}:heartbeat",
                terms.transport.headers,
                {"attempt": self.attempt},
                lease_seconds=terms.lease_seconds,
                progress_deadline=terms.progress_deadline,
            ),
            _weakly(self._lose),
        )
        terms.running.add(self)
        terms.rounds.watch(self)

    def __repr__(self) -> str:
        return f"<Trial {self.number}, attempt {self.attempt}: {dict(self.parameters)}>"

    def range(self) -> Iterator[int]:
        """Count the trial's updates: 1 … `steps`. In pass k the k-th update is made.

        Raises:
            InvalidInput: the study has no parameter ``steps``.
        """
        if "steps" not in self.parameters:
            raise InvalidInput.at("steps", "is no parameter of this study: count in your own way")
        return self._count(self.steps)

    def _count(self, steps: int) -> Iterator[int]:
        for step in counting(1, steps + 1):
            self._stirred = True
            yield step
        self._last_step = max(self._last_step, steps)

    def report(self, step: int, values: Mapping[str, Any] | None = None, /, **metrics: Any) -> None:
        """Note metrics at a step: exactly the one given. It is sent soon, with others, and renews the lease.

        Args:
            step: how many updates had been made to the parameters that were measured; 0 is the start.
            values: metrics by name, where a name is no Python identifier.
            metrics: metrics by name: ``loss=0.3``. NaN and infinities are values like any other.

        Raises:
            InvalidInput: a step or a metric is none; or the service refused what was reported before.
        """
        self._mine()
        if self._outbox.refused is not None:
            refused, self._outbox.refused = self._outbox.refused, None
            raise refused
        step = as_step(step)
        found = numbers({**values, **metrics} if values else metrics)
        self._stirred = True
        self._last_step = max(self._last_step, step)
        goal = found.get(self._terms.goal or "")
        if goal is not None and not math.isfinite(goal) and self._terms.stop_diverging:
            # Noted before the service can answer that it has seen it, too, which would look like a pruner's word.
            self._ask_to_stop(_Stop.DIVERGED, f"{self._terms.goal} is {encoded(goal)} at step {step}")
        elif goal is not None and self._terms.arrived(goal):
            self._ask_to_stop(_Stop.ARRIVED, f"{self._terms.goal} has reached its target at step {step}")
        if self._outbox.append(step, found):
            self._terms.rounds.hurry()

    @property
    def should_stop(self) -> bool:
        """Whether to stop here.

        The study's pruner says so, the trial diverges, the goal's metric has reached its target, or the lease is lost.
        """
        self._stirred = True
        self._stop_seen = self._stop_seen or self._stop is not None
        return self._stop is not None

    @property
    def stop_reason(self) -> str | None:
        """Why to stop, in words; None while there is no reason."""
        return self._stop_reason

    @property
    def verdict(self) -> str | None:
        """What the service said last of the curve so far: ``improving``, ``diverged``, …; None before that."""
        return self._verdict

    @property
    def advice(self) -> str | None:
        """What the service said last to do about it, in words."""
        return self._advice

    @property
    def lease_lost(self) -> bool:
        """Whether the service has said that this attempt holds the trial no more."""
        return self._stop is _Stop.LEASE_LOST

    @property
    def ended(self) -> bool:
        """Whether it has been told or given back."""
        return self._ended

    def flush(self) -> None:
        """Send what has been reported, and hear at once whether to stop.

        Raises:
            ServiceUnreachable: the service did not answer; nothing is lost.
        """
        self._mine()
        self._outbox.send(self._terms.transport.patience)

    def tell(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        state: Literal["complete", "pruned", "failed"] | None = None,
        reason: str | None = None,
        **metrics: Any,
    ) -> TrialSnapshot:
        """End the trial with its result, once all reports have arrived. Repeating an identical tell changes nothing.

        Args:
            values: metrics by name, where a name is no Python identifier.
            state: ``pruned`` by default where the pruner had asked to stop, `should_stop` has said so, and steps were
                left; otherwise ``complete``. A diverged run is complete, and its loss may be NaN.
            reason: why it was pruned or failed, in words; by default `stop_reason` of a pruned one.
            metrics: metrics by name; a complete trial needs the goal's.

        Raises:
            LeaseLost: another attempt has begun the trial; this result is not stored.
            AlreadyTold: it has another result.
            InvalidInput: the goal's metric is missing, or a value is no number.
            ServiceUnreachable: the service did not answer; tell again.
        """
        return self._tell(
            numbers({**(values or {}), **metrics}), state or self._state(), reason, self._terms.transport.patience
        )

    def fail(self, reason: str) -> TrialSnapshot:
        """End the trial without a result.

        Raises:
            LeaseLost, AlreadyTold, ServiceUnreachable: as `tell`.
        """
        return self._tell({}, "failed", reason, self._terms.transport.patience)

    def release(self) -> None:
        """Give the trial back: somebody else runs it, from its beginning, and no lost attempt is counted.

        Raises:
            LeaseLost: it is this attempt's no more.
            ServiceUnreachable: the service did not answer; its lease will run out.
        """
        self._release(self._terms.transport.patience)

    def _state(self) -> str:
        done = "steps" in self.parameters and self._last_step >= self.steps
        return "pruned" if self._stop is _Stop.PRUNER and self._stop_seen and not done else "complete"

    def _tell(self, values: Mapping[str, float], state: str, reason: str | None, patience: float) -> TrialSnapshot:
        self._mine()
        if reason is None and state == "pruned":
            reason = self._stop_reason
        document = {
            "attempt": self.attempt,
            "state": state,
            "values": {name: encoded(value) for name, value in values.items()},
            "reason": None if reason is None else _sendable(reason),
        }
        self._outbox.send(patience)
        try:
            told = self._terms.transport.write(f"{self._path}:tell", document, patience=patience)
        except (LeaseLost, AlreadyTold, TrialState, NotFound):
            self._end()
            raise
        self._end()
        return TrialSnapshot.of(told)

    def _release(self, patience: float) -> None:
        self._mine()
        self._outbox.send(patience)
        # A renewal or report that arrived after the release would take the trial up again.
        self._end(wait=True)
        self._terms.transport.write(f"{self._path}:release", {"attempt": self.attempt}, patience=patience)

    def settle(self, error: BaseException | None, reason: str | None = None) -> bool:
        """End a trial that its program has left: failed for an exception or a reason, given back otherwise.

        Nothing is raised: what could not be told is logged, and the lease runs out. Whether the service answered.
        """
        if self._process != os.getpid():
            return True
        with self._settling:
            return self._ended or self._settle(error, reason)

    def let_go(self) -> bool:
        """Renew the lease no more, and say nothing."""
        self._end()
        return False

    def _settle(self, error: BaseException | None, reason: str | None) -> bool:
        try:
            # After a lost lease there is nothing to say; after an unanswered tell nobody knows what was stored.
            if not self.lease_lost and not isinstance(error, ServiceUnreachable):
                if isinstance(error, Exception):
                    reason = f"{type(error).__name__}: {error}"
                if isinstance(error, KeyboardInterrupt | SystemExit) or reason is None:
                    self._release(LAST_PATIENCE)
                else:
                    self._tell({}, "failed", reason, LAST_PATIENCE)
        except TunerError as failure:
            logger.warning("trial %s could not be settled: %s", self.number, failure)
            return not isinstance(failure, ServiceUnreachable)
        else:
            return True
        finally:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.settle(error, UNTOLD if error is None else None)

    def look_after(self) -> None:
        """Send what waits, and let the keeper know of progress. Called by a thread, every second or so."""
        if self._stirred:
            self._stirred = False
            self._lease.sign()
        self._outbox.send()

    def _answered(self, answer: Mapping[str, Any]) -> None:
        self._verdict, self._advice = answer.get("verdict"), answer.get("advice")
        if answer.get("should_stop"):
            diverges = self._verdict == "diverged" and self._terms.stop_diverging
            who = _Stop.DIVERGED if diverges else _Stop.PRUNER
            self._ask_to_stop(who, str(answer.get("reason") or "the study's pruner stops it"))

    def _ask_to_stop(self, who: _Stop, reason: str) -> None:
        # The first one counts: a run that has left the finite numbers is not pruned for it.
        if self._stop is None or who is _Stop.LEASE_LOST:
            self._stop_reason, self._stop = reason, who

    def _lose(self, detail: str) -> None:
        if not self._ended:
            self._ask_to_stop(_Stop.LEASE_LOST, f"lease lost: {detail}")
            self._outbox.close()
            self._lease.drop()

    def _end(self, *, wait: bool = False) -> None:
        self._ended = True
        self._terms.running.discard(self)
        self._terms.rounds.forget(self)
        self._outbox.close()
        if wait:
            self._outbox.send()
        self._lease.drop(wait=wait)

    def _mine(self) -> None:
        if self._process != os.getpid():
            raise TrialState(f"trial {self.number} is run by process {self._process}, which asked for it")


def _weakly(method: Callable[[Any], None]) -> Callable[[Any], None]:
    """A method for whoever must not keep its trial: one that nobody has is renewed no more."""
    weak = weakref.WeakMethod(method)

    def call(said: Any) -> None:
        strong = weak()
        if strong is not None:
            strong(said)

    return call


def _sendable(text: str) -> str:
    """Text that JSON and every database can hold."""
    return text[:LONGEST_REASON].replace("\x00", "�").encode("utf-8", "replace").decode()
