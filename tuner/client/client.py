"""The client: where a service is, and how patient to be with it."""

import atexit
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, SupportsFloat

from tuner.client import measurements, space
from tuner.client.joining import open_study
from tuner.client.leases import leases
from tuner.client.measurements import RangeTest, Stability
from tuner.client.rounds import Rounds
from tuner.client.study import Study
from tuner.client.terms import Terms
from tuner.client.transport import Transport, in_path
from tuner.client.trial import UNSEEN, Trial
from tuner.client.unwinding import exits, passed, printed
from tuner.errors import InvalidInput

TOKEN_VARIABLE = "TUNER_TOKEN"  # noqa: S105 (the name of a variable)

_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


class Client:
    """A Tuner service, for training programs. Importing and making it connects to nothing.

    Use it from any thread. A forked child may go on using it: it gets connections, threads and leases of its own, and
    the parent's trials stay the parent's. ``with Client(…) as client:`` closes it at the end.

    Args:
        url: of the service: ``http://127.0.0.1:8000``.
        token: an API token of scope ``work``, or ``write`` to create studies, where the service asks for one. By
            default that of the environment variable ``TUNER_TOKEN``, if there is any.
        headers: sent with every request.
        timeout: seconds for each try of a request to connect, and for each wait for data.
        patience: seconds for which a request that is not answered, or answered 502, 503 or 504, is made again.
        worker: shown beside the trials; by default the host's name and the process's number.
        lease_seconds: after which a trial that nothing is heard of is given to somebody else. 1 … 86,400.
        progress_deadline: seconds without a report, a step of `Trial.range` or a look at `Trial.should_stop` after
            which a lease is not renewed, since the program hangs. They run from the first such sign: a trial that never
            gives one is taken to be silent, not hanging. None: no limit.
        report_every: seconds between sending what was reported.

    Raises:
        InvalidInput: the URL or a number is none.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        patience: float = 300.0,
        worker: str | None = None,
        lease_seconds: float = 60.0,
        progress_deadline: float | None = 3600.0,
        report_every: float = 1.0,
    ) -> None:
        for name, value in (("timeout", timeout), ("lease_seconds", lease_seconds), ("report_every", report_every)):
            if not value > 0:
                raise InvalidInput.at(name, f"must be greater than 0, is {value}")
        self._transport = Transport(url, headers=_with_token(headers or {}, token), timeout=timeout, patience=patience)
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._progress_deadline = progress_deadline
        self._rounds = Rounds(report_every)
        self._running: weakref.WeakSet[Trial] = weakref.WeakSet()
        _clients.add(self)

    def __repr__(self) -> str:
        return f"<Client of {self._transport.url}>"

    def study(
        self,
        name: str,
        search_space: Mapping[str, space.Spec] | None = None,
        *,
        goal: str | Mapping[str, Any] | None = None,
        sampler: str | Mapping[str, Any] | None = None,
        pruner: str | Mapping[str, Any] | None = None,
        stop_diverging: bool | None = None,
        trials: int | None = None,
        gradient_evaluations: int | None = None,
        seconds: float | None = None,
        parallel_trials: int | None = None,
        failed_trials: int | None = None,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
        **parameters: space.Spec,
    ) -> Study:
        """Create a study, join it, or extend its budget: the same call from every process.

        Where a study of that name exists, what is left out here is taken from it; ``client.study(name)`` joins it
        whatever it is. A higher budget is raised there, a lower one joins as it is.

        Args:
            name: lower-case letters, digits, ``.``, ``_``, ``-``.
            search_space: parameters by name, where a name is no Python identifier or one of those below.
            parameters: ``learning_rate=(1e-5, 1e-1)`` (real, log scale), ``steps=(100, 5000)`` (whole numbers),
                ``momentum=(0.0, 0.99)`` (real where an end is, linear), ``decay=log(1e-6, 1e-2)``,
                ``batch_size=[32, 64]`` (one of these), ``layers=3`` (fixed).
            goal: ``"minimize loss"`` (the default), ``"maximize accuracy"``; ``"minimize steps until loss 0.01"``, the
                fewest steps that get there; ``"minimize loss and steps"``, their trade-off (`Study.pareto`).
            sampler: a registered sampler, or its name, seed and settings: ``{"name": "tpe", "seed": 3}``.
            pruner: a registered pruner likewise; none by default.
            stop_diverging: whether a trial whose loss diverges is told to stop; by default it is.
            trials: how many at most; 100 where nothing else is limited either.
            gradient_evaluations: how many steps of all trials together at most.
            seconds: of wall time, from the first trial on.
            parallel_trials: how many at once.
            failed_trials: at how many the study ends.
            notes: free text, of a study that is created.
            tags: short texts, likewise.

        Raises:
            StudyExists: it exists and differs in more than its budget; the message names the fields.
            StudyNotFound: it does not exist, and no parameters are given.
            InvalidInput: something of it cannot be; the error names the field.
            ServiceUnreachable: no answer.
        """
        said = space.definition(
            name,
            {**(search_space or {}), **parameters},
            {
                "trials": trials,
                "gradient_evaluations": gradient_evaluations,
                "seconds": seconds,
                "parallel_trials": parallel_trials,
                "failed_trials": failed_trials,
            },
            goal_spec=goal,
            sampler=sampler,
            pruner=pruner,
            stop_diverging=stop_diverging,
            notes=notes,
            tags=tags,
        )
        document = open_study(self._transport, said)
        terms = Terms(
            self._transport,
            self._rounds,
            f"/v1/studies/{in_path(name)}",
            space.metric_of(document["definition"]["goal"]),
            space.arrival(document["definition"]["goal"]),
            document["definition"].get("stop_diverging", True),
            self._lease_seconds,
            self._progress_deadline,
            self._running,
        )
        return Study(terms, document, self._worker)

    def range_test(
        self,
        step: Callable[[float], SupportsFloat],
        *,
        low: float = measurements.LOW,
        high: float = measurements.HIGH,
        steps: int = measurements.STEPS,
        study: str | None = None,
    ) -> RangeTest:
        """Train for some steps at a learning rate that grows on each, and see what the losses suggest.

        The model is spoilt afterwards: make a new one. It ends before ``high`` where the loss explodes.

        Args:
            step: makes one update at the rate it is given, and returns the loss after it. A loss that was computed
                before the update will do: it shifts the curve by one step.
            low: the first rate.
            high: the last rate.
            steps: how many rates, each the same factor above the one before. 2 … 10,000.
            study: on which to keep the test; its steps are charged to the study's budget. By default it is kept
                nowhere.

        Raises:
            InvalidInput: ``low`` is not below ``high``, or the like; nothing has been trained.
            StudyNotFound: there is no such study; nothing has been trained.
            BudgetSpent: its budget does not afford the test.
            ServiceUnreachable: no answer.
        """
        measurements.check(low, high, steps)
        path = "/v1/range-tests:analyse"
        if study is not None:
            of_study = f"/v1/studies/{in_path(study)}"
            self._transport.read(of_study)
            path = f"{of_study}/range-tests"
        curve = measurements.run(step, low, high, steps)
        if len(curve.rates) < 2:
            raise InvalidInput.at("low", f"the loss is not finite at once, at the rate {low:g}: begin lower")
        return RangeTest.of(curve, self._transport.write(path, curve.document))

    def stability(
        self, objective: str, settings: Mapping[str, Any] | None = None, *, initial_seed: int = 0, **parameters: Any
    ) -> Stability:
        """Measure how large the learning rate of a registered objective may be at its start.

        Args:
            objective: its name.
            settings: its own.
            initial_seed: of the start.
            parameters: how the descent moves: ``update_rule="heavy_ball"``, ``momentum=0.5``.

        Raises:
            ObjectiveNotFound: there is none of that name.
            InvalidInput: a setting or parameter cannot be; the error names it.
            ServiceUnreachable: no answer.
        """
        probe = {"settings": dict(settings or {}), "initial_seed": initial_seed, "parameters": parameters}
        found = self._transport.write(f"/v1/objectives/{in_path(objective)}:stability", probe)
        return Stability(found["curvature"]["largest"], found["limit"], found["statement"])

    def close(self) -> None:
        """Give back the trials that have no result, and close the connections. The next call would open new ones."""
        self._leave(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        reached = True
        for trial in list(self._running):
            # Who has a thousand trials and no service does not wait a thousand times.
            reached = trial.settle(error) if reached else trial.let_go()
        self._transport.close()
        leases.rest()

    def _after_fork(self) -> None:
        self._transport.after_fork()
        self._rounds.after_fork()
        self._running.clear()


def _at_exit() -> None:
    """Settle what the program leaves: failed for the exception that it died of, given back otherwise."""
    died_of = printed()
    for client in list(_clients):
        reached = True
        for trial in list(client._running):
            reached = trial.settle(*_end_of(trial, died_of)) if reached else trial.let_go()
        client.close()
    leases.end()


def _end_of(trial: Trial, died_of: BaseException | None) -> tuple[BaseException | None, str | None]:
    """The exception and the reason with which a trial ends that the program leaves when it ends itself."""
    if trial.left is None:
        return (died_of if died_of is not None and _knew(died_of, trial) else None), None
    error = None if died_of is None else passed(trial.left, died_of)
    return error, UNSEEN if error is None and not exits(trial.left) else None


def _knew(error: BaseException, trial: Trial) -> bool:
    """Whether an exception came through a frame that knew the trial."""
    traceback = error.__traceback__
    while traceback is not None:
        if any(value is trial for value in list(traceback.tb_frame.f_locals.values())):
            return True
        traceback = traceback.tb_next
    return False


def _after_fork() -> None:
    leases.after_fork()
    for client in list(_clients):
        client._after_fork()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _with_token(headers: Mapping[str, str], token: str | None) -> Mapping[str, str]:
    """The headers with that of the token; one that the caller wrote himself stays."""
    token = token or os.environ.get(TOKEN_VARIABLE)
    if not token or any(name.lower() == "authorization" for name in headers):
        return headers
    return {**headers, "Authorization": f"Bearer {token}"}
