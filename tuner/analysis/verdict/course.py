"""The course of a loss that does not diverge: whether it swings, falls, how much is to come, or rests.

The run is cut into sixths by its steps; the last five have levels (medians), whose differences are how fast it falls.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tuner.analysis.verdict.names import Floats, Found, Name
from tuner.analysis.verdict.statistics import median, noise, spread_of

SETTLED = 1e-3
"""Of the whole fall: what ten times the steps may still bring a converged run."""

FAR = 0.09
"""The same: what they bring a run that is too slow, at least."""

SWINGS = 0.01
"""Of the whole fall: how far the losses of an oscillating run lie apart, at least."""

STUCK = 0.1
"""Of the whole fall: how far above its own lowest level a run stays that is on a plateau."""

THROWN = 0.1
"""Of all that a run went through, from its lowest to its highest level: how far above its start it lies, at least, when
it was thrown there."""

ROUNDING = 1e-9
"""Of the largest loss: what is no fall at all."""

GOING_ON = 10
"""To come is what a run would bring that goes on to so many times its steps."""

STEEPEST = 4.0
"""How fast τ may grow with the steps (see `_to_come`): the slower a loss falls, the less its curve tells of that."""

CLEAR = 3.0
"""Standard errors by which a loss falls or rises, at least, where it is said to."""

MANY = 20
"""Points of noise from which on it is told that nothing moves."""

_SIXTHS = np.arange(1, 6) / 6


def _by_share() -> tuple[Floats, Floats]:
    """What is to come, by the share of its fall that a loss makes between the middles of the fourth and last sixth.

    Of e^(-k·t) and of 1 / (1 + k·t), 0 ≤ t ≤ 1, their geometric mean: noise hides which of them a loss follows.
    """
    k = np.geomspace(1e3, 1e-3, 400)
    shares = np.linspace(0.0, 0.36, 121)
    logarithms = []
    for middle, last, end, late in (
        [np.exp(-k * t) for t in (7 / 12, 11 / 12, 1, GOING_ON)],
        [1 / (1 + k * t) for t in (7 / 12, 11 / 12, 1, GOING_ON)],
    ):
        to_come = (end - late) / (1 - late)
        logarithms.append(np.interp(shares, (middle - last) / (1 - last), np.log(np.maximum(to_come, 1e-12))))
    return shares, np.exp((logarithms[0] + logarithms[1]) / 2)


_BY_SHARE = _by_share()


def course(at: Floats, values: Floats, *, stochastic: bool | None) -> Found:
    """What six finite losses or more, which do not diverge, come to."""
    # Means of neighbours: a loss that jumps to and fro has no other middle.
    middles = (values[1:] + values[:-1]) / 2
    edges = _sixths(at[:-1])
    levels = [median(middles[first:last]) for first, last in pairwise(edges)]
    tail = values[edges[2] :]
    moves = np.diff(tail)
    # Points that all go one way are no noise, however few and crooked.
    spread = 0.0 if (moves <= 0).all() else noise(tail)
    error = 2.4 * spread / math.sqrt(tail.size)
    falls = levels[2] - levels[4]
    start, first = float(values[0]), median(values[: edges[0] + 1])
    fall = max(start, first) - levels[4]
    nothing = ROUNDING * float(np.abs(values).max())
    moved = fall > 3 * spread and fall > nothing
    evidence = {"noise": spread / fall} if moved else {}
    # What a run is thrown above its start it falls from again: no sign that it gets on.
    heights = (start, first, *levels)
    thrown = max(THROWN * (max(heights) - min(heights)), nothing, 0.0 if stochastic is False else CLEAR * spread)
    if moved and first - start > thrown:
        evidence["thrown"] = (first - start) / fall
    if spread > 0 and _swings(tail, moves, falls, max(fall, 0.0), stochastic=stochastic):
        return Name.OSCILLATING, evidence | {"swing": spread_of(tail, 0.9) / fall if moved else math.nan}
    if fall > 0 and falls < 5 * error:
        falls = _trend(at, values, edges, spread, falls)
    falling, to_come = fall > 0 and falls > CLEAR * error, 0.0
    if falling:
        to_come = _to_come(levels, falls, fall, error)
        if to_come <= SETTLED and tail.size >= 12:
            to_come = max(to_come, _to_come_late(middles[edges[2] :], falls, fall, error))
        if values.min() >= 0:
            # A loss that has never been negative is taken not to become so.
            to_come = min(to_come, levels[4] / (fall + levels[4]))
        evidence |= {"to_come": to_come, "fell_in_last_third": falls / fall}
    stays = levels[4] - fall * to_come / (1 - min(to_come, 0.99)) - start
    if stays > thrown:
        return Name.PLATEAUED, evidence | {"above_start": stays / (max(heights) - min(heights))}
    if falling:
        if to_come > SETTLED or levels[3] - levels[4] > 2 * SETTLED * fall:
            return (Name.TOO_SLOW if to_come > FAR else Name.IMPROVING), evidence
    elif not moved:
        return (Name.TOO_SHORT if values.size < MANY and np.ptp(values) > 0 else Name.PLATEAUED), evidence
    else:
        above = max(0.0, levels[4] - min(levels) - CLEAR * error) / fall
        if above > STUCK:
            return Name.PLATEAUED, evidence | {"above_lowest": above}
    within = values <= levels[4] + 0.01 * fall
    return Name.CONVERGED, evidence | {"settled_at": float(at[within.argmax()]) if within.any() else math.nan}


def _sixths(at: Floats) -> list[int]:
    """Where the second to the last sixth of the steps begin, and the end; of the points, where a sixth holds none."""
    count = at.size
    edges: list[int] = np.searchsorted(at, at[0] + (at[-1] - at[0]) * _SIXTHS).tolist()
    if not 0 < edges[0] < edges[1] < edges[2] < edges[3] < edges[4] < count:
        edges = [part * count // 6 for part in range(1, 6)] if count > 5 else list(range(5))
    return [*edges, count]


def _trend(at: Floats, values: Floats, edges: Sequence[int], spread: float, falls: float) -> float:
    """How much noisy losses fall in a third of all steps, by lines through their second half and their last two thirds.

    Lines see less of a fall than medians need. Points that lie far out count as if they lay nearer. Where the two lines
    tell the same, the longer one, of the smaller error, counts.
    """
    reach = 3 * spread + abs(falls)
    third = float(at[-1] - at[0]) / 3

    def line(first: int) -> float:
        part = values[first:]
        kept = np.clip(part - median(part), -reach, reach)
        around = at[first:] - at[first:].mean()
        return -float(around @ kept) / float(around @ around) * third

    late = line(edges[2])
    return max(late, line(edges[1])) if late > spread * math.sqrt(12 / (values.size - edges[2])) else late


def _to_come(levels: Sequence[float], falls: float, fall: float, error: float, *, sixth: float = 1.0) -> float:
    """What ten times the steps would still bring, as a share of the whole fall by then: 0 … 1.

    The speed of a fall, v, mostly decays as v' = -v / τ, where τ itself grows with time: in proportion for powers of
    the steps, not at all for exponentials. So two values of τ say how it goes on. Time is in the levels' distances,
    ``sixth`` of a sixth of the run.
    """
    speeds = [one - other for one, other in pairwise(levels)]
    if min(speeds) <= 5 * error:
        # Too noisy for that. The last third's share of the fall tells nearly as much.
        return float(np.interp(falls / fall, *_BY_SHARE))
    early, late = (math.log(speeds[place] / speeds[place + 2]) / 2 for place in (0, 1))
    span = 6.0 * (GOING_ON - 1) / sixth
    if late <= 1 / span:
        rest = speeds[3] * span  # it has not slowed down yet
    elif early <= late:
        rest = speeds[3] * math.exp(-late) / late
    else:
        slope = min(1 / late - 1 / early, STEEPEST)
        # Of v = (τ / τ₀)^(-1/slope), the integral; 1 is a logarithm, and near enough to 1.001.
        slope = 1.001 if abs(slope - 1) < 1e-3 else max(slope, 1e-3)
        now = 1 / late + 2 * slope
        speed = speeds[3] * (now / (now - slope)) ** (-1 / slope)
        rest = speed * now / (1 - slope) * (1 - (1 + slope * span / now) ** (1 - 1 / slope))
    return rest / (fall + rest)


def _to_come_late(tail: Floats, falls: float, fall: float, error: float) -> float:
    """The same by the second half alone: a fast fall hides that a slow one goes on, and is over first."""
    late = [median(part) for part in np.array_split(tail, 6)[1:]]
    if min(one - other for one, other in pairwise(late)) <= 5 * error:
        return 0.0
    return _to_come(late, falls, fall, error, sixth=0.5)


def _swings(tail: Floats, moves: Floats, falls: float, fall: float, *, stochastic: bool | None) -> bool:
    """Whether the losses swing about their course by more than they get on, and it is not mini-batches that do it."""
    if tail.size < 8 or stochastic:
        return False
    line = np.linspace(falls, 0.0, tail.size)
    if spread_of(tail - line, 0.8) <= max(SWINGS * fall, 2 * abs(falls)):
        return False
    turns = float(np.mean(moves[1:] * moves[:-1] < 0))
    if turns < 0.02:
        return False
    if stochastic is False:
        return True
    # Successive moves of white noise have a correlation of -1/2, of losses that overshoot every time -1, of waves > 0.
    limit = 3 * median(np.abs(moves))
    moves = np.clip(moves, -limit, limit)
    power = float(moves @ moves)
    correlation = float(moves[1:] @ moves[:-1]) / power if power else 0.0
    return correlation < -0.8 or correlation > 0.2
