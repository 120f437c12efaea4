"""Carries out the plan of a trajectory search: asks it what comes next, descends, writes down what came of it.

The plan is asked anew from its beginning by every worker that takes the study up, and answered from what is stored for
as long as that suffices; the first request that it does not answer is where the search stands. So nothing of a plan is
stored, and a worker that was killed costs at most what it had not reported.
"""

import base64
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tuner.analysis import stability
from tuner.descent import RULES, Checkpoint, Descent, Method, Row
from tuner.errors import TunerError
from tuner.objectives import Objective, evaluate, start
from tuner.search import planner_of
from tuner.search.trajectory import Arm, Limit, Pass, Probe, Run, Trajectory
from tuner.search.trajectory.sampler import task_of
from tuner.service import search as stored
from tuner.service.search import Granted, Measured, Progress, Standing, Step, Wanted
from tuner.service.tell import Ending
from tuner.storage.leases import MAX_LOST_LEASES
from tuner.trial import encode_float
from tuner.worker import pace
from tuner.worker.legs import Leg, Reports, number_of
from tuner.worker.rates import Judge, Rate, known_rates

SEARCHED = "the search is over: following any rate further, or another one, is not worth what it takes"

MOST_UNANSWERED = 20
"""A search ends when the objective has failed at every rate of so many passes in a row."""

PROBE_TOLERANCE = 0.1
"""The relative error of the measured curvature: the plan looks above and below the limit anyway."""

PROBE_EVALUATIONS = 30
"""Gradient evaluations that a probe may take."""

PROBE_SHARE = 4
"""A probe takes at most one part in so many of what is left of the budget."""

START_BYTES = 2**20
"""A start of more parameters is not stored with its gradient: whoever takes the search up evaluates it again."""

GROUP_BYTES = 256 * 2**20
"""Memory that the parameters of rates that descend together may take."""

CHECKPOINT_BYTES = 32 * 2**20
"""Checkpoints that are larger together are written only where a stretch ends, not with every report."""

_PARAMETER_ARRAYS = 10
"""Arrays of the parameters' shape that a descent and its checkpoint hold at a time."""


@dataclass(frozen=True)
class Hands:
    """What a search needs of the worker that carries it out.

    advance: writes a step, however long the database is away. is_over: whether the worker's time is over. follows: is
    told how many rates are followed. run_chosen: runs the trials that users enqueued.
    """

    advance: Callable[[Step], Standing]
    is_over: Callable[[], bool]
    follows: Callable[[int], None]
    run_chosen: Callable[[], None]


class Ended(Exception):
    """The search goes no further, here and now."""


