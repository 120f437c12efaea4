"""Searches for a rate, a step count and one thing more: ours beside our tpe, and both beside the oracle.

Searched beside rate and steps are momentum in [0, 0.99], or the update rule with it. The oracle has run a grid over
both; its steps for an ε are the fewest within which one in a hundred points of the grid gets to
f* + ε·(f(x_0) - f*), f* being the best loss that one in a hundred gets to at all. Costs and ratios are those of
``benchmarks.search``, of the median of three seeds. *The rate alone* is our search by plain gradient descent: what it
costs to leave momentum out.

``python -m benchmarks.dimensions``: oracles are measured once and cached (a minute); the rest takes a few.
"""

import math
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from benchmarks import cache
from benchmarks.oracle import EPSILONS, LUCKY, RATES, Oracle
from benchmarks.problems import HIGHEST_RATE, LOWEST_RATE, MOST_STEPS, PROBLEMS, Counted, Problem
from benchmarks.search import step_by_step
from benchmarks.spending import LIMIT, Spent, cost
from benchmarks.table import Measurement, header, markdown
from tuner.definition import StudyDefinition
from tuner.descent import RULES, Descent, Method, Row
from tuner.search import look, planner_of, resolve_sampler, suggest
from tuner.search.sight import Listed
from tuner.search.trajectory import Task, carry_out, plan
from tuner.search.trajectory.sampler import task_of
from tuner.storage.frozen import distributions

SEEDS = 3

TRIALS = 100
"""A study's budget where none is given, in a second comparison: what is found with so many trials."""

CLOSE = 1e-3
"""The ε to which it is to be found."""

_SHORTEST = 30
_RATES = 75


@dataclass(frozen=True, eq=False)
class Setting:
    """What is searched beside rate and steps.

    space: of the further parameters, fixed ones too. grid: their combinations, for the oracle.
    """

    name: str
    space: Mapping[str, Any]
    grid: Sequence[Mapping[str, Any]]
    problems: Sequence[str]

    def definition(self, sampler: str, seed: int, **budget: int) -> StudyDefinition:
        """The study, resolved."""
        definition = StudyDefinition.model_validate(
            {
                "name": "dimensions",
                "objective": {"name": "benchmark"},
                "search_space": {
                    "learning_rate": {"type": "float", "low": LOWEST_RATE, "high": HIGHEST_RATE, "scale": "log"},
                    "steps": {"type": "int", "low": 1, "high": MOST_STEPS, "scale": "log"},
                    **self.space,
                },
                "sampler": {"name": sampler, "seed": seed},
                "budget": {"trials": None, **budget},
            }
        )
        chosen = resolve_sampler(definition.sampler, definition.search_space, definition.goal)
        return definition.model_copy(update={"sampler": chosen})


_HEAVY_BALL = {"type": "categorical", "choices": ["heavy_ball"]}
_MOMENTA = np.linspace(0.0, 0.99, 24).tolist()

MOMENTUM = Setting(
    "momentum",
    {"update_rule": _HEAVY_BALL, "momentum": {"type": "float", "low": 0.0, "high": 0.99}},
    [{"update_rule": "heavy_ball", "momentum": momentum} for momentum in _MOMENTA],
    (
        "line fit",
        "quadratic, condition 100",
        "quadratic, condition 1,000",
        "logistic, breast cancer",
        "Huber, far start",
        "Rosenbrock, 2",
        "Beale",
        "network, wine, squared",
        "quadratic, condition 300",
        "linear, uneven 10",
        "logistic, wine",
        "Rosenbrock, 5",
        "network, diabetes, squared",
        "factorisation, rank 1",
    ),
)

RULE = Setting(
    "update rule",
    {
        "update_rule": {"type": "categorical", "choices": ["gradient_descent", "heavy_ball", "adam"]},
        "momentum": {"type": "float", "low": 0.0, "high": 0.99},
    },
    [
        {"update_rule": "gradient_descent"},
        *({"update_rule": "heavy_ball", "momentum": momentum} for momentum in _MOMENTA),
        {"update_rule": "adam"},
    ],
    ("quadratic, condition 1,000", "logistic, breast cancer", "Rosenbrock, 2", "network, wine, squared"),
)

SETTINGS = (MOMENTUM, RULE)


def cases() -> list[tuple[Setting, Problem]]:
    """What is measured."""
    named = {problem.name: problem for problem in PROBLEMS}
    return [(setting, named[name]) for setting in SETTINGS for name in setting.problems]


