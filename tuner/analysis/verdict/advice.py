"""What to do about a verdict, in plain words, from its evidence alone."""

import math
from collections.abc import Callable, Mapping

from tuner.analysis.verdict.names import Name

Evidence = Mapping[str, float]

GOOD_ENOUGH = 0.01
"""Of a whole fall: what may be left where a rate is called fast enough for its steps."""

MOST = 100.0
"""How many times as fast a run is advised to be, at most: farther than that nobody sees from one curve."""


def times(factor: float) -> str:
    """A factor as people read it: of one beyond sense, only that it is."""
    if factor > 1e6:
        return "more than a million times"
    return "more than a thousand times" if factor > 1000 else f"{factor:.3g}×"


def advise(name: Name, evidence: Evidence) -> str:
    """One or two sentences."""
    return _ADVICE[name](evidence)


def _diverged(evidence: Evidence) -> str:
    since, left_at = evidence["since_step"], evidence.get("left_finite_numbers_at")
    growth = evidence.get("growth_per_step")
    if growth is None:
        course = f"Diverged: the loss left the finite numbers at step {_count(since)}."
    else:
        course = f"Diverging since step {_count(since)}: each step lands {times(math.sqrt(growth))} farther out"
        course += "." if left_at is None else f", until the loss left the finite numbers at step {_count(left_at)}."
    rate, limit = evidence.get("learning_rate"), evidence.get("limit")
    if rate is not None and limit is not None and rate > limit:
        return f"{course} The rate {rate:.3g} is above the stability limit ≈ {limit:.3g}; try {limit / 2:.2g}."
    return f"{course} Try half this rate{_rate(evidence, 0.5)} or less."


def _oscillating(evidence: Evidence) -> str:
    swing = evidence.get("swing")
    size = "" if swing is None else f" by {_percent(swing)} of the whole fall"
    return (
        f"The loss jumps about{size} and gets no lower: the steps overshoot. "
        f"Try a third of this rate{_rate(evidence, 1 / 3)}."
    )


def _too_slow(evidence: Evidence) -> str:
    to_come = evidence["to_come"]
    course = (
        f"Falling, and nowhere near its end: ten times the steps would still bring {_percent(to_come)} of the fall."
    )
    # Of an exponential fall, how many times as many steps leave a hundredth.
    faster = min(MOST, math.log(GOOD_ENOUGH) / math.log(min(to_come, 0.95)))
    rate, limit = evidence.get("learning_rate"), evidence.get("limit")
    if rate is not None and limit is not None:
        if rate >= limit / 2:
            return f"{course} The rate is close to its limit ≈ {limit:.3g}: run about {faster:.2g}× as many steps."
        faster = min(faster, limit / 2 / rate)
    if "thrown" in evidence:
        return (
            f"{course} Its first steps threw it above its start, and a higher rate would throw it farther: "
            f"run about {faster:.2g}× as many steps."
        )
    return f"{course} Try a rate {faster:.2g}× as high{_rate(evidence, faster)}, or more steps."


def _improving(evidence: Evidence) -> str:
    to_come = _percent(evidence["to_come"])
    return f"Still falling: ten times the steps would bring another {to_come} of the fall. Run it longer."


def _converged(evidence: Evidence) -> str:
    reached, noise = evidence.get("settled_at"), evidence.get("noise", 0.0)
    course = "Settled: ten times the steps would bring less than a thousandth of the fall."
    if noise > GOOD_ENOUGH:
        course = "Settled, as far as its noise lets see."
    if reached is not None:
        course += f" It came within a hundredth of its end by step {_count(reached)}."
    if noise > GOOD_ENOUGH:
        course += (
            f" Noise of {_percent(noise)} of the fall hides the rest; a smaller rate or larger batches may get lower."
        )
    return course


def _plateaued(evidence: Evidence) -> str:
    if "above_start" in evidence:
        return (
            "Its first steps threw it above its start, and it does not come back: the rate is too large. "
            f"Try a third of this rate{_rate(evidence, 1 / 3)} or less."
        )
    above = evidence.get("above_lowest")
    if above is None:
        return (
            "It does not move, beyond its noise: this rate is far too small or far too large, or there is no gradient. "
            "Try rates ten times apart."
        )
    return (
        f"It falls no more, and stays {_percent(above)} of its fall above where it had been. "
        f"Try a third of this rate{_rate(evidence, 1 / 3)}."
    )


def _overfitting(evidence: Evidence) -> str:
    rise = evidence.get("validation_rise")
    size = "" if rise is None else f" by {_percent(rise)} of its fall"
    best = _count(evidence["best_step"])
    return f"The validation loss was lowest at step {best} and has risen{size} since: stop near step {best}."


def _too_short(evidence: Evidence) -> str:
    points = int(evidence["points"])
    return f"{points} point{'' if points == 1 else 's'} {'says' if points == 1 else 'say'} nothing yet: run more steps."


_ADVICE: Mapping[Name, Callable[[Evidence], str]] = {
    Name.DIVERGED: _diverged,
    Name.OSCILLATING: _oscillating,
    Name.TOO_SLOW: _too_slow,
    Name.CONVERGED: _converged,
    Name.PLATEAUED: _plateaued,
    Name.IMPROVING: _improving,
    Name.OVERFITTING: _overfitting,
    Name.TOO_SHORT: _too_short,
}


def _rate(evidence: Evidence, times: float) -> str:
    """In brackets, so many times the run's rate, where it is known."""
    rate = evidence.get("learning_rate")
    return "" if rate is None else f" ({times * rate:.2g})"


def _count(step: float) -> str:
    return f"{step:.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
