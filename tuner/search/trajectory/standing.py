"""How the rates of a search stand against each other: who lasts, who leads, who is beaten, where to look above.

These are the judgements of the planner, apart from the order in which it makes them: a plan that follows rates itself
and the proposals for rates that clients train are made of the same.
"""

import math
from collections.abc import Collection, Iterable
from enum import Enum

from tuner.search.trajectory.followed import Followed

CEILING = 30.0
"""A descent is over once its loss is above the start's by so many times what the search has gained."""

ROUGH = 0.45
"""The roughness from which on a descent does not last."""

LASTING = 0.5
"""A descent that lasts has its best loss in what is beyond this share of its steps."""

CLIMB = 4.0
"""How far above the leader the first challenger is."""

SPACING = 1.5
"""A gap above the leader is looked into while it is wider than this."""

JUDGEABLE = 8
"""Steps before which only an explosion says anything about a rate."""

ENOUGH = 1.1
"""A challenger has lost where it is not as low as the leader after so many times the leader's rate x steps."""

PACE = 0.65
"""A challenger is cut where the leader needed less than this share of its steps to get as low."""


class Challenge(Enum):
    """What a challenger above the leader has come to."""

    OPEN = "not decided yet"
    WON = "as low as the leader"
    EXPLODED = "exploded"
    ROUGH = "goes up as much as down"
    SLOW = "behind the leader at fewer steps"
    SHORT = "not as low as the leader after as much rate x steps"

    @property
    def is_lost(self) -> bool:
        """Whether the leader stays the leader."""
        return self not in {Challenge.OPEN, Challenge.WON}


class Standing:
    """The rates that are known, each as far as it was followed.

    followed: by rate. start: the loss at x_0; NaN before anything is known. best: the lowest loss of all at a step
    count that is an answer. lowest: at any step.
    """

    def __init__(self) -> None:
        self.followed: dict[float, Followed] = {}
        self.start = math.nan
        self.best = math.inf
        self.lowest = math.inf

    def note(self, found: Followed) -> None:
        """What is now known of a rate."""
        self.followed[found.learning_rate] = found
        self.start = found.start
        self.best = min(self.best, found.best)
        self.lowest = min(self.lowest, found.lowest)

    @property
    def gained(self) -> float:
        """How far below the start the search has come."""
        return max(self.start - self.lowest, 0.0) if self.followed else 0.0

    @property
    def ceiling(self) -> float:
        """The loss above which a descent is over."""
        return self.start + CEILING * self.gained if self.gained > 0 else math.inf

    def roughness(self, found: Followed) -> float:
        """How much of its movement went up, beside what the search has gained."""
        return found.roughness(self.gained)

    def lasts(self, rate: float) -> bool:
        """Whether a rate is still on its way down where it stands."""
        found = self.followed.get(rate)
        if found is None or found.exploded:
            return False
        return self.roughness(found) <= ROUGH and found.best_step >= LASTING * found.steps

    def best_rate(self) -> float:
        """The rate of the best answer; of the lowest loss where there is none yet."""
        return min(self.followed, key=self._worth)

    def better(self, leader: float) -> float:
        """The rate with the lowest loss, where it is not a stroke of luck; else the leader."""
        alive = [rate for rate, found in self.followed.items() if not found.exploded]
        best = min(alive, key=self._worth, default=leader)
        luck = self.followed[best].typical >= self.followed[leader].typical
        return leader if luck or self._worth(best) >= self._worth(leader) else best

    def _worth(self, rate: float) -> tuple[float, float]:
        found = self.followed[rate]
        return found.best, found.lowest

    def enough(self, leader: float, rate: float) -> int:
        """Steps in which a challenger makes the leader's rate x steps, and a little more."""
        return max(4, math.ceil(ENOUGH * self.followed[leader].steps * leader / rate))

    def challenge(
        self,
        leader: float,
        found: Followed | None,
        *,
        furthest: int,
        slack: float = 0.0,
        even_rough: bool = False,
    ) -> Challenge:
        """How a rate above the leader does against it.

        Args:
            leader: its rate.
            found: the challenger, as far as it was followed; None where the objective fails at it.
            furthest: steps beyond which nobody is followed.
            slack: how much lower the challenger may be than it was seen to be.
            even_rough: whether its roughness says nothing against it.
        """
        led = self.followed[leader]
        if found is None or found.exploded:
            return Challenge.EXPLODED
        judged = found.steps >= JUDGEABLE
        if judged and not even_rough and self.roughness(found) > ROUGH:
            return Challenge.ROUGH
        if found.lowest - slack <= led.lowest:
            return Challenge.WON
        if found.steps >= min(self.enough(leader, found.learning_rate), furthest):
            return Challenge.SHORT
        if judged and is_behind(led, found, pace=PACE, slack=slack):
            return Challenge.SLOW
        return Challenge.OPEN

    def near(
        self,
        rate: float,
        factor: float,
        *,
        above: float = 0.0,
        below: float = math.inf,
        but: Iterable[float] = (),
    ) -> float | None:
        """The followed rate nearest to this one, within a factor and between the two, that has not exploded."""
        close = [
            known
            for known, found in self.followed.items()
            if above < known < below
            and known not in but
            and not found.exploded
            and abs(math.log(known / rate)) < math.log(factor)
        ]
        return min(close, key=lambda known: abs(math.log(known / rate)), default=None)


def is_behind(led: Followed, found: Followed, *, pace: float, slack: float = 0.0) -> bool:
    """Whether a rate needed more than 1 / pace times the leader's steps to get as low as it is."""
    return led.steps_to(found.lowest - slack) < min(pace * found.steps, led.steps + 1)


def rate_above(leader: float, beaten: Collection[float], highest: float) -> float | None:
    """Where to look above the leader; None where it is bracketed closely enough, or the highest rate itself."""
    if leader >= highest:
        return None
    above = min((rate for rate in beaten if rate > leader), default=None)
    if above is None:
        return min(leader * CLIMB, highest)
    if above / leader <= SPACING:
        return None
    # The product of two tiny rates is 0.
    middle = math.sqrt(leader * above) or math.sqrt(leader) * math.sqrt(above)
    return min(middle, leader * CLIMB)
