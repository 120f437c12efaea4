"""How searches are measured: the oracle against a closed form, costs against counting by hand."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import cache
from benchmarks.oracle import EPSILONS, LUCKY, RATES, Degenerate, Oracle, oracle
from benchmarks.peers import PEERS
from benchmarks.problems import HIGHEST_RATE, LOWEST_RATE, MOST_STEPS, PROBLEMS, Counted, Problem
from benchmarks.search import Measured, goals, ours
from benchmarks.spending import LIMIT, Cost, Spent, cost

BOWL = Problem("bowl", "design", "quadratic", {"dimension": 2, "condition_number": 10.0})


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "DIRECTORY", tmp_path)


class Flat:
    """Nothing is below the start."""

    dimension = 1

    def initial_parameters(self, seed: int) -> Any:
        return np.zeros(1)

    def value_and_gradient(self, parameters: Any) -> Any:
        return np.ones(len(parameters)), np.zeros_like(parameters)


def some_problem(name: str) -> Problem:
    [found] = [problem for problem in PROBLEMS if problem.name == name]
    return found


# The oracle


def test_the_oracle_of_a_quadratic_is_that_of_its_closed_form() -> None:
    """Along an eigenvector of eigenvalue λ, step k has (1 - ηλ)^k of the first distance left."""
    objective = BOWL.create()
    inner: Any = objective._objective
    eigenvalues, vectors = np.linalg.eigh(inner._hessian)
    shares = ((inner.initial_parameters(0) - inner.optimum) @ vectors) ** 2 * eigenvalues / 2
    rates, steps = np.geomspace(LOWEST_RATE, HIGHEST_RATE, RATES), np.arange(MOST_STEPS + 1)
    with np.errstate(over="ignore"):
        decay = np.abs(1 - rates[:, None, None] * eigenvalues) ** (2 * steps[:, None])
    best = np.minimum.accumulate(decay @ shares, axis=1)
    known = oracle(BOWL)
    assert known.start == pytest.approx(shares.sum())
    reachable = np.sort(best[:, -1])[LUCKY - 1]
    assert known.best == pytest.approx(reachable, abs=1e-25)
    for epsilon in EPSILONS:
        reaching = (best <= reachable + epsilon * (shares.sum() - reachable)).sum(axis=0)
        assert known.steps[epsilon] == np.argmax(reaching >= LUCKY)


def test_an_oracle_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = oracle(BOWL)
    monkeypatch.setattr("benchmarks.oracle._measure", None)
    assert oracle(BOWL) == first
    monkeypatch.undo()


def test_a_problem_without_anything_to_find_has_no_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Problem, "create", lambda _: Counted(Flat()))
    with pytest.raises(Degenerate, match="flat: the best loss"):
        oracle(Problem("flat", "design", "flat", {}))


# Costs


def search_of(parts: list[tuple[list[int], list[float]]]) -> Any:
    """A search that evaluates so often, and claims these losses."""

    def search(problem: Problem, objective: Counted, seed: int) -> Iterator[Spent]:
        for evaluations, losses in parts:
            objective.value_and_gradient(np.zeros((sum(evaluations), 2)))
            yield Spent(np.array(evaluations), np.array(losses))

    return search


KNOWN = Oracle(start=100.0, best=0.0, steps=dict.fromkeys(EPSILONS, 40), reaching=(0.1, 1.0))
"""Targets 1, 0.1 and 0.01."""


def test_a_cost_is_what_was_spent_when_the_loss_first_got_there() -> None:
    search = search_of([([1], [math.inf]), ([3, 3, 2], [50.0, 0.5, 0.7]), ([5, 5], [math.nan, 0.009]), ([1], [0.0])])
    found = cost(search, BOWL, KNOWN, 0)
    assert found.evaluations == {1e-2: 1 + 6, 1e-3: 1 + 8 + 10, 1e-4: 1 + 8 + 10}
    assert found.seconds[1e-2] is not None


def test_what_is_reached_beyond_the_limit_is_not_reached() -> None:
    search = search_of([([LIMIT - 1], [2.0]), ([1, 1], [0.9, 0.0]), ([1], [0.0])])
    assert cost(search, BOWL, KNOWN, 0).evaluations == {1e-2: LIMIT, 1e-3: None, 1e-4: None}


def test_a_search_that_is_over_has_not_reached_the_rest() -> None:
    assert cost(search_of([([4], [0.05])]), BOWL, KNOWN, 0).evaluations == {1e-2: 4, 1e-3: 4, 1e-4: None}


def test_a_search_stops_where_the_wanted_target_is_reached() -> None:
    found = cost(search_of([([4], [0.05]), ([4], [0.0])]), BOWL, KNOWN, 0, until=1e-3)
    assert found.evaluations == {1e-2: 4, 1e-3: 4, 1e-4: None}


def test_a_search_that_declares_too_little_is_found_out() -> None:
    def search(problem: Problem, objective: Counted, seed: int) -> Iterator[Spent]:
        objective.value_and_gradient(np.zeros((7, 2)))
        yield Spent(np.array([6]), np.array([1.0]))

    with pytest.raises(RuntimeError, match="7 gradient evaluations, 6 declared"):
        cost(search, BOWL, KNOWN, 0)


def test_ours_is_charged_step_by_step_across_its_rows() -> None:
    """Its costs, by counting calls: whatever is evaluated in one call is one step of all rows."""
    problem = some_problem("Beale")
    known = oracle(problem)
    found = cost(ours, problem, known, 0)
    objective, calls = problem.create(), []

    class Watched:
        dimension = objective.dimension
        initial_parameters = staticmethod(objective.initial_parameters)

        def value_and_gradient(self, parameters: Any) -> Any:
            values, gradients = objective.value_and_gradient(parameters)
            calls.append((len(parameters), np.nanmin(values)))
            return values, gradients

    for _ in ours(problem, Watched(), 0):  # type: ignore[arg-type]
        pass
    spent = np.cumsum([count for count, _ in calls])
    for epsilon in EPSILONS:
        reached = [total for total, (_, low) in zip(spent, calls, strict=True) if low <= known.target(epsilon)]
        assert found.evaluations[epsilon] == (reached[0] if reached else None)


@pytest.mark.parametrize("peer", sorted(set(PEERS) - {"gp"}))
def test_peers_are_charged_what_they_ran_and_repeat_themselves(peer: str) -> None:
    objective = BOWL.create()
    runs = PEERS[peer](BOWL, objective, 3)
    parts = [next(runs) for _ in range(30)]
    assert objective.evaluations == sum(part.evaluations.sum() for part in parts)
    again = PEERS[peer](BOWL, BOWL.create(), 3)
    for part in parts:
        np.testing.assert_array_equal(next(again).losses, part.losses)


def test_hyperband_stops_at_powers_of_three_what_tpe_runs_in_full() -> None:
    runs = PEERS["hyperband"](some_problem("line fit"), some_problem("line fit").create(), 1)
    lengths = [len(next(runs).losses) - 1 for _ in range(120)]
    stopped = {3**power for power in range(7)}
    # Step counts are drawn from 1 … 1,000: without pruning few of them were powers of three.
    assert sum(length in stopped for length in lengths) > 60


# The report


def measured(ratios: dict[str, list[int | None]]) -> Measured:
    costs = {
        search: [Cost(dict.fromkeys(EPSILONS, spent), dict.fromkeys(EPSILONS, None)) for spent in spends]
        for search, spends in ratios.items()
    }
    return Measured(BOWL, KNOWN, costs)


def test_goals_are_judged_by_medians_and_their_geometric_mean() -> None:
    part = [
        measured({"ours": [40, 80, 9999], "tpe": [4000, None, None]}),
        measured({"ours": [80, 80, 80], "tpe": [3200, 3200, 3200]}),
    ]
    mean, beside, dear, unreached, worst = goals(part)
    assert (mean.ratio, mean.met) == ("2.00x", True)
    # 500 x (unreached) and 80 x: 200 x.
    assert (beside.ratio, beside.met) == ("100.0x fewer", True)
    # 5,000 x and 80 x: 632 x.
    assert (dear.ratio, dear.met) == ("316.2x fewer", None)
    assert (unreached.met, worst.ratio, worst.met) == (True, "2.0x", True)


def test_one_seed_that_does_not_get_there_fails_the_goal() -> None:
    unreached = goals([measured({"ours": [40, 80, None]})])[1]
    assert (unreached.ours, unreached.met) == ("1 of 3 searches", False)


# The cache


def test_the_cache_keeps_answers_by_problem_and_question() -> None:
    assert cache.read("kind", BOWL, "what") is None
    cache.write("kind", BOWL, "what", {"answer": 1})
    assert cache.read("kind", BOWL, "what") == {"answer": 1}
    assert cache.read("kind", BOWL, "what else") is None
    other = Problem("bowl", "design", "quadratic", {"dimension": 2, "condition_number": 11.0})
    assert cache.read("kind", other, "what") is None


def test_another_behaviour_is_another_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write("kind", BOWL, "what", 1)
    plain = BOWL.create
    monkeypatch.setattr(Problem, "create", lambda _: Scaled(plain()))
    changed = Problem(BOWL.name, BOWL.half, BOWL.objective, BOWL.settings)
    assert cache.read("kind", changed, "what") is None


class Scaled:
    def __init__(self, inner: Counted) -> None:
        self.dimension = inner.dimension
        self.initial_parameters = inner.initial_parameters
        self._inner = inner

    def value_and_gradient(self, parameters: Any) -> Any:
        values, gradients = self._inner.value_and_gradient(parameters)
        return values * (1 + 1e-15), gradients
