"""The worker's loop: take a batch, descend in one vectorised pass, tell; again, until it is told to stop.

Nothing that was computed is thrown away while somebody may want it: a database that is away is waited for, with the
results in hand. Told to stop, a worker takes nothing new and goes on with what it has; what is not done when its time
is nearly over is given back without being charged a lost lease.
"""

import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from tuner import objectives
from tuner.analysis.gradient_check import GradientCheck, check_gradient
from tuner.definition import StudyDefinition
from tuner.errors import Conflict, DatabaseUnavailable, LeaseLost, NotFound, TunerError
from tuner.objectives import Objective, start
from tuner.service import descents, gradient_check, search, workers
from tuner.service.report import append_points
from tuner.service.tell import Ending, tell
from tuner.service.workers import Work
from tuner.storage.database import Database
from tuner.trial import Lease
from tuner.worker import pace
from tuner.worker.evaluation import Pass, Run, passes
from tuner.worker.holding import Holding
from tuner.worker.search import Hands, Search
from tuner.worker.sweeper import Sweeper

logger = logging.getLogger(__name__)

T = TypeVar("T")

DRAINING_SHARE = 0.6
"""The share of the grace period in which running work may finish; the rest is for giving it back."""

LONGEST_PAUSE = 10.0
"""Seconds between two tries at a database that is away."""


