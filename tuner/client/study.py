"""A study as training programs see it: an iterable of trials, and what has been found so far."""

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from tuner.client.findings import FrontPoint, RateSurface
from tuner.client.measurements import Stability
from tuner.client.snapshot import TrialSnapshot
from tuner.client.terms import Terms
from tuner.client.transport import document_of, jittered
from tuner.client.trial import LAST_PATIENCE, UNSEEN, UNTOLD, Trial
from tuner.client.unwinding import in_flight, owner, wait_for_owner

logger = logging.getLogger(__name__)

OVER = frozenset({"completed", "stopped"})
"""States of a study that gives out no more trials."""

LOOK_AGAIN = 5.0
"""Seconds after which a study is asked again that did not say when, because it is paused."""

PAGE = 1000
"""Trials that are read at once."""


class Study:
    """A study on the service. ``for trial in study:`` runs its trials, one after another, until it is over.

    Any number of threads, processes and hosts may do so with the same study at once; each gets trials of its own.
    ``definition`` is the study's, complete, as it was when this object was made.
    """

    def __init__(self, terms: Terms, document: Mapping[str, Any], worker: str | None) -> None:
        self.name: str = document["name"]
        self.definition: Mapping[str, Any] = document["definition"]
        self._terms = terms
        self._worker = worker

    def __repr__(self) -> str:
        return f"<Study {self.name!r} on {self._terms.transport.url}>"

    def __iter__(self) -> "Trials":
        """Trials to run, until the study is completed or stopped; while it is paused, this waits."""
        return Trials(self)

    def ask(self, count: int = 1) -> list[Trial]:
        """Trials to run, up to ``count``; none where the study has none to give at the moment.

        Each is yours until it is told, failed or released. `for` and ``with trial:`` see to that; otherwise do it.

        Raises:
            ServiceUnreachable, StudyNotFound, ReadOnlyStudy, InvalidInput: there is nothing to ask of, or not so.
        """
        return [Trial(self._terms, lease) for lease in self._asked(count)["trials"]]

    def _asked(self, count: int) -> Mapping[str, Any]:
        request = {
            "count": count,
            "worker": self._worker or _this_process(),
            "lease_seconds": self._terms.lease_seconds,
        }
        asked: Mapping[str, Any] = self._terms.transport.write(f"{self._terms.path}/trials:ask", request)
        return asked

    def next_trial(self) -> Trial | None:
        """The next trial, waiting for it as long as the study is not over; then None."""
        while True:
            asked = self._asked(1)
            for lease in asked["trials"]:
                return Trial(self._terms, lease)
            if asked["study_state"] in OVER:
                return None
            time.sleep(jittered(asked["retry_after_seconds"] or LOOK_AGAIN))

    def enqueue(self, point: Mapping[str, Any] | None = None, /, **parameters: Any) -> TrialSnapshot:
        """Add a point of your own, a value for each parameter; it is given out before those of the sampler.

        Raises:
            InvalidInput: it is no point of the search space.
        """
        chosen = {**(point or {}), **parameters}
        return TrialSnapshot.of(self._terms.transport.write(f"{self._terms.path}/trials", {"parameters": chosen}))

    @property
    def best(self) -> TrialSnapshot:
        """The complete trial with the best finite value of the goal, read now.

        Where the goal is the fewest steps to a target, it is the trial that got there first, and its
        ``objective_value`` says at which step.

        Raises:
            NoResult: there is none yet.
            NoSingleBest: the goal is a trade-off; `pareto` is its answer.
        """
        return TrialSnapshot.of(self._read("/best"))

    def pareto(self, max_points: int = 100) -> list[FrontPoint]:
        """For every number of steps the best value that any trial had reached, by ascending steps, read now.

        It comes from what was reported, for any goal: a trial takes part with every step that it reported, and with its
        last. Of many points ``max_points`` are shown.
        """
        return [FrontPoint.of(point) for point in self._read(f"/pareto?max_points={max_points}")["points"]]

    def surface(self, *, parameter: str = "learning_rate", resolution: int = 60, within: bool = False) -> RateSurface:
        """What every rate was worth after every number of steps, from what was reported, read now.

        Args:
            parameter: the numeric parameter that stands for the rate.
            resolution: rates at most, and step counts at most.
            within: the best value within so many steps, instead of the value after exactly so many.

        Raises:
            InvalidInput: trials have no number of that name.
        """
        query = urlencode({"parameter": parameter, "resolution": resolution, "within": str(within).lower()})
        return RateSurface.of(self._read(f"/analysis/surface?{query}"))

    def importance(self) -> dict[str, float]:
        """How much each parameter has to do with being among the best tenth of the trials: shares, the greatest first.

        Raises:
            NoResult: there are fewer than ten complete trials.
        """
        return {one["name"]: one["share"] for one in self._read("/analysis/importance")["parameters"]}

    def landscape(self, *numbers: int, resolution: int = 41) -> Mapping[str, Any]:
        """The loss surface around the descents of these trials, the best one's without any, as the service answers it.

        Of a study whose objective the service runs itself. ``axes``, ``values`` (a row for each value of the second
        axis), ``paths`` and ``gradient_evaluations``, what it took.

        Raises:
            ExternalStudy: the study is a training client's.
            NoResult: no trials are named, and there is no best one.
            InvalidInput: a trial does not exist, or they are too many.
        """
        query: dict[str, Any] = {"resolution": resolution}
        if numbers:
            query["trials"] = ",".join(map(str, numbers))
        return self._read(f"/analysis/landscape?{urlencode(query)}")

    @property
    def state(self) -> str:
        """``active``, ``paused``, ``stopped`` or ``completed``, read now."""
        return str(self._read()["state"])

    def trials(self) -> list[TrialSnapshot]:
        """Every trial of the study, by number, read now."""
        found: list[TrialSnapshot] = []
        more: str | None = ""
        while more is not None:
            page = self._read(f"/trials?page_size={PAGE}" + (f"&page_token={more}" if more else ""))
            found += map(TrialSnapshot.of, page["trials"])
            more = page["next_page_token"]
        return found

    def stability(self, *, measure: bool = False) -> Stability:
        """How near the edge of stability the trials of a registered objective sat.

        Args:
            measure: measure the curvature first, at the start and along the best run; the gradient evaluations that it
                takes are charged to the study. Otherwise what was measured last is read.

        Raises:
            ExternalStudy: the study has no registered objective.
            BudgetSpent: its budget does not afford a measurement.
        """
        if measure:
            self._terms.transport.write(f"{self._terms.path}/analysis/stability:measure", {})
        ratios: dict[int, float | None] = {}
        more: str | None = ""
        while more is not None:
            page = self._read(f"/analysis/stability?page_size={PAGE}" + (f"&page_token={more}" if more else ""))
            ratios |= {trial["number"]: trial["ratio"] for trial in page["trials"]}
            more = page["next_page_token"]
        measured = page["measured"]
        curvature = None if measured is None else measured["at_start"]["largest"]
        return Stability(curvature, page["limit"], page["statement"], page["limit_along_best"], ratios)

    def _read(self, path: str = "") -> Mapping[str, Any]:
        document: Mapping[str, Any] = document_of(self._terms.transport.read(self._terms.path + path))
        return document


