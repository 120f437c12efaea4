"""Loss curves with names that were found without looking at them as the judge does: what verdicts are measured against.

A judge sees losses up to step n. The truth comes from what it can't see: the run gone on with for ten times as long,
the same start with a quarter of the rate, the full loss under mini-batch losses, the noiseless curve under the noise.
Each run gives one curve. A run whose truth lies between two names, by the margins below, has no name and is left out:
so is asked whether clear cases are told apart, not where the line is.

Half is there to work on, half is held out: other objectives, settings and seeds.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tuner import objectives
from tuner.analysis.verdict import Name
from tuner.descent import RULES, Curve, Descent, Row
from tuner.objectives import Array, Objective
from tuner.trial import Outcome

Floats = NDArray[np.float64]
Half = Literal["worked on", "held out"]

GONE_ON = 10
"""How many times as long a run is gone on with."""

MEMORY = 30
"""Steps of the shortest run of a rule with momentum or running means: before, it shows nothing of how it goes on."""

LONGEST = 1000
"""Steps of the longest run of any rule but plain gradient descent."""

SETTLED, FALLING = 5e-4, 2e-3
"""Of the whole fall, what ten times the steps would still bring: at most to a settled run, at least to one that is
still improving."""

STILL_NEAR, FAR = 0.06, 0.15
"""The same, at most to a run that is improving, at least to one that is too slow."""

JUMPS = 0.02
"""Of the whole fall: how far the losses of an oscillating run lie apart in the end, at least, and how much lower a
quarter of the rate gets."""


BLUR = 20
"""How many times as wide the lower margins are for mini-batches: their last losses are known no better."""

NOT_RISEN, RISEN = 0.01, 0.06
"""Of the fall of the held-out loss: its rise above its lowest, at most where it has not turned, else at least."""


@dataclass(frozen=True)
class Labelled:
    """A curve and its name.

    family: what made it. losses (n,) at steps (n,). validation: as `judge` takes it. stochastic: what the judge is
    told. converging: the run comes to rest below its start, sooner or later; it may never be called diverged.
    """

    name: Name
    family: str
    half: Half
    losses: Floats
    steps: NDArray[np.int64]
    validation: tuple[NDArray[np.int64], Floats] | None
    learning_rate: float | None
    stochastic: bool | None
    converging: bool


@dataclass(frozen=True)
class Problem:
    """An objective to descend, and the rates at which that is interesting."""

    half: Half
    objective: str
    settings: Mapping[str, Any]
    low: float
    high: float
    longest: int
    rows: int = 24
    batch_size: int | None = None

    def make(self) -> Objective:
        return objectives.create(self.objective, objectives.resolve_settings(self.objective, dict(self.settings)))

    @property
    def seed(self) -> int:
        return zlib.crc32(repr((self.objective, sorted(self.settings.items()))).encode())


DETERMINISTIC = (
    Problem("worked on", "line_fit", {"seed": 5}, 1e-4, 3.0, 5000),
    Problem("worked on", "quadratic", {"dimension": 20, "condition_number": 100.0}, 1e-4, 10.0, 1000),
    Problem("worked on", "quadratic", {"dimension": 3, "condition_number": 10.0, "seed": 4}, 1e-4, 10.0, 300),
    Problem("worked on", "rosenbrock", {}, 1e-6, 3e-2, 1000),
    Problem("worked on", "logistic_regression", {"regularisation": 0.01}, 1e-3, 1e3, 300),
    Problem("worked on", "network", {"hidden": 8}, 1e-3, 1e2, 300),
    Problem("held out", "line_fit", {"seed": 11}, 1e-4, 3.0, 1000),
    Problem("held out", "quadratic", {"dimension": 8, "condition_number": 1000.0, "seed": 7}, 1e-4, 10.0, 1000),
    Problem(
        "held out",
        "quadratic",
        {"dimension": 2, "condition_number": 3.0, "seed": 9, "curvature_scale": 50.0},
        1e-5,
        0.2,
        5000,
    ),
    Problem("held out", "beale", {}, 1e-6, 1.0, 1000),
    Problem("held out", "linear_regression", {"seed": 3}, 1e-4, 3.0, 300),
    Problem("held out", "network", {"hidden": 12, "loss": "squared", "seed": 2}, 1e-4, 1e1, 300),
)

STOCHASTIC = (
    Problem("worked on", "linear_regression", {"seed": 1}, 1e-4, 1.0, 600, 20, 16),
    Problem("worked on", "logistic_regression", {"seed": 1, "regularisation": 0.01}, 1e-3, 30.0, 600, 20, 32),
    Problem("worked on", "network", {"hidden": 6, "seed": 1}, 1e-3, 10.0, 400, 16, 32),
    Problem("held out", "linear_regression", {"seed": 5}, 1e-4, 1.0, 600, 20, 32),
    Problem("held out", "logistic_regression", {"seed": 6}, 1e-3, 30.0, 600, 20, 64),
    Problem("held out", "network", {"hidden": 10, "seed": 8, "loss": "squared"}, 1e-3, 3.0, 400, 16, 16),
)

# Rules that divide by the size of the gradient move by about the rate itself, whatever the curvature.
_OWN_SCALE = {"rmsprop": (1e-4, 3.0), "adam": (1e-4, 3.0)}


def everything(half: Half) -> Iterator[Labelled]:
    """All labelled curves of one half, in a fixed order."""
    with np.errstate(all="ignore"):
        for problem in DETERMINISTIC:
            if problem.half == half:
                for rule in RULES:
                    yield from deterministic(problem, rule)
        for problem in STOCHASTIC:
            if problem.half == half:
                for rule in RULES:
                    yield from stochastic(problem, rule)
        yield from synthetic(half, {"worked on": 1, "held out": 2}[half])


def _draw(
    problem: Problem, rule: str, salt: int, shortest: int
) -> tuple[np.random.Generator, Floats, NDArray[np.int64]]:
    """Rates from creeping to exploding, and a length for each."""
    rng = np.random.default_rng((problem.seed, zlib.crc32(rule.encode()), salt))
    low, high = _OWN_SCALE.get(rule, (problem.low, problem.high))
    rates = np.exp(rng.uniform(np.log(low), np.log(high), problem.rows))
    longest = problem.longest if rule == "gradient_descent" else min(problem.longest, LONGEST)
    lengths = np.exp(rng.uniform(np.log(shortest), np.log(longest), problem.rows)).astype(np.int64)
    lengths[0] = longest
    return rng, rates, lengths


def deterministic(problem: Problem, rule: str) -> Iterator[Labelled]:
    """Runs by the full gradient, with the loss on held-out data where the objective has it."""
    rng, rates, lengths = _draw(problem, rule, 0, 10 if rule == "gradient_descent" else MEMORY)
    made = problem.make()
    rows = [Row(float(rate), int(length) * GONE_ON) for rate, length in zip(rates, lengths, strict=True)]
    slower = [Row(float(rate) / 4, int(length)) for rate, length in zip(rates, lengths, strict=True)]
    seed = 0 if problem.objective == "line_fit" else int(rng.integers(5))
    runs = Descent(made, rows + slower, update_rule=rule, initial_seed=seed)
    runs.advance()
    for place, length in enumerate(lengths.tolist()):
        run = runs.result(place)
        whole, quarter = run.loss.values, runs.result(len(rows) + place).loss.values
        if run.outcome == Outcome.LEFT_FINITE_NUMBERS:
            name, converging = _leaving(whole, length, quarter), False
        else:
            name, converging = _staying(whole, length, quarter)
        validation = None
        if run.validation is not None and name is not None and name is not Name.DIVERGED:
            name = _turning(run.validation, length, name)
            seen = run.validation.steps <= length
            validation = run.validation.steps[seen], run.validation.values[seen]
        if name is None:
            continue
        losses = whole[: length + 1]
        yield Labelled(
            name=name,
            family=f"{problem.objective}, {rule}",
            half=problem.half,
            losses=losses,
            steps=np.arange(len(losses)),
            validation=validation,
            learning_rate=float(rates[place]),
            stochastic=False if place % 2 else None,
            converging=converging,
        )


def _leaving(whole: Floats, length: int, quarter: Floats) -> Name | None:
    """A run that leaves the finite numbers: it has, or by then is ten times as far out as it began."""
    seen = whole[: length + 1]
    best = min(seen[np.isfinite(seen)].min(), np.nanmin(quarter))
    gone = not np.isfinite(seen[-1]) or seen[-1] - best > 100 * (seen[0] - best)
    return Name.DIVERGED if gone else None


def _staying(whole: Floats, length: int, quarter: Floats) -> tuple[Name | None, bool]:
    """A run that stays within the finite numbers, by how it goes on; and whether it comes to rest below its start."""
    seen = whole[: length + 1]
    late, last = whole[-max(2, length) :], seen[-max(4, len(seen) // 4) :]
    fall = seen[0] - min(late.min(), seen.min())
    if fall <= 0:
        return None, False
    spread = np.ptp(late) / fall
    converging = bool(late.max() < seen[0] and spread < SETTLED)
    upward = np.mean(np.diff(last) > 0)
    if spread > JUMPS:
        swings = np.ptp(last[len(last) // 2 :]) / fall
        lower, to_come = (np.median(last) - np.array([quarter.min(), np.median(late)])) / fall
        turns = np.mean(np.diff(last)[1:] * np.diff(last)[:-1] < 0)
        restless = min(swings, lower) > JUMPS > to_come and turns > 0.1 and len(seen) > 20
        name = Name.OSCILLATING if restless else None
    elif np.ptp(last) / fall > FALLING and upward > 0.1:
        name = None  # it swings into rest
    else:
        name = _by_what_is_to_come((seen[-1] - np.median(late)) / fall, flat=np.ptp(last) / fall < FALLING)
    return name, converging


def _by_what_is_to_come(to_come: float, *, flat: bool, blur: float = 1.0) -> Name | None:
    """The name of a falling or settled run, by what ten times the steps bring it."""
    if to_come < blur * SETTLED:
        return Name.CONVERGED if flat else None
    if blur * FALLING < to_come < STILL_NEAR:
        return Name.IMPROVING
    return Name.TOO_SLOW if to_come > FAR else None


def _turning(validation: Curve, length: int, otherwise: Name) -> Name | None:
    """Whether the held-out loss has turned by ``length``: it was lowest of the whole run, and has risen since."""
    best = int(validation.values.argmin())
    now = float(validation.values[validation.steps <= length][-1])
    seen_best = float(validation.values[validation.steps <= length].min())
    fall = max(float(validation.values[0] - validation.values[best]), 1e-12)
    if now - seen_best < NOT_RISEN * fall:
        return otherwise
    turned = validation.steps[best] < 0.7 * length and now - validation.values[best] > RISEN * fall
    return Name.OVERFITTING if turned else None


class FullLoss:
    """A sampled objective that measures the loss over all its data where others measure held-out data."""

    def __init__(self, inner: Any) -> None:
        self.dimension: int = inner.dimension
        self.initial_parameters = inner.initial_parameters
        self.value_and_gradient = inner.value_and_gradient
        self.sample_value_and_gradient = inner.sample_value_and_gradient

    def validation_value(self, parameters: Array) -> Array:
        values: Array = self.value_and_gradient(parameters)[0]
        return values


def stochastic(problem: Problem, rule: str) -> Iterator[Labelled]:
    """Runs by mini-batches: the judge sees their losses, the truth is in the full loss."""
    rng, rates, lengths = _draw(problem, rule, 1, 100)
    seed = int(rng.integers(5))
    rows = [Row(float(rate), int(length) * GONE_ON) for rate, length in zip(rates, lengths, strict=True)]
    made = FullLoss(problem.make())
    runs = Descent(made, rows, update_rule=rule, batch_size=problem.batch_size, initial_seed=seed, seed=seed)
    runs.advance()
    for row, length in enumerate(lengths.tolist()):
        run, full = runs.result(row), runs.validation_curve(row)
        losses = run.loss.values[: length + 1]
        if run.outcome == Outcome.LEFT_FINITE_NUMBERS:
            gone = not np.isfinite(losses[-1]) or losses[-1] > 100 * losses[0]
            name = Name.DIVERGED if gone else None
        else:
            name = _under_noise(losses, full, length)
        if name is not None:
            yield Labelled(
                name=name,
                family=f"{problem.objective}, {rule}, mini-batches",
                half=problem.half,
                losses=losses,
                steps=np.arange(len(losses)),
                validation=None,
                learning_rate=float(rates[row]),
                stochastic=True if row % 2 else None,
                converging=bool(full.values[-1] < full.values[0]),
            )


def _under_noise(losses: Floats, full: Curve, length: int) -> Name | None:
    """The name of mini-batch losses up to ``length``, by the full loss of the run as it goes on."""

    def level(first: float, last: float) -> float:
        within = (full.steps >= first * length) & (full.steps <= last * length)
        return float(np.median(full.values[within]))

    last, before, late = level(0.85, 1.0), level(0.55, 0.7), level(0.85 * GONE_ON, GONE_ON)
    fall = float(full.values[0]) - min(late, last)
    if not np.isfinite(full.values).all() or fall <= 0:
        return None
    to_come, falls = (last - late) / fall, (before - last) / fall
    # What nobody could see in these losses, whose noise a mean over a third of them would still carry.
    noise = np.std(np.diff(losses[length // 2 :])) / np.sqrt(2) / np.sqrt(length / 3) / fall
    name = _by_what_is_to_come(to_come, flat=abs(falls) < BLUR * SETTLED, blur=BLUR)
    hidden = name in {Name.TOO_SLOW, Name.IMPROVING} and falls < 0.02 + 4 * noise
    return None if hidden or noise > 0.03 else name


def synthetic(half: Half, seed: int) -> Iterator[Labelled]:
    """Curves by formula, whose noiseless course is known."""
    rng = np.random.default_rng(seed)
    for number in range(10):
        for family, name, losses, validation in _formulas(rng):
            scale, shift = float(np.exp(rng.normal(0, 3))), float(rng.normal(0, 10)) if number % 2 else 0.0
            gaps = np.cumsum(rng.integers(1, 4, len(losses))) if number % 3 == 0 else np.arange(len(losses))
            pair = None if validation is None else (gaps, scale * validation + shift)
            yield Labelled(
                name=name,
                family=family,
                half=half,
                losses=scale * losses + shift * scale,
                steps=gaps,
                validation=pair,
                learning_rate=None,
                stochastic=None,
                converging=name not in {Name.DIVERGED, Name.TOO_SHORT},
            )


def _formulas(rng: np.random.Generator) -> Iterator[tuple[str, Name, Floats, Floats | None]]:
    n = int(np.exp(rng.uniform(np.log(150), np.log(5000))))
    t = np.linspace(0, 1, n)
    noise = rng.normal(0, 1, n)
    decay = np.exp(-t * rng.uniform(20, 60))
    yield "settles, a little noise", Name.CONVERGED, decay + 0.003 * noise, None
    yield "settles, negative losses", Name.CONVERGED, decay - 3.0, None
    holes = decay + 0.002 * noise
    holes[rng.integers(1, n - 1, 5)] = np.nan
    holes[n // 3] = np.inf
    yield "settles, NaN inside", Name.CONVERGED, holes, None
    yield "line, noise", Name.TOO_SLOW, -0.5 * t + 0.04 * noise, None
    yield "early exponential", Name.TOO_SLOW, np.exp(-rng.uniform(0.1, 0.9) * t) + 0.001 * noise, None
    yield "late exponential, noise", Name.IMPROVING, np.exp(-rng.uniform(3.2, 4.0) * t) + 0.003 * noise, None
    yield "late exponential", Name.IMPROVING, np.exp(-rng.uniform(3.2, 5.5) * t), None
    yield "noise alone", Name.PLATEAUED, noise.copy(), None
    yield "settles into noise, heavy tails", Name.CONVERGED, decay + 0.15 * rng.standard_t(3, n), None
    yield "constant", Name.PLATEAUED, np.full(n, rng.normal()), None
    stuck = 1 - 0.01 * (1 - np.exp(-t * 30)) + 0.01 * noise
    yield "never moves, noise", Name.PLATEAUED, stuck, None
    back = decay + rng.uniform(0.3, 0.6) / (1 + np.exp(-60 * (t - 0.4)))
    yield "comes back up and stays", Name.PLATEAUED, back + 0.01 * noise, None
    short = int(rng.integers(1, 5))
    yield "a few points", Name.TOO_SHORT, decay[:short] + 0.1 * noise[:short], None
    few = int(rng.integers(6, 12))
    yield "a few points of noise", Name.TOO_SHORT, noise[:few].copy(), None
    growth = np.minimum(rng.uniform(1.05, 2.0) ** np.arange(int(rng.integers(150, 400))), 1e300)
    yield "grows", Name.DIVERGED, growth, None
    turn = int(rng.integers(50, 100))
    steps = np.arange(n)
    rate = rng.uniform(1.1, 1.5)
    turning = np.exp(-steps / 10) + np.exp(np.minimum((steps - turn) * np.log(rate), 600)) * 1e-2
    yield "falls, then grows", Name.DIVERGED, turning[: turn + 150], None
    ended = decay.copy()
    ended[int(n * 0.8) :] = np.nan
    yield "ends in NaN", Name.DIVERGED, ended, None
    yield "unbounded below", Name.DIVERGED, np.append(-np.exp(np.arange(100.0)), -np.inf), None
    flip = 1.0 - 2.0 * (np.arange(n) % 2)
    yield "alternates", Name.OSCILLATING, decay + rng.uniform(0.1, 0.5) * (flip + 0.1 * noise), None
    period = rng.uniform(8, 20)
    waves = decay + 0.3 * np.sin(2 * np.pi * np.arange(n) / period)
    yield "waves", Name.OSCILLATING, waves, None
    # Validation: the lowest place of the noiseless curve is known.
    best = rng.uniform(0.2, 0.5)
    fall = np.exp(-t / (best / 4))
    rise = rng.uniform(0.2, 0.6) * np.maximum(0, t - best) / (1 - best)
    train = 0.9 * np.exp(-t / (best / 3)) + 0.1 * np.exp(-2 * t)
    yield "overfits", Name.OVERFITTING, train + 0.005 * noise, fall + rise + 0.4 + 0.01 * rng.normal(0, 1, n)
    yield (
        "validation settles, too",
        Name.CONVERGED,
        decay + 0.002 * noise,
        1.2 * decay + 0.3 + 0.01 * rng.normal(0, 1, n),
    )