class Worker:
    """One worker. As a context it is enlisted and keeps its leases; `run` does it all.

    Args:
        database: where the studies are.
        lease_seconds: how long a lease lasts before it is renewed.
        poll_seconds: how often to look for work when there is none.
        studies: the studies to serve, by name or address; None for all whose objective is registered here.
    """

    def __init__(
        self,
        database: Database,
        *,
        lease_seconds: float = 60.0,
        poll_seconds: float = 0.25,
        studies: Sequence[str] | None = None,
    ) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._studies = studies
        self._objectives: dict[str, Objective] = {}
        self._stopping = threading.Event()
        self._drained_by = float("inf")

    def run(self) -> None:
        """Work until `stop` is called."""
        with self:
            while not self._stopping.is_set():
                try:
                    found = self.work_once()
                except DatabaseUnavailable:
                    break
                if not found:
                    self._stopping.wait(self._poll_seconds)

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Take nothing more, and be done within so many seconds. Not to be called in a signal handler."""
        self._drained_by = time.monotonic() + DRAINING_SHARE * grace_seconds
        self._stopping.set()

    def give_back(self) -> None:
        """Release what is held and sign off at once, from another thread: for a worker that cannot look up."""
        self._holding.release_all()
        workers.dismiss(self._database, self.id)

    def __enter__(self) -> Self:
        self.id = self._patiently(lambda: workers.enlist(self._database))
        self._holding = Holding(self._database, self.id, self._lease_seconds)
        self._sweeper = Sweeper(self._database)
        self._holding.start()
        self._sweeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sweeper.stop()
        self._holding.stop()
        try:
            if error is None or isinstance(error, DatabaseUnavailable):
                self.give_back()
            else:
                # Whatever it was, the trials may have to do with it: they are charged a lost lease.
                workers.crashed(self._database, self.id)
        except DatabaseUnavailable as away:
            logger.warning("the worker could not sign off: %s", away)

    def work_once(self) -> bool:
        """Take what there is to do for a study, and do it; whether there was anything.

        Raises:
            DatabaseUnavailable: the worker is to stop, and the database is away.
        """
        for name in self._patiently(self._candidates):
            try:
                work = self._patiently(lambda name=name: self._take(name))  # type: ignore[misc]
                if work.task == "check":
                    self._check(work)
                    work = self._patiently(lambda name=name: self._take(name))  # type: ignore[misc]
            except (NotFound, Conflict):  # deleted since it was listed
                continue
            if work.task == "search":
                self._search(work)
            elif work.task == "trials":
                self._do(work)
            else:
                continue
            return True
        return False

    def _candidates(self) -> Sequence[str]:
        if self._studies is not None:
            return self._studies
        return workers.work_to_do(self._database, objectives.registered().keys())

    def _take(self, name: str) -> Work:
        return workers.take(self._database, name, worker=self.id, lease_seconds=self._lease_seconds)

    def _check(self, work: Work) -> None:
        """Check the gradient of a study before its first trial.

        Raises:
            NotFound, LeaseLost: the study is gone, or somebody else's.
        """
        self._holding.hold(work.study, work.definition.name)
        choice = work.definition.objective
        assert choice is not None  # noqa: S101 (only studies with an objective are served)
        found: GradientCheck | str
        try:
            objective = self._objective(work.definition)
            found = check_gradient(objective, start(objective, choice.initial_seed), seed=choice.initial_seed)
        except TunerError as error:
            # Its trials will say so, each of them.
            found = str(error)
        self._patiently(lambda: gradient_check.record(self._database, work.study, self.id, found))
        self._holding.forget()

    def _search(self, work: Work) -> None:
        """Carry out the plan of a study, to its end or to the end of this worker's time."""
        self._holding.hold(work.study, work.definition.name)
        hands = Hands(
            advance=lambda step: self._patiently(lambda: search.advance(self._database, work.study, self.id, step)),
            is_over=self._is_over,
            follows=self._holding.follow,
            run_chosen=lambda: self._run_chosen(work),
        )
        try:
            known = self._patiently(lambda: search.read(self._database, work.study))
            try:
                objective = self._objective(work.definition)
            except TunerError as error:
                hands.advance(search.Step(stopped=str(error), let_go=True))
            else:
                Search(known, objective, hands).run()
        except (NotFound, LeaseLost) as error:
            logger.info("the search of %s ends here: %s", work.definition.name, error)
        self._holding.forget()

    def _do(self, work: Work) -> None:
        """Run a batch to its end, or to the end of this worker's time."""
        self._holding.take(work.study, work.definition.name, work.trials)
        choice = work.definition.objective
        assert choice is not None  # noqa: S101 (only studies with an objective are served)
        try:
            objective = self._objective(work.definition)
        except TunerError as error:
            self._tell(
                work, [Ending(lease.number, lease.attempt, "failed", reason=str(error)) for lease in work.trials]
            )
            return
        # What differs in its steps alone is one descent: the longest is run, and the others are then known.
        for leases in descents.apart(work.trials):
            self._descend(work, objective, self._without_known(work, leases))
        self._holding.release()

    def _without_known(self, work: Work, leases: Sequence[Lease]) -> list[Lease]:
        """The trials whose descents are not known; the others are told."""
        try:
            endings = self._patiently(lambda: descents.known(self._database, work.study, leases))
        except NotFound:
            return []
        self._tell(work, endings)
        answered = {ending.number for ending in endings}
        return [lease for lease in leases if lease.number not in answered]

    def _descend(self, work: Work, objective: Objective, leases: Sequence[Lease]) -> None:
        wasted: Counter[int] = Counter()
        queue = deque(passes(leases, objective.dimension))
        while queue and not self._is_over():
            trials = queue.popleft()
            queue.extendleft(reversed(self._run(work, objective, trials, wasted)))

    def _run_chosen(self, work: Work) -> None:
        """Run the trials that users enqueued in a study that is searched."""
        while not self._is_over():
            chosen = self._patiently(
                lambda: workers.take_chosen(
                    self._database, work.study, worker=self.id, lease_seconds=self._lease_seconds
                )
            )
            if chosen.task == "nothing":
                return
            self._do(chosen)

    def _run(self, work: Work, objective: Objective, trials: Pass, wasted: Counter[int]) -> list[Pass]:
        """Run a pass, tell whoever ends; what is to be run again one by one, because one of them failed.

        ``wasted`` counts by trial the gradient evaluations of passes that failed.
        """
        assert work.definition.objective is not None  # noqa: S101
        try:
            run = Run(objective, work.definition.objective.initial_seed, trials)
        except TunerError as error:
            return self._fail(work, trials, trials.leases, error, wasted)
        steps = pace.FIRST_CHUNK
        report_at = time.monotonic() + pace.REPORT_EVERY
        while True:
            began = time.monotonic()
            try:
                running = run.advance(steps)
            except TunerError as error:
                wasted.update({lease.number: run.spent(lease) for lease in run.open})
                return self._fail(work, trials, run.open, error, wasted)
            now = time.monotonic()
            steps = pace.next_chunk(steps, now - began)
            run.drop(self._holding.lost())
            ends = not running or self._is_over()
            if ends or now >= report_at:
                self._tell(work, [_with(ending, wasted) for ending in run.endings()])
                self._report(work, run)
                report_at = time.monotonic() + pace.REPORT_EVERY
            if ends:
                return []

    def _fail(
        self, work: Work, trials: Pass, unfinished: Sequence[Lease], error: TunerError, wasted: Counter[int]
    ) -> list[Pass]:
        """Let a trial that was alone fail. Of several nobody knows which one it was: each is to be run alone."""
        if len(unfinished) > 1:
            return trials.alone(unfinished)
        self._tell(
            work,
            [
                Ending(
                    lease.number, lease.attempt, "failed", reason=str(error), gradient_evaluations=wasted[lease.number]
                )
                for lease in unfinished
            ],
        )
        return []

    def _report(self, work: Work, run: Run) -> None:
        news = run.news()
        if not news:
            return
        try:
            kept = self._patiently(lambda: append_points(self._database, work.study, news))
        except NotFound:
            kept = []
        gone = [one.number for one in news if one.number not in kept]
        run.drop(gone)
        self._holding.let_go(gone)

    def _tell(self, work: Work, endings: list[Ending]) -> None:
        if not endings:
            return
        try:
            answers = self._patiently(lambda: tell(self._database, work.study, endings))
        except NotFound:
            logger.info("study %s is gone, with %d results", work.definition.name, len(endings))
            answers = []
        self._holding.let_go(ending.number for ending in endings)
        for answer, ending in zip(answers, endings, strict=False):
            if isinstance(answer, TunerError):
                logger.info("trial %d of %s: %s", ending.number, work.definition.name, answer)

    def _objective(self, definition: StudyDefinition) -> Objective:
        """The study's objective, made once for all studies with the same settings."""
        choice = definition.objective
        assert choice is not None  # noqa: S101
        key = json.dumps([choice.name, choice.settings], sort_keys=True)
        if key not in self._objectives:
            self._objectives[key] = objectives.create(choice.name, choice.settings)
        return self._objectives[key]

    def _is_over(self) -> bool:
        """Whether this worker's time to finish running work is over."""
        return self._stopping.is_set() and time.monotonic() >= self._drained_by

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do it, as often as it takes while the database is away.

        Raises:
            DatabaseUnavailable: it is still away, and the worker's time is over.
        """
        pause = 0.5
        while True:
            try:
                return action()
            except DatabaseUnavailable as error:
                if self._is_over():
                    raise
                logger.warning("waiting %g s for the database: %s", pause, error)
            self._rest(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _rest(self, seconds: float) -> None:
        """Pause; a wish to stop cuts it short, or is heard at once where it came before."""
        if self._stopping.is_set():
            time.sleep(min(seconds, max(0.0, self._drained_by - time.monotonic()), 0.5))
        else:
            self._stopping.wait(seconds)


def _with(ending: Ending, wasted: Counter[int]) -> Ending:
    """The ending with what the trial's failed passes took."""
    return ending._replace(gradient_evaluations=(ending.gradient_evaluations or 0) + wasted[ending.number])