def _this_process() -> str:
    """What a process is called beside its trials: on its host it is known by its number."""
    return f"{socket.gethostname()[:150]}:{os.getpid()}"


class Trials:
    """The trials of one ``for`` loop. Each is settled before the next: one that was not told has failed.

    The last one is settled when the loop is left. An exception that left it is the trial's reason, where it can be
    known (`tuner.client.unwinding`).
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._trial: Trial | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Trial:
        if self._trial is not None:
            self._trial.settle(None, UNTOLD)
        self._trial = None
        self._trial = self._study.next_trial()
        if self._trial is None:
            raise StopIteration
        return self._trial

    def close(self) -> None:
        """Settle the last trial."""
        self._leave(sys._getframe(1))

    def __del__(self) -> None:
        trial = getattr(self, "_trial", None)
        if trial is not None and not trial.ended:
            self._leave(sys._getframe(1))

    def _leave(self, frame: FrameType) -> None:
        trial, self._trial = self._trial, None
        if trial is None or trial.ended:
            return
        # Collected as garbage, this runs in the middle of anything, perhaps while this very thread holds a lock of the
        # HTTP library. Another thread can at worst not be finished in time.
        traceback = in_flight(frame)
        error = None if traceback is None else owner(traceback)
        if traceback is not None and error is None:
            # It has to be caught first, which it will be as soon as this returns.
            trial.left = traceback
            _in_thread(_settle_later, trial, traceback, threading.get_ident())
        elif (thread := _in_thread(trial.settle, error, UNTOLD if error is None else None)) is not None:
            thread.join(2 * LAST_PATIENCE)


def _settle_later(trial: Trial, traceback: TracebackType, thread: int) -> None:
    error = wait_for_owner(traceback, thread)
    trial.settle(error, UNSEEN if error is None else None)
    trial.left = None


def _in_thread(work: Callable[..., object], *arguments: Any) -> threading.Thread | None:
    thread = threading.Thread(target=work, args=arguments, name="tuner-settle", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # the interpreter is ending, and with it the lease
        logger.warning("a trial was left without a result: %s", error)
        return None
    return thread
