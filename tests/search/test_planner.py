"""The planner: what it finds on surfaces that can be worked out by hand, and that it always comes to an end."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tuner.objectives import Array, Objective, create
from tuner.search.trajectory import Limit, Pass, Probe, Request, Task, Trajectory, carry_out, plan
from tuner.search.trajectory.followed import Followed


def task(**options: Any) -> Task:
    return Task(**{"low": 1e-5, "high": 10.0, "fewest_steps": 1, "most_steps": 200, **options})


@dataclass
class Found:
    """What a search came to: gradient evaluations, each rate's losses, and every loss with what was spent by then."""

    evaluations: int = 0
    rates: dict[float, Any] = field(default_factory=dict)
    best: float = math.inf
    seen: list[tuple[int, float]] = field(default_factory=list)

    def cost(self, target: float) -> float:
        """Evaluations when the target was first reached."""
        return next((spent for spent, loss in self.seen if loss <= target), math.inf)


def search(objective: Objective, asked: Task, most_evaluations: int = 50_000) -> Found:
    found = Found()
    for part in carry_out(plan(asked), asked, objective):
        for one, since in zip(part.trajectories, part.since, strict=True):
            # Rows of a pass are in lockstep; to the step is exact enough where there are several.
            rows = len(part.trajectories)
            found.seen += [
                (found.evaluations + rows * place, float(loss))
                for place, loss in enumerate(one.losses[since + 1 :], start=1)
            ]
        found.evaluations += part.evaluations
        for one in part.trajectories:
            found.rates[one.learning_rate] = one.losses
            finite = one.losses[asked.fewest_steps :][np.isfinite(one.losses[asked.fewest_steps :])]
            found.best = min(found.best, float(finite.min(initial=math.inf)))
        assert found.evaluations <= most_evaluations, "the search does not end"
    return found


class Surface:
    """A loss and its gradient, from any start."""

    def __init__(self, start: Sequence[float], loss: Callable[[Array], Array], gradient: Callable[[Array], Array]):
        self.dimension = len(start)
        self._start, self._loss, self._gradient = np.array(start, dtype=float), loss, gradient

    def initial_parameters(self, seed: int) -> Array:
        return self._start

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        return self._loss(parameters), self._gradient(parameters)


SURFACES = {
    "flat": Surface([1.0, 2.0], lambda x: np.zeros(len(x)), np.zeros_like),
    "not a number": Surface([1.0], lambda x: np.full(len(x), np.nan), np.ones_like),
    "infinite": Surface([1.0], lambda x: np.full(len(x), np.inf), np.ones_like),
    "gradient of the wrong sign": Surface([1.0], lambda x: np.square(x).sum(1), lambda x: -2 * x),
    "too steep for every rate": Surface([1.0], lambda x: 5e8 * np.square(x).sum(1), lambda x: 1e9 * x),
    "downhill for ever": Surface([0.0], lambda x: x.sum(1), np.ones_like),
    "far below zero": Surface([1.0], lambda x: np.square(x).sum(1) / 2 - 1e6, lambda x: x),
    "begun at the minimum": Surface([0.0], lambda x: np.square(x).sum(1) / 2, lambda x: x),
    "a wall beside the minimum": Surface(
        [0.01],
        lambda x: np.where(x[:, 0] > 0, x[:, 0] - np.log(np.maximum(x[:, 0], 1e-300)), np.nan),
        lambda x: 1 - 1 / x,
    ),
}

TASKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "without probes": {"probes": False},
    "one rate": {"low": 0.3, "high": 0.3},
    "one step": {"most_steps": 1},
    "one step count": {"fewest_steps": 5, "most_steps": 5},
    "long runs only": {"fewest_steps": 40, "most_steps": 50},
    "three rates": {"trials": 3},
    "one trial": {"trials": 1},
    "hardly any means": {"evaluations": 7},
    "a target": {"target": 0.1},
    "a target below everything": {"target": -1e9},
    "a front": {"front": True},
}


@pytest.mark.parametrize("options", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)
def test_every_search_comes_to_an_end_within_its_means(surface: Surface, options: dict[str, Any]) -> None:
    asked = task(**options)
    found = search(surface, asked)
    assert all(asked.low <= rate <= asked.high for rate in found.rates)
    assert all(len(losses) <= asked.most_steps + 1 for losses in found.rates.values())
    assert asked.trials is None or len(found.rates) <= asked.trials
    assert asked.evaluations is None or found.evaluations <= asked.evaluations