class Search:
    """One study's search, as far as this worker carries it out.

    Args:
        known: what is stored of it.
        objective: of the study.
        hands: the worker's.
    """

    def __init__(self, known: stored.Search, objective: Objective, hands: Hands) -> None:
        self._definition = definition = known.definition
        choice = definition.objective
        assert choice is not None  # noqa: S101 (it is registered)
        self._objective, self._initial_seed = objective, choice.initial_seed
        self._hands = hands
        self._fixed = {
            name: value for name, value in definition.fixed_parameters.items() if name not in {"learning_rate", "steps"}
        }
        self._sampled = "batch_size" in definition.search_space
        self._task = task_of(definition, probes=self._limit_of(1.0, ()) is not None)
        self._judge = Judge(definition.goal, self._task, sampled=self._sampled)
        self._rates = known_rates(known.followed, self._task.further)
        self._arm: Arm = ()
        self._measured = dict(known.measured)
        self._origin: Checkpoint | None = None
        self._left = known.left
        self._pending: list[Progress] = []
        self._unanswered = 0

    def run(self) -> None:
        """Carry the plan out, to its end or to the end of what the study or the worker may do.

        Raises:
            StudyNotFound, LeaseLost: the study is gone, or somebody else's.
        """
        planner = planner_of(self._definition)
        assert planner is not None  # noqa: S101 (the study was taken for its plan)
        plan = planner.plan(self._task)
        try:
            self._begin()
            request = next(plan)
            while True:
                self._arm = request.arm
                answer = self._probe() if isinstance(request, Probe) else self._pass(request)
                request = plan.send(answer)
        except StopIteration:
            self._close(
                completed=SEARCHED if any(rate.position >= 0 for rate in self._rates.values()) else self._why_nothing()
            )
        except Ended:
            pass

    # What the plan asks for

    def _probe(self) -> Limit:
        """The rate at which descents of the arm become unstable at the start, where the curvature says that.

        The curvature is measured once in a study.
        """
        if self._limit_of(1.0, self._arm) is None:
            return Limit(None)
        if stored.CURVATURE not in self._measured:
            self._keep(self._measure())
        largest = self._measured[stored.CURVATURE].get("largest")
        return Limit(self._limit_of(largest, self._arm) if isinstance(largest, float) else None)

    def _begin(self) -> None:
        """Evaluate the start x_0, once for all rates. By mini-batches the first step of each needs its own."""
        if self._sampled:
            return
        known = self._measured.get(stored.START, {}).get("checkpoint")
        if known is not None:
            self._origin = Checkpoint.from_bytes(base64.b64decode(known))
            return
        if self._left == 0:
            return
        try:
            parameters = start(self._objective, self._initial_seed)
            with np.errstate(all="ignore"):
                values, gradients = evaluate(self._objective, parameters[np.newaxis])
        except TunerError:
            # The trials will say so, each of them.
            return
        self._origin = Checkpoint(0, parameters, {}, float(values[0]), gradients[0])
        found: dict[str, Any] = {"loss": encode_float(float(values[0]))}
        if parameters.nbytes <= START_BYTES:
            found["checkpoint"] = base64.b64encode(self._origin.to_bytes()).decode()
        self._keep(Measured(stored.START, found, 1))

    def _keep(self, measured: Measured) -> None:
        self._measured[measured.kind] = measured.result
        self._heed(self._write(Step(measured=measured)))

    def _measure(self) -> Measured:
        most = PROBE_EVALUATIONS if self._left is None else min(PROBE_EVALUATIONS, self._left // PROBE_SHARE)
        try:
            found = stability.measure(
                self._objective,
                start(self._objective, self._initial_seed),
                seed=self._task.seed,
                most_evaluations=most,
                tolerance=PROBE_TOLERANCE,
            )
        except TunerError as error:
            # The trials will say so, each of them.
            return Measured(stored.CURVATURE, {"at": "start", "largest": None, "reason": str(error)}, 0)
        curvature = asdict(found)
        evaluations = curvature.pop("gradient_evaluations")
        return Measured(stored.CURVATURE, {"at": "start", **curvature}, evaluations)

    def _limit_of(self, curvature: float, arm: Arm) -> float | None:
        method = self._method_of(arm)
        return stability.limit(method.update_rule, method.settings, curvature)

    def _method_of(self, arm: Arm) -> Method:
        return Method.of_trial({**self._fixed, **dict(arm)})

    def _pass(self, request: Pass) -> list[Trajectory]:
        """Follow the rates of a pass as far as it says, and no further than the study has means for."""
        wanted = {run.learning_rate for run in request.runs} | set(request.keep)
        # A rate that the plan has not been shown is one that it comes to later: this one is asked anew.
        done = [
            rate
            for rate in self._rates.values()
            if rate.open and rate.position >= 0 and rate.arm == request.arm and rate.learning_rate not in wanted
        ]
        refused: set[float] = set()
        while todo := self._next([run for run in request.runs if run.learning_rate not in refused]):
            standing = self._write(Step(endings=self._end(done), wanted=[self._wanted(run) for run in todo]))
            done = []
            self._heed(standing)
            granted = list(zip(todo, standing.granted, strict=True))
            refused |= {run.learning_rate for run, grant in granted if grant is None}
            self._follow([(run, grant) for run, grant in granted if grant is not None])
            if any(grant is None and self._rate(run).open for run, grant in granted):
                # What may go on and does not lacks evaluations; what is new may lack a trial.
                self._close()
                raise Ended
        if done:
            self._heed(self._write(Step(endings=self._end(done))))
        answers = [self._answer(run) for run in request.runs if self._ends(run) is not None]
        # Where there is no room for another rate, the arms that have been left may still go on with theirs.
        goes_on = bool(self._task.further) and any(rate.open for rate in self._rates.values())
        self._unanswered = 0 if answers or (refused and goes_on) else self._unanswered + 1
        if self._unanswered == MOST_UNANSWERED or (self._unanswered and refused):
            self._close(completed=self._why_nothing())
            raise Ended
        return answers

    def _next(self, runs: Sequence[Run]) -> Sequence[Run]:
        """Those that have to be run. One that the next loss would quarantine is run alone, after the others."""
        unknown = [run for run in runs if not self._knows(run)]
        safe = [run for run in unknown if self._rate(run).lost_leases < MAX_LOST_LEASES - 1]
        return safe or unknown[:1]

    def _knows(self, run: Run) -> bool:
        rate = self._rate(run)
        return rate.failed or self._judge.end_of(run, rate) is not None

    def _ends(self, run: Run) -> int | None:
        rate = self._rate(run)
        return None if rate.failed else self._judge.end_of(run, rate)

    def _answer(self, run: Run) -> Trajectory:
        rate, last = self._rate(run), self._ends(run)
        assert last is not None  # noqa: S101 (the caller has asked)
        rate.position = last
        if self._sampled and last == run.steps:
            rate.full.add(last)
        return self._judge.trajectory(rate, last)

    def _rate(self, run: Run) -> Rate:
        place = self._arm, float(run.learning_rate)
        rate = self._rates.setdefault(place, Rate(*place))
        if rate.checkpoint is None and self._origin is not None:
            rule = RULES[self._method_of(self._arm).update_rule]
            state = {name: np.zeros_like(self._origin.parameters) for name in rule.state}
            rate.checkpoint = replace(self._origin, state=state)
        return rate

    def _wanted(self, run: Run) -> Wanted:
        """What a run takes. One whose checkpoint is behind its curve first catches up, without its ceiling."""
        rate = self._rate(run)
        first = rate.stands_at
        last = rate.position if first < rate.position else run.steps
        return Wanted(
            rate.learning_rate,
            first,
            last,
            rate.opening,
            number=rate.number if rate.open else None,
            after=rate.number if not rate.open and rate.number is not None else None,
            further=dict(rate.arm),
        )

    def _heed(self, standing: Standing) -> None:
        """Go no further where the study does not.

        Raises:
            Ended: it does not.
        """
        if self._hands.is_over() or standing.state == "paused":
            self._write(Step(let_go=True))
        elif standing.state != "active" or standing.over is not None:
            self._close()
        else:
            if standing.chosen:
                self._hands.run_chosen()
            return
        raise Ended

    def _close(self, completed: str | None = None) -> None:
        """Tell what is still followed. The study completes, unless a user stopped it."""
        rates = [rate for rate in self._rates.values() if rate.open]
        reason = completed or "the budget has no room for anything further"
        self._write(
            Step(endings=self._end(rates), may_go_on=completed is None, completed=reason, let_go=True),
        )

    def _end(self, rates: Iterable[Rate]) -> list[Ending]:
        """The results of rates that are followed no further."""
        endings = []
        for rate in rates:
            rate.open = False
            endings.append(self._judge.ending(rate))
        return endings

    def _why_nothing(self) -> str:
        failed = sum(rate.failed for rate in self._rates.values())
        return f"the objective failed at {failed} rates" if failed else "the budget has no room for another rate"

    def _write(self, step: Step) -> Standing:
        pending, self._pending = self._pending, []
        standing = self._hands.advance(replace(step, progress=[*pending, *step.progress]))
        self._left = standing.left
        for rate in self._rates.values():
            if rate.number in standing.gone:
                rate.open, rate.failed = False, True
        self._hands.follows(sum(rate.open for rate in self._rates.values()))
        return standing

    # Descents

    def _follow(self, granted: Sequence[tuple[Run, Granted]]) -> None:
        """Descend as far as it is granted."""
        legs = []
        for run, grant in granted:
            rate = self._rate(run)
            rate.number, rate.attempt, rate.open = grant.number, grant.attempt, True
            catches_up = rate.stands_at < rate.position
            legs.append(Leg(rate, grant.last_step, math.inf if catches_up else self._judge.ceiling(run)))
        most = max(1, GROUP_BYTES // (8 * _PARAMETER_ARRAYS * self._objective.dimension))
        for first in range(0, len(legs), most):
            self._descend(legs[first : first + most])

    def _descend(self, legs: list[Leg]) -> None:
        """Run these together; one by one where the objective fails, since nobody knows which of them it was."""
        try:
            descent = self._descent(legs)
        except TunerError as error:
            self._fail(legs, error, [0] * len(legs))
            return
        reports = [Reports(leg, descent, row) for row, leg in enumerate(legs)]
        steps = pace.FIRST_CHUNK
        report_at = time.monotonic() + pace.REPORT_EVERY
        running = True
        while running:
            began = time.monotonic()
            try:
                running = descent.advance(steps) > 0
            except TunerError as error:
                self._fail(legs, error, [report.unreported for report in reports])
                return
            now = time.monotonic()
            steps = pace.next_chunk(steps, now - began)
            if running and (now >= report_at or self._hands.is_over()):
                self._report(descent, reports)
                report_at = time.monotonic() + pace.REPORT_EVERY
        for report in reports:
            self._pending.append(report.news(with_checkpoint=True))
            if self._sampled and report.ran_its_steps:
                report.leg.rate.full.add(report.leg.last_step)

    def _report(self, descent: Descent, reports: Sequence[Reports]) -> None:
        """Write what has come since the last report.

        Raises:
            Ended: the study, or the worker's time, is over.
        """
        size = sum(8 * 3 * self._objective.dimension for _ in reports)
        over = self._hands.is_over()
        progress = [
            report.news(with_checkpoint=over or size <= CHECKPOINT_BYTES, goes_on=not over) for report in reports
        ]
        standing = self._write(Step(progress=progress, let_go=over))
        if over:
            raise Ended
        for report in reports:
            if not report.leg.rate.open:
                descent.stop(report.row)
        if standing.over is not None:
            self._pending += [report.news(with_checkpoint=True) for report in reports]
            self._close()
            raise Ended

    def _descent(self, legs: Sequence[Leg]) -> Descent:
        method = self._method_of(self._arm)
        return Descent(
            self._objective,
            [Row(leg.rate.learning_rate, leg.last_step, method.settings, leg.ceiling) for leg in legs],
            update_rule=method.update_rule,
            batch_size=method.batch_size,
            initial_seed=self._initial_seed,
            seed=self._initial_seed,
            checkpoints=[leg.rate.checkpoint for leg in legs],
            ceilings_on="validation" if self._judge.validates else "loss",
        )

    def _fail(self, legs: list[Leg], error: TunerError, spent: Sequence[int]) -> None:
        """Let a rate that was alone fail; of several each is run alone, and what they took is charged."""
        if len(legs) > 1:
            progress = [
                Progress(number_of(leg.rate), leg.rate.attempt, max(leg.rate.steps, 0), evaluations, goes_on=True)
                for leg, evaluations in zip(legs, spent, strict=True)
            ]
            self._write(Step(progress=progress))
            for leg in legs:
                self._descend([leg])
            return
        [leg], [evaluations] = legs, spent
        leg.rate.open, leg.rate.failed = False, True
        ending = Ending(
            number_of(leg.rate), leg.rate.attempt, "failed", reason=str(error), gradient_evaluations=evaluations
        )
        self._write(Step(endings=[ending]))