def ours(setting: Setting, problem: Problem, objective: Counted, seed: int, **budget: int) -> Iterator[Spent]:
    """Our search over arms, rates and step counts; within `LIMIT` where no budget is given."""
    definition = setting.definition("trajectory", seed, **(budget or {"gradient_evaluations": LIMIT}))
    planner, task = planner_of(definition), task_of(definition, probes=True)
    assert planner is not None
    requests, fixed = planner.plan(task), definition.fixed_parameters
    for progress in carry_out(requests, task, objective, initial_seed=problem.initial_seed, fixed=fixed):
        yield step_by_step(progress)


def rate_alone(setting: Setting, problem: Problem, objective: Counted, seed: int) -> Iterator[Spent]:  # noqa: ARG001
    """Our search over rates and step counts alone, by plain gradient descent."""
    task = Task(LOWEST_RATE, HIGHEST_RATE, 1, MOST_STEPS, evaluations=LIMIT, seed=seed)
    for progress in carry_out(plan(task), task, objective, initial_seed=problem.initial_seed):
        yield step_by_step(progress)


def tpe(setting: Setting, problem: Problem, objective: Counted, seed: int) -> Iterator[Spent]:
    """Our tpe as the service asks it, a batch at a time; a trial is told the loss that its descent ends with."""
    definition = setting.definition("tpe", seed)
    space = distributions(definition.search_space)
    known = Listed([], {}, definition.goal.direction)
    size = definition.sampler.batch_size or 1
    while True:
        numbers = range(known.next_number, known.next_number + size)
        for number, one in zip(numbers, suggest(definition, look(definition, known), numbers).trials, strict=True):
            rule = RULES[str(one.parameters["update_rule"])]
            row = Row.of(one.parameters, rule)
            descent = Descent(objective, [row], update_rule=rule.name, initial_seed=problem.initial_seed)
            descent.advance()
            losses = descent.loss_curve(0).values
            yield Spent(np.ones(len(losses), np.int64), losses)
            known.add(
                FrozenTrial(
                    number=number,
                    trial_id=number,
                    state=TrialState.COMPLETE,
                    value=float(losses[-1]) if math.isfinite(losses[-1]) else math.inf,
                    datetime_start=None,
                    datetime_complete=None,
                    params=dict(one.parameters),
                    distributions=space,
                    user_attrs={},
                    system_attrs={},
                    intermediate_values={},
                )
            )


SEARCHES: Mapping[str, Callable[[Setting, Problem, Counted, int], Iterator[Spent]]] = {
    "ours": ours,
    "tpe": tpe,
    "the rate alone": rate_alone,
}


def oracle(setting: Setting, problem: Problem) -> Oracle:
    """From the cache, or measured: about two million gradient evaluations."""
    question = f"{_RATES} rates in [{LOWEST_RATE}, {HIGHEST_RATE}], {list(setting.grid)}, {MOST_STEPS} steps"
    known = cache.read("dimensions-oracle", problem, question)
    if known is None:
        known = _measure(setting, problem)
        cache.write("dimensions-oracle", problem, question, known)
    steps = {float(epsilon): int(count) for epsilon, count in known["steps"].items()}
    return Oracle(float(known["start"]), float(known["best"]), steps, (math.nan, math.nan))