@pytest.mark.parametrize("condition", [2.0, 30.0, 1_000.0, 10_000.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_on_a_quadratic_the_answer_costs_little_more_than_its_own_descent(condition: float, scale: float) -> None:
    settings = {"condition_number": condition, "curvature_scale": scale, "dimension": 10}
    objective = create("quadratic", settings)
    asked = task(low=1e-3 / scale, high=1e3 / scale, most_steps=1_000)
    fastest = 2 / (scale * (1 + 1 / condition))
    oracle = descent(objective, fastest, 1_000)
    target = oracle[0] * 1e-3
    needed = int(np.argmax(oracle <= target)) if oracle.min() <= target else 1_000
    target = max(target, float(oracle.min()) * 1.05)
    assert search(objective, asked).cost(target) <= 3 * max(needed, 30)


def test_the_tutorial_problem_is_solved_within_a_hundred_gradient_evaluations() -> None:
    found = search(create("line_fit", {"seed": 5}), task(low=1e-4, high=1.0))
    x, y = tutorial_points()
    matrix = np.stack([x, np.ones(100)], axis=1)
    residual = y - matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0]
    assert found.cost(1.05 * float(np.mean(np.square(residual)))) < 100


@pytest.mark.parametrize(("name", "settings"), [("line_fit", {"seed": 5}), ("quadratic", {"condition_number": 1000.0})])
def test_with_one_step_count_the_answer_costs_less_than_two_runs(name: str, settings: dict[str, Any]) -> None:
    """Long before a run has an answer it shows how it does beside the others."""
    objective, steps = create(name, settings), 50
    ends = [descent(objective, rate, steps)[[0, -1]] for rate in np.geomspace(1e-3, 3.0, 100)]
    lowest = np.nanmin([end for _, end in ends])
    target = lowest + 0.01 * (ends[0][0] - lowest)
    asked, spent = task(fewest_steps=steps, most_steps=steps), 0
    for part in carry_out(plan(asked), asked, objective):
        spent += part.evaluations
        if any(len(one.losses) > steps and one.losses[-1] <= target for one in part.trajectories):
            break
    assert spent < 2 * steps


def test_the_search_does_not_depend_on_the_units_of_the_rate_or_the_loss() -> None:
    """Powers of two scale exactly: the same bits, with other exponents."""
    there = search(create("quadratic", {"curvature_scale": 1.0}), task(low=2.0**-14, high=16.0))
    here = search(create("quadratic", {"curvature_scale": 4.0}), task(low=2.0**-16, high=4.0))
    assert [4 * rate for rate in here.rates] == pytest.approx(list(there.rates), rel=1e-12)


def test_an_edge_that_moves_up_is_followed() -> None:
    """Softplus of a large margin: its curvature falls along the way, and with it what bounds the rate."""
    surface = Surface([0.0], lambda x: np.logaddexp(0, -x[:, 0]), lambda x: -1 / (1 + np.exp(x)))
    found = search(surface, task(high=1_000.0), most_evaluations=60_000)
    # After one step at rate r the loss is log(1 + exp(-r / 2)).
    assert found.best <= np.logaddexp(0, -500) * (1 + 1e-9) + 1e-200


def test_a_target_is_reached_in_as_few_steps_as_any_rate_can() -> None:
    objective = create("quadratic", {"condition_number": 20.0, "dimension": 5})
    asked = task(target=0.01 * descent(objective, 1.0, 1)[0])
    found = search(objective, asked)
    steps = min(first(losses, asked.target) for losses in found.rates.values())
    rates = np.geomspace(0.05, 2.0, 400)
    assert steps <= min(first(descent(objective, rate, 200), asked.target) for rate in rates) + 1


def test_the_same_answers_make_the_same_requests() -> None:
    asked = task()
    objective = create("rosenbrock", {})
    first_requests, first_answers = record(asked, objective)
    again = plan(asked)
    request: Request = next(again)
    for expected, answer in zip(first_requests, first_answers, strict=True):
        assert request == expected
        try:
            request = again.send(answer)
        except StopIteration:
            break


def test_a_pass_keeps_every_rate_that_is_asked_for_again() -> None:
    requests, _ = record(task(), create("beale", {}))
    gone: set[float] = set()
    known: set[float] = set()
    for one in requests:
        if isinstance(one, Pass):
            asked = {run.learning_rate for run in one.runs}
            assert not asked & gone
            known |= asked
            gone |= known - asked - set(one.keep)


@pytest.mark.parametrize("refused", [0.0, 1e-3, 0.05])
def test_a_plan_goes_on_without_the_rates_that_it_is_refused(refused: float) -> None:
    """Rates above this are never answered: the objective fails there, or no means are left for them."""
    objective = create("quadratic", {})
    planner = plan(task(probes=False))
    answer: Sequence[Trajectory] | Limit | None = None
    asked: list[float] = []
    for _ in range(10_000):
        try:
            request = next(planner) if answer is None else planner.send(answer)
        except StopIteration:
            break
        assert isinstance(request, Pass)
        asked += [run.learning_rate for run in request.runs if run.learning_rate > refused]
        answer = [
            Trajectory(run.learning_rate, descent(objective, run.learning_rate, run.steps))
            for run in request.runs
            if run.learning_rate <= refused
        ]
    else:
        pytest.fail("the plan does not end")
    assert len(asked) == len(set(asked)), "what was refused is asked for again"


# What a rate has shown


def followed(losses: Sequence[float], *, exploded: bool = False, fewest_steps: int = 1) -> Followed:
    return Followed(0.1, np.array(losses, dtype=float), fewest_steps=fewest_steps, exploded=exploded)


def test_roughness_is_the_share_of_the_way_that_went_up() -> None:
    assert followed(np.geomspace(1, 1e-3, 50).tolist()).roughness(1.0) == 0.0
    assert followed([1.0, 0.5] * 20).roughness(1.0) == pytest.approx(0.5, abs=0.03)
    assert followed([5.0, 1.0, 1.0 + 1e-14, 1.0, 1.0 + 1e-14, 1.0]).roughness(4.0) == 0.0
    assert followed([1.0, 2.0], exploded=True).roughness(1.0) == 1.0


def test_steps_to_a_loss_counts_from_the_start() -> None:
    one = followed([8.0, 4.0, 6.0, 2.0])
    assert [one.steps_to(loss) for loss in (9.0, 8.0, 4.0, 3.0, 2.0, 1.0)] == [0, 0, 1, 3, 3, 4]


def test_the_best_is_that_of_a_step_count_that_counts() -> None:
    one = followed([1.0, 2.0, 3.0, 2.5], fewest_steps=2)
    assert (one.best, one.lowest) == (2.5, 2.0)
    assert followed([1.0, 0.5], fewest_steps=2).best == math.inf
    assert followed([1.0, math.inf], exploded=True).best == math.inf


def first(losses: Any, target: float | None) -> int:
    """The first step at the target, far out where there is none."""
    assert target is not None
    reached = np.flatnonzero(np.asarray(losses) <= target)
    return int(reached[0]) if len(reached) else 10**9


def descent(objective: Objective, rate: float, steps: int) -> Any:
    """The losses of a plain loop."""
    x = objective.initial_parameters(0)[None]
    losses = []
    for _ in range(steps + 1):
        with np.errstate(all="ignore"):
            value, gradient = objective.value_and_gradient(x)
            x = x - rate * gradient
        losses.append(float(value[0]))
    return np.array(losses)


def tutorial_points() -> tuple[Any, Any]:
    rng = np.random.default_rng(5)
    x, noise = rng.uniform(0, 1, 100), rng.normal(0, 0.01, 100)
    return x, 0.1 * x + 0.5 + noise


def record(asked: Task, objective: Objective) -> tuple[list[Request], list[Sequence[Trajectory] | Limit]]:
    """A search with everything that was asked and answered."""
    requests: list[Request] = []
    answers: list[Sequence[Trajectory] | Limit] = []

    def listening() -> Any:
        inner = plan(asked)
        request = next(inner)
        while True:
            requests.append(request)
            answer = yield request
            answers.append(answer)
            try:
                request = inner.send(answer)
            except StopIteration:
                return

    for _ in carry_out(listening(), asked, objective):
        pass
    assert isinstance(requests[0], Probe)
    assert all(a != b for a, b in pairwise(requests))
    return requests[: len(answers)], answers
