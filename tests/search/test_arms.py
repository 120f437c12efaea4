"""The race of arms: who goes on, where new ones begin, and that it is a function of its task and the answers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.search.test_planner import Surface
from tuner.descent import Descent, Row
from tuner.objectives import create
from tuner.search.trajectory import Arm, Limit, Pass, Probe, Progress, Request, Task, Trajectory, carry_out
from tuner.search.trajectory.arms import ALLOWANCE, GROWTH, Tried, race
from tuner.search.trajectory.planner import BELOW_LIMIT
from tuner.search.trajectory.proposed_arms import TOLD, propose_arm
from tuner.space import Choices, FloatRange

MOMENTUM = FloatRange(type="float", low=0.0, high=0.99)
RULES = Choices(type="categorical", choices=["gradient_descent", "heavy_ball", "adam"])
HEAVY_BALL = {"update_rule": "heavy_ball"}


def task(**options: Any) -> Task:
    return Task(
        **{
            "low": 1e-5,
            "high": 10.0,
            "fewest_steps": 1,
            "most_steps": 200,
            "further": {"momentum": MOMENTUM},
            **options,
        }
    )


def arm(momentum: float) -> Arm:
    return (("momentum", momentum),)


def momentum_of(one: Arm) -> float:
    momentum = dict(one)["momentum"]
    assert isinstance(momentum, float)
    return momentum


def in_turn(number: int, tried: Sequence[Tried]) -> Arm:
    """Momenta all over the range, whatever the others did."""
    return arm(0.99 * (number * 0.618 % 1.0))


class Bowls:
    """Descents that no objective is needed for: at step n an arm of momentum m has the loss of (1 - m)·0.99ⁿ + m.

    The less momentum the better, at any rate below the limit of 1; every other leaves the finite numbers at once.
    """

    def __init__(self) -> None:
        self.spent: dict[Arm, int] = {}
        self.begun: list[tuple[Arm, float]] = []
        self.steps: dict[tuple[Arm, float], int] = {}

    def answer(self, request: Request) -> Sequence[Trajectory] | Limit:
        if isinstance(request, Probe):
            return Limit(1.0)
        return [self._descend(request.arm, run.learning_rate, run.steps) for run in request.runs]

    def _descend(self, one: Arm, rate: float, steps: int) -> Trajectory:
        if (one, rate) not in self.steps:
            self.begun.append((one, rate))
        momentum = momentum_of(one)
        if rate >= 1.0:
            losses = np.array([1.0, math.inf])
        else:
            losses = (1 - momentum) * 0.99 ** (rate * np.arange(steps + 1)) + momentum
        before = self.steps.get((one, rate), 0)
        self.spent[one] = self.spent.get(one, 0) + len(losses) - 1 - before
        self.steps[one, rate] = len(losses) - 1
        return Trajectory(rate, losses)


def raced(evaluations: int, **options: Any) -> tuple[Bowls, list[Request]]:
    """Who was followed how far after about so many evaluations, and all requests."""
    bowls, requests = Bowls(), []
    plan = race(task(**options), in_turn)
    request = next(plan)
    while sum(bowls.spent.values()) < evaluations:
        requests.append(request)
        request = plan.send(bowls.answer(request))
    return bowls, requests


def test_the_best_third_of_the_arms_goes_on_with_three_times_as_much() -> None:
    bowls, _ = raced(60_000, most_steps=2000)
    most = max(bowls.spent.values())
    assert most >= ALLOWANCE * GROWTH**3
    for rung in range(3):
        there = [one for one, spent in bowls.spent.items() if spent >= ALLOWANCE * GROWTH**rung]
        further = [one for one in there if bowls.spent[one] >= ALLOWANCE * GROWTH ** (rung + 1)]
        assert len(further) < len(there)
        # The less momentum the better: who goes on has less than most of those who do not.
        assert np.median([momentum_of(one) for one in further]) < np.median(
            [momentum_of(one) for one in there if one not in further]
        )


def test_some_arms_are_judged_late_for_the_first_time_since_early_losses_mislead() -> None:
    bowls, requests = raced(60_000, most_steps=2000)
    turns = [
        one for one, before in zip(requests, [None, *requests], strict=False) if before is None or one.arm != before.arm
    ]
    at_once = [one for one, spent in bowls.spent.items() if spent >= ALLOWANCE * GROWTH and _times(one, turns) == 1]
    # By what they had come to at the first rung, these would not have gone on.
    assert max(momentum_of(one) for one in at_once) > 0.5


def _times(one: Arm, turns: Sequence[Request]) -> int:
    return sum(turn.arm == one for turn in turns)


def test_a_race_is_a_function_of_its_task_and_the_answers() -> None:
    def play() -> list[Request]:
        return raced(5000)[1]

    assert play() == play()


def test_every_request_says_which_arm_it_is_about() -> None:
    _, requests = raced(3000)
    assert {request.arm for request in requests if isinstance(request, Pass)} >= {arm(0.0), arm(0.99 * 0.618)}
    # Each arm is probed once, when it begins.
    probed = [request.arm for request in requests if isinstance(request, Probe)]
    assert len(set(probed)) == len(probed)


def test_a_new_arm_begins_below_the_edge_that_the_best_one_has_found() -> None:
    """Each has a limit of its own, that says where its edge is beside the other's."""
    bowls, plan = Bowls(), race(task(), in_turn)
    request, limits, best = next(plan), {}, (math.inf, math.nan, arm(math.nan))
    begun: set[Arm] = set()
    while len(begun) < 6:
        if isinstance(request, Probe):
            limits[request.arm] = 1.0 + momentum_of(request.arm)
            request = plan.send(Limit(limits[request.arm]))
            continue
        first, one = request.runs[0].learning_rate, request.arm
        if one not in begun:
            edge = best[1] * limits[one] / limits[best[2]] if begun else limits[one]
            assert first == pytest.approx(BELOW_LIMIT * edge)
            begun.add(one)
        answer = bowls.answer(request)
        assert not isinstance(answer, Limit)
        for found in answer:
            if float(np.min(found.losses)) < best[0]:
                best = float(np.min(found.losses)), found.learning_rate, one
        request = plan.send(answer)


