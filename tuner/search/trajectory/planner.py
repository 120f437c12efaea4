"""Which rates to follow, and how far.

What the search knows of gradient descent at a constant rate:

- A rate beyond the edge of stability gives itself away within a few steps, one below it costs its whole run to judge.
  So the edge is approached from above, and challengers above the leader are cut early.
- Below the edge, progress goes with rate x steps (gradient flow). So the largest rate that lasts wins, and two rates
  can be compared at equal rate x steps, long before the end.
- The edge moves along the way, up or down. So every time the horizon doubles, rates above are tried again, and a leader
  that does not last gives way to lower ones.
- Right at the edge the outcome is erratic. There only more rates help: a share of the means goes to rates all around
  the best one, of which the better half is followed twice as far, and so on (Jamieson and Talwalkar, "Non-stochastic
  best arm identification and hyperparameter optimization", 2016; Li et al., "A system for massively parallel
  hyperparameter tuning", 2020).

The constants were chosen on half of the problems of ``benchmarks/search.py``; the other half judges them.
"""

import math
from collections.abc import Collection, Generator, Mapping, Sequence

from tuner.search.trajectory.followed import Followed
from tuner.search.trajectory.requests import Limit, Pass, Plan, Probe, Request, Run, Task, Trajectory
from tuner.search.trajectory.standing import SPACING, Challenge, Standing, is_behind, rate_above

BELOW_LIMIT = 0.7
"""The first rate as a share of the measured limit, which may be a little too high."""

WALK = 10.0
"""The factor between two rates of the first walk down."""

FIRST_STEPS = 3
"""Steps of the first rate that lowers the loss, before anything is compared."""

FIRST_HORIZON = 6
"""How far the first leader is followed; the horizon doubles from there."""

CHALLENGE = 8
"""Steps that a challenger gets before it is judged."""

STEP_DOWN = math.sqrt(2)
"""The factor to the next rate below a leader that does not last."""

SHARE = 0.3
"""What goes to exploring once a leader has failed to last, as a share of the other means."""

EXPLORED_STEPS = 8
"""How far a rate of the exploration is followed first."""

WHOLE_EVERY = 3
"""Of so many rates of the exploration one is followed to the horizon, whatever it looks like on the way."""

BELOW, ABOVE = 4.0, 8.0
"""The exploration reaches from the best rate divided by the one to the best rate times the other."""

REFINEMENTS = (1.25, 1.12, 1.06, 1.03)
"""Factors between the best rate and its neighbours, once the horizon is the last one."""

REFINED_STEPS, JUDGED_STEPS = 16, 128
"""Steps that a neighbour gets first, and those before which it is not judged."""

PATIENCE = 24
"""The search ends when it has spent so many full runs on exploring without getting lower by more than `NOTHING`."""

AT_ONCE = 4
"""Rates of the exploration that are followed together."""

MOST_IDLE = 32
"""Rates in a row that are known already before exploring finds nothing new."""

NOTHING = 1e-6
"""A gain that is none, as a share of what the search has gained altogether."""

_GOLDEN = (math.sqrt(5) - 1) / 2

Steps = Generator[Request, Sequence[Trajectory] | Limit, None]
"""Part of a plan."""

Chosen = Generator[Request, Sequence[Trajectory] | Limit, float]
"""Part of a plan that ends with a rate."""


def plan(task: Task) -> Plan:
    """The requests of a search; it is over when nothing further is worth its cost."""
    return _Search(task).run()


