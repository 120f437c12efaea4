"""Rates for clients to train, and which of them are hopeless, by the judgement of the planner.

A client trains a rate from its start, can't continue a run that it has told, and others train at the same time. So a
plan that names one pass after another has no place here: at each ask all that is known so far is looked at anew, runs
under way among it, and says what is worth a run, and how long. Both answers are functions of what is known alone.

1. *Walk*: from the highest rate down by tens, until one lowers the loss.
2. *Climb*: rates above the leader, as far as they are not beaten; the gap closes by halves.
3. *Settle*: where the leader does not last, rates below it.
4. *Look further*: with the leader, several times as far, and again from 2. What a longer look begins anew is a fraction
   of what it costs.
5. At the full length *refine* and *explore* around the best, for as long as there is a budget; and where the best was
   better at an earlier step, as with a validation loss, run it to there.

Every run is to go as far as the search looks at present; those that fall behind at equal steps, or at equal
rate x steps, are told to stop before (`hopeless`).
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise

from tuner.search.trajectory.followed import Followed
from tuner.search.trajectory.requests import Task
from tuner.search.trajectory.standing import (
    CLIMB,
    JUDGEABLE,
    PACE,
    ROUGH,
    Challenge,
    is_behind,
    rate_above,
)
from tuner.search.trajectory.trained import Field, Trained

WALK = 10.0
"""The factor between two rates of the walk down."""

FURTHER = 4
"""How many times as far the next look goes."""

SHORTEST_SHARE = 256
"""The first look is at no fewer steps than this part of the most: less is noise where runs are long."""

TRIALS_A_LOOK = 10
"""Trials that a look takes, about: with fewer than so many for each the looks are fewer, and further apart."""

STEP_DOWN = math.sqrt(2)
"""The factor to the next rate below a leader that does not last."""

BRACKETED = 1.25 * STEP_DOWN
"""A leader that does not last has been looked below where a rate within this factor was tried."""

BELOW_PACE = 0.5
"""A rate below the leader is hopeless where the leader was as low after less than this share of its rate x steps."""

BELOW, ABOVE = 4.0, 4.0
"""Exploring reaches from the best rate divided by the one to the best rate times the other."""

REFINEMENTS = (1.25, 1.12, 1.06, 1.03)
"""Factors between the best rate and its neighbours, at the full length."""

STALLED = 0.01
"""A leader that gains no more than this share of all with the second half of its steps is looked below, too."""

WORSE = 0.02
"""A leader that has lost this share of what was gained is worth a shorter run."""

SAME = 1.005
"""Rates within this factor are one."""

MOST_IDLE = 64
"""Draws in a row that are known already before the widest gap is halved instead."""

_GOLDEN = (math.sqrt(5) - 1) / 2


def looks(task: Task) -> list[int]:
    """The step counts at which the search looks, ascending; the last one is the most that it searches."""
    most = task.most_steps
    first = min(most, max(JUDGEABLE, math.ceil(most / SHORTEST_SHARE), task.fewest_steps))
    count = 1 + math.ceil(math.log(most / first) / math.log(FURTHER)) if most > first else 1
    if task.trials is not None:
        count = min(count, max(1, task.trials // TRIALS_A_LOOK))
    if count == 1:
        return [most]
    factor = (most / first) ** (1 / (count - 1))
    return [round(first * factor**place) for place in range(count - 1)] + [most]


def propose(task: Task, trained: Sequence[Trained], count: int) -> list[tuple[float, int]]:
    """So many rates to train, each with its steps; each later one sees the earlier ones as running."""
    search = _Proposals(_still_sought(task, trained), trained)
    found = []
    for _ in range(count):
        rate, steps = search.next()
        search.begin(rate, steps)
        found.append((rate, steps))
    return found


def hopeless(task: Task, trained: Sequence[Trained], number: int) -> str | None:
    """Why a trial under way is not worth going on with, in words; None where it is.

    Args:
        task: what is searched.
        trained: what is known, the trial itself among it.
        number: the trial's.
    """
    [one] = [known for known in trained if known.number == number]
    task = _still_sought(task, trained)
    if task.target is not None and one.gone > task.most_steps:
        return (
            f"the rate {_number(one.learning_rate)} is not there yet, and another was after {task.most_steps + 1} steps"
        )
    search = _Proposals(task, trained, number=number)
    field, rate = search.field, one.learning_rate
    found = field.standing.followed.get(rate)
    if found is None:
        return None
    at = f"at step {one.gone} the rate {_number(rate)}"
    if found.exploded:
        return f"{at} is far worse than where it began: it is beyond the edge of stability"
    if found.steps < min(JUDGEABLE, looks(task)[0] // field.unit):
        return None
    rivals = [other for other in search.descending() if other != rate]
    if not rivals:
        return None
    leader = search.leader(rivals)
    # Once the search is at its full length it is in the region where the outcome is erratic: only what is told counts.
    behind = _behind(field, leader, found, even_rough=one.steps >= task.most_steps)
    return None if behind is None else f"{at} {behind}"


def _still_sought(task: Task, trained: Sequence[Trained]) -> Task:
    """The task, where a target is to be reached in the fewest steps: whoever is to be better must get there sooner."""
    if task.target is None:
        return task
    reached = [step for one in trained if (step := one.reached(task.target)) is not None]
    return replace(task, most_steps=max(task.fewest_steps, min(reached, default=task.most_steps + 1) - 1))


def _behind(field: Field, leader: float, found: Followed, *, even_rough: bool = False) -> str | None:
    """How a rate is behind the leader, if it is, in words."""
    standing, led = field.standing, field.standing.followed[leader]
    slack = field.known[leader].slack + field.known[found.learning_rate].slack
    leading = f"the rate {_number(leader)}"
    sooner = f"which was as good at step {led.steps_to(found.best - slack) * field.unit}"
    share = found.learning_rate / leader
    if share > 1:
        return {
            Challenge.ROUGH: f"goes up as much as down, and {leading} does not",
            Challenge.SLOW: f"is behind {leading}, {sooner}",
            Challenge.SHORT: f"is behind {leading} at equal rate x steps",
        }.get(_challenge(field, leader, found, even_rough=even_rough))
    if is_behind(led, found, pace=BELOW_PACE * share, slack=slack):
        return f"is behind {leading} at equal rate x steps, {sooner}"
    # By gradient flow the lower of two rates that last only ever follows the higher one.
    if led.steps >= found.steps and standing.lasts(leader) and is_behind(led, found, pace=PACE, slack=slack):
        return f"is behind {leading}, {sooner} and is still getting better"
    return None


def _challenge(field: Field, leader: float, found: Followed | None, *, even_rough: bool = False) -> Challenge:
    """How a rate above the leader does against it."""
    rates = [leader] if found is None else [leader, found.learning_rate]
    return field.standing.challenge(
        leader,
        found,
        furthest=field.furthest,
        slack=sum(field.known[rate].slack for rate in rates),
        # Where the leader has noise, too, going up says nothing against a rate.
        even_rough=even_rough
        or field.known[leader].slack > 0
        or field.standing.roughness(field.standing.followed[leader]) > ROUGH,
    )


class _Proposals:
    """What is known of a study, and what it makes worth training next."""

    def __init__(self, task: Task, trained: Sequence[Trained], *, number: int | None = None) -> None:
        self.field = Field(trained, task.most_steps, number=number)
        self._standing = self.field.standing
        self._known = self.field.known
        self._task = task
        self._looks = looks(task)
        self._given = len(trained)
        self._rates = sorted(self._known)

    def begin(self, rate: float, steps: int) -> None:
        """A proposal is taken."""
        self.field.begin(rate, steps)
        self._given += 1
        insort(self._rates, rate)

    def next(self) -> tuple[float, int]:
        """The rate that is most worth training now, and its steps."""
        if self._task.low == self._task.high:
            return self._task.low, self._task.most_steps
        return self._walk() if self._leader is None else self._with(self._leader)

    def _with(self, leader: float) -> tuple[float, int]:
        """Beside the leader, further with it, or around it."""
        led, look = self._known[leader], self._look()
        if led.asked < look and not led.running:
            return leader, look
        rate = self._beside(leader, look)
        if rate is not None:
            return rate, look
        if look < self._task.most_steps and not led.running:
            return leader, next(further for further in self._looks if further > look)
        return self._around(leader, look)

    def _around(self, leader: float, look: int) -> tuple[float, int]:
        earlier = self._earlier(leader)
        if earlier is not None:
            return leader, earlier
        # A leader that lasts needs no luck: exploring waits until it has no neighbours left.
        neighbour = self._neighbour(leader, look) if self._standing.lasts(leader) or self._given % 2 else None
        rate = self._drawn(leader) if neighbour is None else neighbour
        if self._known[leader].asked < look:
            return rate, look
        # The leader is under way, or this is the full length: whoever has nothing to do beside it looks further.
        return rate, next((further for further in self._looks if further > look), look)

    @cached_property
    def _leader(self) -> float | None:
        # What is given out shows nothing yet, so it stays the leader.
        rivals = self.descending()
        return self.leader(rivals) if rivals else None

    def descending(self) -> list[float]:
        """The rates that have got below the start, and have not exploded."""
        standing = self._standing
        return [rate for rate, one in standing.followed.items() if not one.exploded and one.best < standing.start]

    def leader(self, rivals: Sequence[float]) -> float:
        """The best of some rates: by its result, where the full length has been told; else as low as it is, or was.

        Where a descent goes up as much as down, its lowest loss is a stroke of luck. On the way to a target no result
        counts: it may be that of more steps than are left to be sought.
        """
        told = {
            rate: result[1]
            for rate in rivals
            if (result := self._known[rate].told) is not None
            and result[0] >= self._task.most_steps
            and self._task.target is None
        }
        return min(told, key=lambda rate: told[rate]) if told else min(rivals, key=self._worth)

    def _worth(self, rate: float) -> float:
        found = self._standing.followed[rate]
        return found.typical if self._standing.roughness(found) > ROUGH else found.best

    def _look(self) -> int:
        """How far the search looks at present: as far as any rate that has not exploded was to go."""
        alive = [
            one.asked
            for rate, one in self._known.items()
            if one.running or (rate in self._standing.followed and not self._standing.followed[rate].exploded)
        ]
        furthest = max(alive, default=0)
        return next((look for look in self._looks if look >= furthest), self._task.most_steps)

    def _walk(self) -> tuple[float, int]:
        """The next rate of the walk down; when it is at its end, the middle of the widest gap, looked at further."""
        exploded = [rate for rate, one in self._standing.followed.items() if one.exploded]
        rate = min(exploded) / WALK if exploded else self._task.high
        rate = max(rate, self._task.low)
        while self._is_known(rate) and rate > self._task.low:
            rate = max(rate / WALK, self._task.low)
        if not self._is_known(rate):
            return rate, self._looks[0]
        decades = math.ceil(math.log10(self._task.high) - math.log10(self._task.low)) + 1
        return self._widest_gap(), self._looks[min(len(self._known) // (2 * decades), len(self._looks) - 1)]

    def _beside(self, leader: float, look: int) -> float | None:
        """A rate below a leader that does not last, or above one that does; None where both have been looked at."""
        rate = self._above(leader, look) if self._standing.lasts(leader) else None
        if rate is None and not self._surely_lasts(leader):
            rate = self._below(leader, look)
        return rate

    def _above(self, leader: float, look: int) -> float | None:
        """A rate above a leader that lasts, while there is a gap; runs under way divide it."""
        beaten, running = set[float](), set[float]()
        for rate, one in sorted(self._known.items()):
            if rate <= leader:
                continue
            if one.running:
                running.add(rate)
            elif one.asked >= look or _challenge(self.field, leader, self._standing.followed.get(rate)).is_lost:
                beaten.add(rate)
            else:
                return rate
        first = min(beaten, default=math.inf)
        for lower in [leader, *sorted(rate for rate in running if rate < first)]:
            challenger = rate_above(lower, beaten | running, self._task.high)
            if challenger is not None:
                return challenger
        return None

    def _below(self, leader: float, look: int) -> float | None:
        """A rate below a leader that does not last, until the next one is known as far; None where it is."""
        tried = [rate for rate, one in self._known.items() if one.running or one.asked >= look]
        nearest = max((rate for rate in tried if rate < leader / 1.15), default=0.0)
        if leader / BRACKETED <= nearest or leader <= self._task.low:
            return None
        above = min((rate for rate in tried if rate > leader), default=leader)
        # Who has come down by large steps goes on by large ones.
        down = WALK if not self._known[leader].has_curve else min(STEP_DOWN * above / leader, CLIMB)
        rate = max(leader / down, math.sqrt(leader * nearest), self._task.low)
        near = self._standing.near(rate, 1.25, below=leader / 1.15)
        return rate if near is None else near

    def _neighbour(self, best: float, look: int) -> float | None:
        """The next neighbour of the best rate, ever closer."""
        for factor in REFINEMENTS:
            for rate in (best * factor, best / factor):
                # By gradient flow the lower of two rates that last only ever follows the higher one.
                if rate < best and self._surely_lasts(best):
                    continue
                if not self._task.low <= rate <= self._task.high:
                    continue
                close = [one for one in self._known if abs(math.log(one / rate)) < math.log(factor) / 3]
                if not any(self._is_settled(best, one, look) for one in close):
                    return rate
        return None

    def _earlier(self, leader: float) -> int | None:
        """The step at which the leader was best, where it has become worse since and no trial ends about there."""
        found, gained = self._standing.followed[leader], self._standing.gained
        rough = self._standing.roughness(found) > ROUGH
        if rough or self._standing.lasts(leader) or found.typical - found.best <= WORSE * gained:
            return None
        steps = max(found.best_step * self.field.unit, self._task.fewest_steps)
        lengths = self._known[leader].lengths
        return None if any(abs(length - steps) <= 0.1 * steps for length in lengths) else steps

    def _surely_lasts(self, rate: float) -> bool:
        """Whether a rate lasts, and its curve shows that it gets on."""
        if not self._standing.lasts(rate) or not self._known[rate].has_curve:
            return False
        return self._standing.followed[rate].second_half > STALLED * self._standing.gained

    def _is_settled(self, leader: float, rate: float, look: int) -> bool:
        """Whether a rate has been tried as far as the search looks, or is hopeless by what was seen of it."""
        one, found = self._known[rate], self._standing.followed.get(rate)
        if one.running or one.asked >= look or found is None or found.exploded:
            return True
        return found.steps >= JUDGEABLE and _behind(self.field, leader, found) is not None

    def _drawn(self, best: float) -> float:
        """One of the rates that fill the range around the best one evenly, below the first that exploded."""
        exploded = (rate for rate, one in self._standing.followed.items() if one.exploded and rate > best)
        low = max(best / BELOW, self._task.low)
        high = min(best * ABOVE, self._task.high, *exploded)
        for draw in range(self._given, self._given + MOST_IDLE):
            # The golden ratio's multiples fill an interval evenly at every length (Weyl 1916; Ramshaw 1981).
            place = (draw + self._task.seed % 1000) * _GOLDEN % 1.0
            rate = float(min(max(low * (high / low) ** place, low), high))
            if not self._is_known(rate):
                return rate
        return self._widest_gap()

    def _widest_gap(self) -> float:
        """The middle of the widest gap between known rates."""
        rates = sorted({self._task.low, *self._known, self._task.high})
        lower, upper = max(pairwise(rates), key=lambda gap: math.log(gap[1]) - math.log(gap[0]))
        return math.sqrt(lower) * math.sqrt(upper)

    def _is_known(self, rate: float) -> bool:
        return bisect_left(self._rates, rate / SAME) < bisect_right(self._rates, rate * SAME)


def _number(value: float) -> str:
    return f"{value:.4g}"