def _measure(setting: Setting, problem: Problem) -> dict[str, Any]:
    rates = np.geomspace(LOWEST_RATE, HIGHEST_RATE, _RATES)
    lowest = np.concatenate([_lowest(problem, Method.of_trial(one), rates) for one in setting.grid])
    lucky = max(1, len(lowest) * LUCKY // RATES)
    start, best = float(lowest[0, 0]), float(np.sort(lowest[:, -1])[lucky - 1])
    steps = {}
    for epsilon in EPSILONS:
        reached = lowest <= best + epsilon * (start - best)
        first = np.where(reached[:, -1], np.argmax(reached, axis=1), MOST_STEPS + 1)
        steps[str(epsilon)] = int(np.sort(first)[lucky - 1])
    return {"start": start, "best": best, "steps": steps}


def _lowest(problem: Problem, method: Method, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = [Row(float(rate), MOST_STEPS, method.settings) for rate in rates]
    descent = Descent(problem.create(), rows, update_rule=method.update_rule, initial_seed=problem.initial_seed)
    descent.advance()
    lowest = np.full((len(rates), MOST_STEPS + 1), np.inf)
    for row in range(len(rates)):
        losses = descent.loss_curve(row).values
        lowest[row, : len(losses)] = np.where(np.isfinite(losses), losses, np.inf)
    return np.minimum.accumulate(lowest, axis=1)


@dataclass(frozen=True)
class Compared:
    """A case, its oracle, and by search the ratio at each ε; what was not reached counts as `LIMIT`."""

    setting: Setting
    problem: Problem
    oracle: Oracle
    ratios: Mapping[str, Mapping[float, float]]


def compare(setting: Setting, problem: Problem) -> Compared:
    """Each search with each seed, until it gets to the smallest ε."""
    known = oracle(setting, problem)
    ratios = {}
    for name, search in SEARCHES.items():
        costs = [cost(partial(search, setting), problem, known, seed) for seed in range(SEEDS)]
        ratios[name] = {
            epsilon: statistics.median(one.evaluations[epsilon] or LIMIT for one in costs)
            / max(known.steps[epsilon], _SHORTEST)
            for epsilon in EPSILONS
        }
    return Compared(setting, problem, known, ratios)


def goals(compared: Sequence[Compared]) -> list[Measurement]:
    """Ours beside tpe, in the geometric mean over the problems."""
    rows = []
    for setting in dict.fromkeys(one.setting for one in compared):
        part = [one for one in compared if one.setting is setting]
        for epsilon in EPSILONS:
            means = {
                search: statistics.geometric_mean([one.ratios[search][epsilon] for one in part]) for search in SEARCHES
            }
            times = means["tpe"] / means["ours"]
            rows.append(
                Measurement(
                    f"{setting.name} searched too, gradient evaluations to ε = {epsilon:g}, {len(part)} problems",
                    f"{means['ours']:.2f}x the oracle",
                    f"{means['tpe']:.2f}x (tpe), {means['the rate alone']:.2f}x (the rate alone)",
                    f"{times:.1f}x fewer than tpe",
                    "fewer",
                    times > 1,
                )
            )
    return rows


def by_problem(compared: Sequence[Compared]) -> str:
    """A table: the ratios of each problem at each ε."""
    lines = [
        f"| searched too | problem | oracle, steps | {' | '.join(SEARCHES)} |",
        "|---|---|---|" + "---|" * len(SEARCHES),
    ]
    for one in compared:
        steps = " · ".join(str(one.oracle.steps[epsilon]) for epsilon in EPSILONS)
        cells = [" · ".join(f"{one.ratios[search][epsilon]:.1f}" for epsilon in EPSILONS) for search in SEARCHES]
        lines.append(f"| {one.setting.name} | {one.problem.name} | {steps} | {' | '.join(cells)} |")
    return "\n".join(lines)


def within_trials(chosen: Sequence[tuple[Setting, Problem]], seeds: int = 2) -> Measurement:
    """How often `TRIALS` trials, of whatever evaluations they take, get to ε = `CLOSE`."""
    reached, spent = {"ours": 0, "tpe": 0}, {"ours": 0, "tpe": 0}
    for setting, problem in chosen:
        target = oracle(setting, problem).target(CLOSE)
        for seed in range(seeds):
            drawn = zlib.crc32(f"{seed}, {problem.name}".encode())
            searches = {
                "ours": ours(setting, problem, problem.create(), drawn, trials=TRIALS),
                # Of tpe a part is a trial.
                "tpe": islice(tpe(setting, problem, problem.create(), drawn), TRIALS),
            }
            for name, search in searches.items():
                parts = list(search)
                spent[name] += sum(int(part.evaluations.sum()) for part in parts)
                reached[name] += any(bool((part.losses <= target).any()) for part in parts)
    count = seeds * len(chosen)
    return Measurement(
        f"searches that get to ε = {CLOSE:g} with {TRIALS} trials",
        f"{reached['ours']} of {count}, in {spent['ours'] / count:,.0f} evaluations each",
        f"{reached['tpe']} of {count}, in {spent['tpe'] / count:,.0f} each (tpe)",
        "",
        "no fewer",
        reached["ours"] >= reached["tpe"],
    )


def main() -> None:
    compared = []
    for setting, problem in cases():
        began = time.perf_counter()
        compared.append(compare(setting, problem))
        print(f"{setting.name}, {problem.name}: {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
    print(f"Cost over the oracle at ε = {' · '.join(f'{epsilon:g}' for epsilon in EPSILONS)}:\n")
    print(by_problem(compared))
    print()
    print(header())
    print()
    print(markdown([*goals(compared), within_trials(cases())]))


if __name__ == "__main__":
    main()
