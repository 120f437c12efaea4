"""Searches with a further dimension, measured in gradient evaluations: ours beside our tpe, and both beside the oracle.

Momentum in [0, 0.99], or the update rule, is searched beside the rate and the step count. The oracle knows the best of a
grid over rate and further dimension; its steps for an ε are the fewest within which one in a hundred points of the grid
gets to f* + ε·(f(x_0) - f*), f* being the best loss that one in a hundred gets to within 1,000 steps. The cost of a
search is what it has spent when its best loss first gets there, 20,000 where it does not within these; the ratio is over
max(oracle, 30), of the median of three seeds.

``python -m benchmarks.dimensions`` takes some twenty minutes: oracles and tpe are cached as those of ``benchmarks.search``.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from benchmarks import cache
from benchmarks.oracle import Oracle
from benchmarks.problems import HIGHEST_RATE, LOWEST_RATE, MOST_STEPS, PROBLEMS, Counted, Problem
from benchmarks.search import step_by_step
from benchmarks.spending import LIMIT, Spent
from tuner.definition import StudyDefinition
from tuner.descent import RULES, Descent, Method, Row
from tuner.search import look, planner_of, resolve_sampler, suggest
from tuner.search.sight import Listed
from tuner.search.trajectory import Task, carry_out, plan
from tuner.search.trajectory.sampler import task_of
from tuner.storage.frozen import distributions

SEEDS = 3
JUDGED = 1e-2
EPSILONS = (1e-2, 1e-3)

_SHORTEST = 30
_RATES = 75
_BATCH = 125


@dataclass(frozen=True)
class Setting:
    """What is searched beside rate and steps.

    space: of the further parameters, fixed ones too. grid: their combinations, for the oracle.
    """

    name: str
    space: Mapping[str, Any]
    grid: Sequence[Mapping[str, Any]]
    problems: Sequence[str]

    def definition(self, sampler: str, seed: int, trials: int | None = None) -> StudyDefinition:
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
                "budget": {"gradient_evaluations": LIMIT, "trials": trials},
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


def ours(setting: Setting, problem: Problem, objective: Counted, seed: int) -> Iterator[Spent]:
    """Our search over arms, rates and step counts."""
    definition = setting.definition("trajectory", seed)
    task, planner = task_of(definition, probes=True), planner_of(definition)
    assert planner is not None
    found = carry_out(
        planner.plan(task), task, objective, initial_seed=problem.initial_seed, fixed=definition.fixed_parameters
    )
    for progress in found:
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
            method = Method.of_trial(
                {name: value for name, value in one.parameters.items() if name not in {"learning_rate", "steps"}}
            )
            row = Row.of(one.parameters, RULES[method.update_rule])
            descent = Descent(objective, [row], update_rule=method.update_rule, initial_seed=problem.initial_seed)
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
    "rate alone": rate_alone,
    "tpe": tpe,
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
    lucky = len(lowest) // 100
    start, best = float(lowest[0, 0]), float(np.sort(lowest[:, -1])[lucky - 1])
    steps = {}
    for epsilon in (1e-2, 1e-3, 1e-4):
        reached = lowest <= best + epsilon * (start - best)
        first = np.where(reached[:, -1], np.argmax(reached, axis=1), MOST_STEPS + 1)
        steps[str(epsilon)] = int(np.sort(first)[lucky - 1])
    return {"start": start, "best": best, "steps": steps}


def _lowest(problem: Problem, method: Method, rates: Any) -> Any:
    rows = [Row(float(rate), MOST_STEPS, method.settings) for rate in rates]
    descent = Descent(problem.create(), rows, update_rule=method.update_rule, initial_seed=problem.initial_seed)
    descent.advance()
    lowest = np.full((len(rates), MOST_STEPS + 1), np.inf)
    for row in range(len(rates)):
        losses = descent.loss_curve(row).values
        lowest[row, : len(losses)] = np.where(np.isfinite(losses), losses, np.inf)
    return np.minimum.accumulate(lowest, axis=1)