class _Search:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._standing = Standing()
        self._followed = self._standing.followed
        self._furthest = task.most_steps
        self._spent = 0
        self._explored = 0
        # A front has a rate for every step count: there is something beside the leader to be found from the start on.
        self._is_rough = task.front
        self._draws = 0
        self._refused: set[float] = set()
        self._horizon = 1
        self._rungs: dict[int, list[float]] = {}

    def run(self) -> Plan:
        leader = yield from self._begin()
        if leader not in self._followed:
            return
        if not math.isfinite(self._standing.start):
            return
        horizon = min(FIRST_HORIZON, self._furthest)
        while True:
            leader = yield from self._settle(leader, horizon)
            if self._standing.lasts(leader):
                leader = yield from self._climb(leader)
            self._horizon = horizon
            if self._is_rough:
                yield from self._explore(SHARE * (self._spent - self._explored))
            leader = self._standing.better(leader)
            if horizon >= self._furthest:
                # One that has just won may not have come to an answer.
                yield from self._follow({leader: self._task.fewest_steps})
                break
            horizon = min(2 * horizon, self._furthest)
        if self._standing.gained > 0:
            yield from self._refine()

    def _begin(self) -> Chosen:
        """The first leader: a little below the edge of stability at the start, where that can be measured."""
        if self._task.probes:
            limit = yield Probe()
            if isinstance(limit, Limit) and limit.learning_rate is not None:
                rate = min(max(BELOW_LIMIT * limit.learning_rate, self._task.low), self._task.high)
                yield from self._follow({rate: FIRST_STEPS})
                if rate in self._followed:
                    return rate
        return (yield from self._walk_down())

    def _walk_down(self) -> Chosen:
        """The highest rate, of a few far apart, that lowers the loss with its first step."""
        rate = self._task.high
        while True:
            yield from self._follow({rate: 1})
            found = self._followed.get(rate)
            if (found is not None and found.last < found.start) or rate <= self._task.low:
                break
            rate = max(rate / WALK, self._task.low)
        yield from self._follow({rate: FIRST_STEPS})
        return rate if rate in self._followed or not self._followed else self._standing.best_rate()

    def _settle(self, leader: float, horizon: int) -> Chosen:
        """The leader at the horizon: a lower rate where it does not last."""
        down = STEP_DOWN
        yield from self._follow({leader: horizon})
        while not self._standing.lasts(leader):
            self._is_rough = True
            lower = self._standing.near(leader / down, 1.25, below=leader / 1.15) or leader / down
            if lower < self._task.low:
                break
            yield from self._follow({lower: horizon})
            if lower not in self._followed:
                break
            if not (self._over(leader) or self._followed[lower].typical < self._followed[leader].typical):
                break
            leader, down = lower, min(down * STEP_DOWN, 4.0)
        return leader

    def _climb(self, leader: float) -> Chosen:
        """The leader, or whatever rate above it gets as low with as little."""
        beaten = {rate for rate in self._followed if self._over(rate)}
        while (challenger := rate_above(leader, beaten, self._task.high)) is not None:
            known = self._standing.near(challenger, math.sqrt(SPACING), above=leader, but=beaten)
            challenger = challenger if known is None else known
            if (yield from self._challenge(leader, challenger)):
                leader = challenger
            else:
                beaten.add(challenger)
        return leader

    def _challenge(self, leader: float, rate: float) -> Generator[Request, Sequence[Trajectory] | Limit, bool]:
        """Whether the rate gets as low as the leader within as much rate x steps."""
        enough = self._standing.enough(leader, rate)
        steps = max(CHALLENGE, enough // 4)
        while True:
            yield from self._follow({rate: steps})
            result = self._standing.challenge(leader, self._followed.get(rate), furthest=self._furthest)
            if result is not Challenge.OPEN:
                return result is Challenge.WON
            steps = min(enough, 2 * self._followed[rate].steps)

    def _explore(self, evaluations: float) -> Steps:
        """Follow rates all around the best one, until so many evaluations have gone to that altogether."""
        idle = 0
        while self._explored < evaluations and idle < MOST_IDLE:
            before = self._spent
            runs = self._next_explored(evaluations - self._explored)
            yield from self._follow(runs)
            for rate, steps in runs.items():
                if rate in self._followed:
                    rung = self._rungs.setdefault(steps, [])
                    if rate not in rung:
                        rung.append(rate)
            self._explored += self._spent - before
            idle = idle + 1 if self._spent == before else 0

    def _next_explored(self, evaluations: float) -> dict[float, int]:
        """Rates and steps for so many evaluations: who is to go twice as far, or else new ones."""
        runs: dict[float, int] = {}
        while evaluations > 0 and len(runs) < AT_ONCE:
            rate, steps = self._promoted(runs) or self._drawn()
            if rate in runs:
                break
            runs[rate] = steps
            evaluations -= steps - (self._followed[rate].steps if rate in self._followed else 0)
        return runs

    def _promoted(self, but: Collection[float]) -> tuple[float, int] | None:
        """One of the better half of those that went equally far, to go twice as far."""
        for steps in sorted(self._rungs, reverse=True):
            further = min(2 * steps, self._furthest)
            gone = self._rungs.get(further, [])
            ranked = sorted(self._rungs[steps], key=lambda rate: self._followed[rate].lowest)
            for rate in ranked[: len(ranked) // 2]:
                if steps < further and rate not in gone and rate not in but and not self._over(rate):
                    return rate, further
        return None

    def _drawn(self) -> tuple[float, int]:
        """The next rate of those that fill the range around the best one evenly."""
        best = self._standing.best_rate()
        # Where the objective fails at a rate it may at higher ones, too: none of them is drawn.
        above = min((rate for rate in self._refused if rate > best), default=math.inf)
        low, high = max(best / BELOW, self._task.low), min(best * ABOVE, self._task.high, above)
        self._draws += 1
        # The golden ratio's multiples fill an interval evenly at every length (Weyl 1916; Ramshaw 1981).
        rate = low * (high / low) ** (self._draws * _GOLDEN % 1.0)
        steps = self._horizon if self._draws % WHOLE_EVERY == 0 else min(EXPLORED_STEPS, self._furthest)
        return self._standing.near(rate, 1.005) or rate, steps

    def _refine(self) -> Steps:
        """Neighbours of the best rate, ever closer; then nothing but exploring."""
        level = 0
        judged: set[float] = set()
        while level < len(REFINEMENTS):
            factor, best = REFINEMENTS[level], self._standing.best_rate()
            for rate in (best / factor, best * factor):
                if (yield from self._neighbour(rate, factor, best, judged)):
                    break
            else:
                level += 1
            yield from self._explore(self._spent - self._explored)
        best_loss, since = self._standing.best, self._spent
        while self._spent - since < PATIENCE * self._furthest:
            before = self._spent
            yield from self._explore(self._explored + self._furthest)
            if self._spent == before:
                return
            if self._standing.best < best_loss - NOTHING * self._standing.gained:
                best_loss, since = self._standing.best, self._spent

    def _neighbour(
        self, rate: float, factor: float, best: float, judged: set[float]
    ) -> Generator[Request, Sequence[Trajectory] | Limit, bool]:
        """Follow a neighbour of the best rate as long as it may get lower; whether it did."""
        if not self._task.low <= rate <= self._task.high:
            return False
        close = [known for known in self._followed if abs(math.log(known / rate)) < math.log(factor) / 3]
        if any(self._over(known) or known in judged for known in close):
            return False
        rate = close[0] if close else rate
        judged.add(rate)
        steps = REFINED_STEPS
        while True:
            yield from self._follow({rate: steps})
            found = self._followed.get(rate)
            if found is None or self._over(rate) or found.steps < steps:
                break
            pace = 0.5 * min(1.0, rate / best)
            if found.steps >= JUDGED_STEPS and is_behind(self._followed[best], found, pace=pace):
                break
            steps = 2 * max(steps, found.steps)
        return found is not None and found.best < self._followed[best].best

    def _follow(self, wanted: Mapping[float, int]) -> Steps:
        """Follow rates to these steps, as far as they are not there yet, nor over."""
        steps = {rate: min(max(wanted[rate], 1), self._furthest) for rate in wanted}
        runs = [
            Run(rate, end, self._standing.ceiling)
            for rate, end in steps.items()
            if rate not in self._refused and self._can_go_on(rate, end)
        ]
        if not runs:
            return
        found = yield Pass(runs, keep=[rate for rate in self._followed if not self._over(rate)])
        assert not isinstance(found, Limit)  # noqa: S101 (a pass is answered by trajectories)
        for one in found:
            self._note(one, steps[one.learning_rate])
        # No means are left for another rate, or the objective fails at it: what is left goes to the others.
        self._refused |= {run.learning_rate for run in runs} - {one.learning_rate for one in found}

    def _note(self, one: Trajectory, steps: int) -> None:
        rate = one.learning_rate
        before = self._followed[rate].steps if rate in self._followed else 0
        self._spent += one.steps - before
        followed = Followed(
            rate, one.losses, fewest_steps=self._task.fewest_steps, exploded=one.steps < min(steps, self._furthest)
        )
        self._standing.note(followed)
        if self._task.target is not None:
            reached = followed.steps_to(self._task.target)
            if reached <= followed.steps:
                # Whoever is to be better must get there sooner.
                self._furthest = max(min(self._furthest, reached - 1), 1)

    def _can_go_on(self, rate: float, steps: int) -> bool:
        return rate not in self._followed or (not self._over(rate) and self._followed[rate].steps < steps)

    def _over(self, rate: float) -> bool:
        """Whether a rate can be followed no further."""
        found = self._followed.get(rate)
        return found is not None and (found.exploded or found.steps >= self._furthest)
