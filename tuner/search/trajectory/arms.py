"""Which combinations of the further dimensions to search the rate for, and for how long each.

An *arm* is one combination: a momentum, an update rule, whatever is searched beside rate and steps. Rates of different
arms are not comparable, but what arms have come to with as many gradient evaluations is. So the rates of each arm are
searched by a plan of its own (`plan`), which can be left at any request and gone on with later, and the arms are raced:

- Every arm has an allowance of evaluations; of those that have spent as much, the best third go on with three times as
  many (asynchronous successive halving: Li et al., "A system for massively parallel hyperparameter tuning", 2020).
- What is best early need not be best late: momentum pays on long descents. So some new arms are judged for the first
  time at a later rung, and as much goes to these as to each other kind (Li et al., "Hyperband: a novel bandit-based
  approach to hyperparameter optimization", 2018).
- New arms are proposed by a sampler that is told how the others did, each by the furthest rung that enough of them have
  got to (Falkner et al., "BOHB: robust and efficient hyperparameter optimization at scale", 2018).
- A new arm begins where the best one so far says that the edge is: as far above or below what the curvature at the
  start says.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

from tuner.search.trajectory.planner import plan
from tuner.search.trajectory.requests import Arm, Limit, Plan, Request, Task, Trajectory

ALLOWANCE = 150
"""Gradient evaluations that an arm may spend before it is judged for the first time."""

GROWTH = 3
"""How many times as many it may spend up to the next rung, and one of how many gets there."""

MOST_KNOWN = 8
"""After so many proposals in a row of arms that are there already, an old one goes on instead."""

MOST_EMPTY = 8
"""After so many arms in a row no descent of which got below the start, there are no new ones."""

OF_TRIALS = 0.75
"""New arms come while fewer than this share of the rates that there may be are followed; the rest is for the best."""

PATIENCE = 100
"""The search ends when so many full runs, or first allowances, have got it lower by no more than `NO_GAIN`."""

NO_GAIN = 1e-6
"""A gain that is none, as a share of what the search has gained altogether."""

Worth = tuple[float, float]
"""What an arm has come to, less is better: the fewest steps to the target, where there is one, and the lowest loss."""

NOTHING: Worth = (math.inf, math.inf)


@dataclass(frozen=True)
class Tried:
    """An arm, and what it had come to at each rung that it has got to."""

    arm: Arm
    worths: Sequence[Worth]


Propose = Callable[[int, Sequence[Tried]], Arm]
"""The proposal of a number (0, 1, …), from how the arms so far did: a function of the two alone."""

Steps = Generator[Request, Sequence[Trajectory] | Limit, None]


def race(task: Task, propose: Propose) -> Plan:
    """The requests of a search over rates, step counts and further dimensions.

    It is over when no new arm is to come and the plans of all have ended, or when nothing lower was found for long.
    """
    return _Race(task, propose).run()


class _Race:
    def __init__(self, task: Task, propose: Propose) -> None:
        self._task = task
        self._propose = propose
        self._racers: dict[Arm, _Racer] = {}
        self._proposals = 0
        self._empty = 0
        self._spent = 0
        self._best_worth = NOTHING
        self._best_since = 0

    def run(self) -> Plan:
        while self._spent - self._best_since <= PATIENCE * max(self._task.most_steps, ALLOWANCE):
            racer = self._promoted() or self._new() or self._best()
            if racer is None:
                return
            yield from self._go_on(racer)

    def _go_on(self, racer: "_Racer") -> Steps:
        """Let an arm spend what it may up to its next rung; a new one, up to the first at which it is judged."""
        before = racer.spent
        rung = max(len(racer.worths), racer.first_rung)
        while not racer.is_over and len(racer.worths) <= rung:
            allowance = ALLOWANCE * GROWTH ** len(racer.worths)
            while racer.request is not None and racer.spent < allowance:
                answer = yield replace(racer.request, arm=racer.arm)
                racer.heed(self._edge(racer, answer) if isinstance(answer, Limit) else answer)
            racer.worths.append(racer.worth)
        self._empty = 0 if racer.best_rate is not None else self._empty + 1
        self._spent += racer.spent - before
        (reached, lowest), (best_reached, best_lowest) = racer.worth, self._best_worth
        if reached < best_reached or lowest < best_lowest - NO_GAIN * max(racer.start - best_lowest, 0.0):
            self._best_worth, self._best_since = racer.worth, self._spent

    def _promoted(self) -> "_Racer | None":
        """One of the best of those that have got to a rung, the furthest rung first."""
        for rung in range(self._rungs, 0, -1):
            there = [racer for racer in self._racers.values() if len(racer.worths) >= rung]
            there.sort(key=lambda racer: racer.worths[rung - 1])
            for racer in there[: len(there) // GROWTH]:
                if len(racer.worths) == rung and not racer.is_over:
                    return racer
        return None

    def _new(self) -> "_Racer | None":
        """An arm that is none yet; None where there is no other, or not for these means."""
        rates = sum(racer.rates for racer in self._racers.values())
        if self._racers and self._task.trials is not None and rates >= OF_TRIALS * self._task.trials:
            return None
        if self._empty >= MOST_EMPTY:
            return None
        tried = [Tried(racer.arm, tuple(racer.worths)) for racer in self._racers.values()]
        for _ in range(MOST_KNOWN):
            arm = self._propose(self._proposals, tried)
            self._proposals += 1
            if arm not in self._racers:
                racer = self._racers[arm] = _Racer(arm, self._shortened(), self._first_rung())
                return racer
        return None

    def _shortened(self) -> Task:
        """The task of a new arm: to be better where there is a target, it must get there sooner than any has."""
        reached, _ = self._best_worth
        return self._task if math.isinf(reached) else replace(self._task, most_steps=max(1, int(reached) - 1))

    def _first_rung(self) -> int:
        """The rung at which a new arm is to be judged first: the one that such arms have spent the least for."""
        spent = [0] * max(1, self._rungs)
        for racer in self._racers.values():
            spent[racer.first_rung] += racer.spent
        return spent.index(min(spent))

    def _best(self) -> "_Racer | None":
        """The best arm that can go on."""
        going_on = [racer for racer in self._racers.values() if not racer.is_over]
        return min(going_on, key=lambda racer: racer.worth, default=None)

    @property
    def _rungs(self) -> int:
        """How many rungs any arm has got to."""
        return max((len(racer.worths) for racer in self._racers.values()), default=0)

    def _edge(self, racer: "_Racer", limit: Limit) -> Limit:
        """Where a new arm is to look for its edge: where that of the best arm like it was, beside what was measured."""
        racer.limit = limit.learning_rate
        known = [other for other in self._racers.values() if other.best_rate is not None and other.is_like(racer)]
        leader = min(known, key=lambda other: other.worth, default=None)
        if leader is None or leader.best_rate is None:
            return limit
        if racer.limit is None or leader.limit is None:
            return Limit(leader.best_rate)
        return Limit(racer.limit * (leader.best_rate / leader.limit))


class _Racer:
    """An arm, the plan that searches its rates, and what both have come to.

    first_rung: the rung (0, 1, …) at which it is judged first. worths: what it had come to at each rung so far.
    limit: what a probe said of it. request: what its plan asks for next; None where that is over.
    """

    def __init__(self, arm: Arm, task: Task, first_rung: int) -> None:
        self.arm = arm
        self.first_rung = first_rung
        self.worths: list[Worth] = []
        self.worth = NOTHING
        self.best_rate: float | None = None
        self.limit: float | None = None
        self.spent = 0
        self.start = math.inf
        self._task = task
        self._steps: dict[float, int] = {}
        # Where nothing can be measured other arms may know where to begin.
        self._plan = plan(replace(task, further={}, probes=True))
        self.request: Request | None = next(self._plan, None)

    @property
    def is_over(self) -> bool:
        return self.request is None

    @property
    def rates(self) -> int:
        """How many rates it has followed."""
        return len(self._steps)

    def is_like(self, other: "_Racer") -> bool:
        """Whether both descend by the same rule, so that the rates of one say something about the other's."""
        return dict(self.arm).get("update_rule") == dict(other.arm).get("update_rule")

    def heed(self, answer: Sequence[Trajectory] | Limit) -> None:
        """Hand an answer to the plan."""
        if not isinstance(answer, Limit):
            for trajectory in answer:
                self._note(trajectory)
        try:
            self.request = self._plan.send(answer)
        except StopIteration:
            self.request = None

    def _note(self, one: Trajectory) -> None:
        self.spent += one.steps - self._steps.get(one.learning_rate, 0)
        self._steps[one.learning_rate] = one.steps
        self.start = float(one.losses[0])
        # At whatever step: early on no rate may have come to the fewest steps that are an answer.
        losses, target = one.losses[1:], self._task.target
        lowest = float(losses.min(where=losses < math.inf, initial=math.inf))
        reached = math.inf
        if target is not None and lowest <= target:
            reached = float(1 + (losses <= target).argmax())
        if (reached, lowest) < self.worth:
            self.worth = reached, lowest
            if lowest < one.losses[0]:
                self.best_rate = one.learning_rate