def test_of_a_rule_that_no_curvature_limits_a_new_arm_begins_below_the_best_rate() -> None:
    """RMSProp: its first arm has to walk down from the highest rate, by tens; the others need not."""
    decay = FloatRange(type="float", low=0.5, high=0.99)
    asked = task(further={"beta2": decay}, probes=False, evaluations=800)
    plan = race(asked, lambda *given: propose_arm(asked, *given))
    parts = list(carry_out(plan, asked, create("quadratic", {}), fixed={"update_rule": "rmsprop"}))
    begun: dict[Arm, float] = {}
    for part in parts:
        if part.trajectories:
            begun.setdefault(part.arm, part.trajectories[0].learning_rate)
    first, *others = begun.values()
    assert first == asked.high
    assert len(others) > 1
    assert all(rate < BELOW_LIMIT * asked.high for rate in others)


def test_where_there_are_few_arms_each_is_tried_and_the_search_ends() -> None:
    asked = task(further={"update_rule": RULES}, most_steps=30)
    parts = list(carry_out(race(asked, lambda *given: propose_arm(asked, *given)), asked, create("quadratic", {})))
    assert {dict(part.arm)["update_rule"] for part in parts if part.arm} == set(RULES.choices)


def test_points_that_differ_in_what_their_rule_does_not_have_are_one_arm() -> None:
    asked = task(further={"update_rule": RULES, "momentum": FloatRange(type="float", low=0.5, high=0.9)})
    proposed = {propose_arm(asked, number, []) for number in range(60)}
    by_rule = [[one for one in proposed if dict(one)["update_rule"] == rule] for rule in RULES.choices]
    assert [len(ones) for ones in by_rule][::2] == [1, 1]
    assert len(by_rule[1]) > 10
    assert dict(by_rule[0][0])["momentum"] == 0.5


def test_proposals_gather_where_arms_do_well() -> None:
    asked = task()
    tried = [Tried(arm(m), [(math.inf, abs(m - 0.8))]) for m in np.linspace(0, 0.99, 40).tolist()]
    proposed = [momentum_of(propose_arm(asked, number, tried)) for number in range(40, 60)]
    assert abs(np.median(proposed) - 0.8) < 0.1


def test_proposals_heed_the_furthest_rung_that_enough_arms_have_got_to() -> None:
    """Early the arms of little momentum are ahead, later those of much."""
    asked = task()
    momenta = np.linspace(0, 0.99, 40).tolist()
    tried = [
        Tried(arm(m), [(math.inf, m)] + ([(math.inf, 1 - m)] if place % 2 else [])) for place, m in enumerate(momenta)
    ]
    assert len(momenta) // 2 >= TOLD
    proposed = [momentum_of(propose_arm(asked, number, tried)) for number in range(40, 60)]
    assert np.median(proposed) > 0.8


def search(asked: Task, objective: str = "quadratic", **options: Any) -> list[Progress]:
    plan = race(asked, lambda *given: propose_arm(asked, *given))
    return list(carry_out(plan, asked, create(objective, options), fixed=HEAVY_BALL))


def test_every_loss_is_that_of_a_whole_descent_of_its_arm() -> None:
    parts = search(task(evaluations=1500), dimension=5, condition_number=50.0)
    known = {(part.arm, one.learning_rate): one for part in parts for one in part.trajectories}
    assert len({one for one, _ in known}) > 3
    for (one, rate), trajectory in known.items():
        momentum = momentum_of(one)
        descent = Descent(
            create("quadratic", {"dimension": 5, "condition_number": 50.0}),
            [Row(rate, trajectory.steps, {"momentum": momentum})],
            update_rule="heavy_ball",
        )
        descent.advance()
        assert descent.loss_curve(0).values.tolist() == trajectory.losses.tolist()


@pytest.mark.parametrize("means", [{"evaluations": 700}, {"trials": 12}, {"evaluations": 300, "trials": 5}])
def test_means_are_kept_to_the_last_one(means: dict[str, int]) -> None:
    parts = search(task(most_steps=50, **means), "rosenbrock")
    rates = {(part.arm, one.learning_rate) for part in parts for one in part.trajectories}
    spent = sum(part.evaluations for part in parts)
    assert len(rates) <= means.get("trials", math.inf)
    assert spent <= means.get("evaluations", math.inf)
    if "trials" not in means:
        assert spent == means["evaluations"]


def test_where_rates_are_few_the_best_arm_still_gets_to_the_highest_step_count() -> None:
    parts = search(task(trials=15, most_steps=200), "rosenbrock")
    assert max(one.steps for part in parts for one in part.trajectories) == 200


def test_momentum_finds_what_no_rate_does_alone() -> None:
    """A quadratic of condition 1,000: in 100 steps plain descent leaves (1 - 2/1001)^100 = 0.82 of the slowest part.

    Heavy ball at its best momentum (√κ - 1)²/(√κ + 1)² = 0.88 leaves about 0.94^100 = 0.002 of it.
    """
    settings: dict[str, Any] = {"dimension": 10, "condition_number": 1000.0}
    objective = create("quadratic", settings)
    start = float(objective.value_and_gradient(objective.initial_parameters(0)[None])[0][0])
    parts = search(task(evaluations=6000, most_steps=100), **settings)
    best = min(float(np.nanmin(one.losses)) for part in parts for one in part.trajectories)
    rates = np.geomspace(1e-5, 10.0, 400).tolist()
    descent = Descent(objective, [Row(rate, 100) for rate in rates])
    descent.advance()
    plain = min(float(np.nanmin(descent.loss_curve(row).values)) for row in range(len(rates)))
    assert best < 0.1 * plain < start


def test_the_fewest_steps_to_a_target_bound_those_of_later_arms() -> None:
    asked = task(target=1e-3, evaluations=3000)
    parts = search(asked, dimension=5, condition_number=50.0)
    fewest, longest = math.inf, {}
    for part in parts:
        for one in part.trajectories:
            if part.arm not in longest:
                longest[part.arm] = fewest
            assert one.steps <= longest[part.arm]
            reached = np.flatnonzero(one.losses <= 1e-3)
            fewest = min(fewest, int(reached[0]) if len(reached) else math.inf)
    assert math.isfinite(fewest)


@pytest.mark.parametrize(
    "surface",
    [
        Surface([1.0], lambda x: np.full(len(x), np.nan), np.ones_like),
        Surface([1.0, 2.0], lambda x: np.zeros(len(x)), np.zeros_like),
        Surface([1.0], lambda x: np.square(x).sum(1), lambda x: -2 * x),
    ],
    ids=["not a number", "flat", "gradient of the wrong sign"],
)
def test_a_race_over_what_no_descent_lowers_comes_to_an_end(surface: Surface) -> None:
    asked = task(most_steps=5)
    plan = race(asked, lambda *given: propose_arm(asked, *given))
    assert sum(part.evaluations for part in carry_out(plan, asked, surface, fixed=HEAVY_BALL)) < 50_000
