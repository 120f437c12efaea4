"""Rates proposed to clients, and which are told to stop: on descents whose curves are known in closed form."""

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.search.clients import quadratic, simulate
from tuner.search.trajectory import Task, Trained, hopeless, propose
from tuner.search.trajectory.proposals import looks

EDGE = 1.0
"""The largest of `quadratic`'s curvatures is 2: it converges below 2 / 2."""


def task(**options: Any) -> Task:
    return Task(**{"low": 1e-5, "high": 10.0, "fewest_steps": 1, "most_steps": 200, "probes": False, **options})


def descent(rate: float, _: int, steps: int = 200) -> NDArray[np.float64]:
    return quadratic(rate, steps)


def trained(number: int, rate: float, steps: int, length: int | None = None, **options: Any) -> Trained:
    """A trial on the quadratic that asked for these steps and has reported ``length`` of them."""
    losses = quadratic(rate, steps if length is None else length)
    return Trained(number, rate, steps, seen=(np.arange(len(losses)), losses), **options)


def best_told(study: list[Trained]) -> Trained:
    told = [one for one in study if one.told is not None]
    return min(told, key=lambda one: math.inf if one.told is None else one.told[1])


def lowest(steps: int) -> float:
    """The lowest loss that any rate ends with after so many steps, to a thousandth of a rate."""
    return min(float(quadratic(rate, steps)[-1]) for rate in np.geomspace(0.1, EDGE, 2000))


@pytest.mark.parametrize("clients", [1, 3, 8])
def test_what_is_told_is_about_the_best_that_there_is(clients: int) -> None:
    study, _ = simulate(task(), descent, trials=40, clients=clients)
    best = best_told(study)
    assert best.told is not None
    assert best.steps == 200
    assert math.log(best.told[1]) <= 0.9 * math.log(lowest(200)), "nine of ten decades"


def test_it_costs_little_more_than_the_descent_that_it_finds() -> None:
    study, _ = simulate(task(most_steps=1000), lambda rate, _: descent(rate, 0, 1000), trials=20)
    spent = 0
    for one in study:
        spent += one.gone
        if one.told is not None and one.told[1] <= 1e-3:
            break
    fewest = min(
        int(np.argmax(losses <= 1e-3))
        for rate in np.geomspace(0.1, 0.99, 200)
        if (losses := descent(rate, 0))[-1] < 1e-3
    )
    assert spent <= 8 * fewest, (spent, fewest)


@pytest.mark.parametrize("clients", [1, 4])
def test_trials_lie_in_the_space_and_no_point_runs_twice_at_once(clients: int) -> None:
    asked = task(low=0.003, high=0.7, fewest_steps=5)
    study, _ = simulate(asked, descent, trials=60, clients=clients)
    assert all(asked.low <= one.learning_rate <= asked.high for one in study)
    assert all(asked.fewest_steps <= one.steps <= asked.most_steps for one in study)
    points = Counter((one.learning_rate, one.steps) for one in study)
    assert max(points.values()) == 1


def test_points_at_once_are_those_asked_one_by_one_and_all_differ() -> None:
    known = [trained(0, 10.0, 8), trained(1, 1.0, 8), trained(2, 0.1, 8)]
    at_once = propose(task(), known, 30)
    one_by_one: list[tuple[float, int]] = []
    running: list[Trained] = []
    for number in range(3, 33):
        [(rate, steps)] = propose(task(), known + running, 1)
        one_by_one.append((rate, steps))
        running.append(Trained(number, rate, steps, running=True))
    assert at_once == one_by_one
    assert len(set(at_once)) == 30
    assert all(abs(math.log(a / b)) > 1e-3 for a, b in pairwise(sorted({rate for rate, _ in at_once})))


def test_the_walk_goes_down_by_tens_whether_the_runs_above_are_over_or_not() -> None:
    first = [rate for rate, _ in propose(task(), [], 4)]
    assert first == pytest.approx([10, 1, 0.1, 0.01])
    [(rate, _)] = propose(task(), [trained(0, 10.0, 8)], 1)
    assert rate == pytest.approx(1.0)


def test_above_a_rate_that_lasts_and_below_one_that_does_not() -> None:
    beaten = trained(0, 1.01, 8)
    [(rate, _)] = propose(task(), [beaten, trained(1, 0.1, 8)], 1)
    assert 0.1 < rate < 1.01
    rough = 0.999
    losses = np.where(np.arange(201) % 2 == 0, 1.0, 0.5)
    [(rate, _)] = propose(task(), [Trained(0, rough, 200, seen=(np.arange(201), losses))], 1)
    assert rough / 2 < rate < rough


def test_a_search_looks_further_with_its_leader_once_it_is_bracketed() -> None:
    study = [trained(0, 10.0, 8), trained(1, 1.01, 8), trained(2, 0.9, 8)]
    assert propose(task(most_steps=1000), study, 1) == [(0.9, looks(task(most_steps=1000))[1])]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"most_steps": 5}, [5]),
        ({"most_steps": 8}, [8]),
        ({"fewest_steps": 200}, [200]),
        ({"trials": 9}, [200]),
        ({"trials": 20}, [8, 200]),
    ],
)
def test_looks_are_few_where_trials_are(options: dict[str, Any], expected: list[int]) -> None:
    assert looks(task(**options)) == expected


@pytest.mark.parametrize("most", [1, 2, 9, 1000, 54321, 10**12])
def test_looks_ascend_to_the_most_steps(most: int) -> None:
    found = looks(task(most_steps=most))
    assert found == sorted(set(found))
    assert found[-1] == most
    assert len(found) <= 6


def test_where_every_rate_diverges_the_search_goes_on_and_repeats_nothing() -> None:
    def exploding(rate: float, _: int) -> NDArray[np.float64]:
        return np.array([1.0, 1e200, math.inf]) if rate > 1e-4 else np.array([1.0, math.nan])

    study, _ = simulate(task(), exploding, trials=40, clients=3)
    assert len({one.learning_rate for one in study}) == 40
    assert min(one.learning_rate for one in study) == 1e-5


def test_where_no_rate_moves_at_all_the_search_goes_on() -> None:
    study, _ = simulate(task(), lambda _rate, _number: np.full(201, 0.7), trials=40, clients=3)
    assert len({one.learning_rate for one in study}) == 40


@pytest.mark.parametrize("clients", [1, 4])
def test_results_alone_teach_where_no_curve_is_reported(clients: int) -> None:
    def ends(rate: float, steps: int) -> float:
        return float(quadratic(rate, steps)[-1])

    study, reasons = simulate(task(), descent, trials=40, clients=clients, silent=True, told=ends)
    assert reasons == {}
    best = best_told(study)
    assert best.told is not None
    assert math.log(best.told[1]) <= 0.9 * math.log(lowest(200))


@pytest.mark.parametrize("noise", [0.03, 0.3])
@pytest.mark.parametrize("clients", [1, 4])
def test_noise_of_mini_batches_hides_neither_the_edge_nor_the_best(noise: float, clients: int) -> None:
    def noisy(rate: float, number: int) -> NDArray[np.float64]:
        losses = quadratic(rate, 200)
        seen: NDArray[np.float64] = losses + noise * losses[0] * np.random.default_rng(number).normal(size=len(losses))
        return seen

    def validated(rate: float, steps: int) -> float:
        return float(quadratic(rate, steps)[-1])

    study, reasons = simulate(task(), noisy, trials=40, clients=clients, told=validated)
    best = best_told(study)
    assert 0.5 < best.learning_rate < EDGE
    full = [one for one in study if one.steps == 200 and one.learning_rate > 1.05 * EDGE]
    assert all(one.number in reasons for one in full), "beyond the edge nobody trains to the end"


def test_a_loss_in_another_unit_gives_the_same_search() -> None:
    def scaled(rate: float, _: int) -> NDArray[np.float64]:
        losses: NDArray[np.float64] = 2.0**-40 * descent(rate, 0)
        return losses

    plain, in_another = (simulate(task(), losses, trials=30, clients=2)[0] for losses in (descent, scaled))
    assert [(one.learning_rate, one.steps, one.gone) for one in plain] == [
        (one.learning_rate, one.steps, one.gone) for one in in_another
    ]


def test_a_rate_in_another_unit_gives_the_same_search() -> None:
    def stretched(rate: float, _: int) -> NDArray[np.float64]:
        return descent(1024 * rate, 0)

    plain, _ = simulate(task(), descent, trials=20)
    other, _ = simulate(task(low=1e-5 / 1024, high=10 / 1024), stretched, trials=20)
    assert [one.learning_rate for one in plain] == pytest.approx([1024 * one.learning_rate for one in other])


def test_another_seed_explores_other_rates() -> None:
    first, second = (simulate(task(seed=seed), descent, trials=40)[0] for seed in (0, 1))
    assert [one.learning_rate for one in first] != [one.learning_rate for one in second]
    again, _ = simulate(task(seed=1), descent, trials=40)
    assert [one.learning_rate for one in second] == [one.learning_rate for one in again]


def test_a_fixed_rate_and_a_fixed_number_of_steps_are_kept() -> None:
    assert propose(task(low=0.3, high=0.3), [], 2) == [(0.3, 200), (0.3, 200)]
    study, _ = simulate(task(fewest_steps=200), descent, trials=30, clients=2)
    assert {one.steps for one in study} == {200}
    best = best_told(study)
    assert best.told is not None
    assert math.log(best.told[1]) <= 0.9 * math.log(lowest(200))
    assert sum(one.gone for one in study) < 0.6 * 30 * 200, "hopeless rates are stopped before their end"


def test_a_rate_at_which_a_program_fails_is_not_proposed_again() -> None:
    known = [Trained(0, 10.0, 8, failed=True), trained(1, 0.5, 8), Trained(2, 2.0, 8, failed=True)]
    found = {rate for rate, _ in propose(task(), known, 20)}
    assert not any(math.isclose(rate, failed, rel_tol=1e-3) for rate in found for failed in (2.0, 10.0))


def test_what_overfits_is_run_to_where_it_was_best() -> None:
    def overfitting(rate: float, _: int) -> NDArray[np.float64]:
        steps = np.arange(201)
        losses: NDArray[np.float64] = np.exp(-rate * steps / 5) + 0.002 * rate * steps
        return losses

    study, _ = simulate(task(low=1e-3, high=1.0), overfitting, trials=30)
    best = best_told(study)
    assert best.told is not None
    rates = np.geomspace(1e-3, 1.0, 400)
    reachable = min(float(overfitting(rate, 0)[1:].min()) for rate in rates)
    assert best.told[1] <= 1.1 * reachable
    assert best.steps < 200


def test_what_is_reported_beyond_the_steps_does_no_harm() -> None:
    steps = np.array([0, 1, 2, 10**12])
    far = Trained(0, 0.5, 8, seen=(steps, np.array([1.0, 0.5, 0.25, 0.1])))
    [(rate, _)] = propose(task(), [far], 1)
    assert rate > 0.5


@pytest.mark.parametrize(("low", "high"), [(1e-300, 1e-290), (1e-307, 1e12), (0.1, 0.1 + 1e-9)])
def test_ranges_of_any_width_anywhere(low: float, high: float) -> None:
    def falling(rate: float, _: int) -> NDArray[np.float64]:
        share = math.log(rate / low) / math.log(high) if high > 1e11 else rate / high
        return np.array([1.0, math.nan]) if share > 0.9 else np.linspace(1.0, 1 - share, 201)

    study, _ = simulate(task(low=low, high=high), falling, trials=30, clients=2)
    assert all(low <= one.learning_rate <= high for one in study)
    assert len({(one.learning_rate, one.steps) for one in study}) == 30


class TestStopping:
    leader = trained(0, 0.8, 100)

    def test_the_leader_and_a_run_alone_go_on(self) -> None:
        alone = trained(1, 0.1, 200, 20, running=True)
        assert hopeless(task(), [alone], 1) is None
        ahead = trained(1, 0.9, 200, 20, running=True)
        assert hopeless(task(), [self.leader, ahead], 1) is None

    def test_one_that_follows_a_higher_rate_that_lasts_stops(self) -> None:
        behind = trained(1, 0.1, 200, 40, running=True)
        reason = hopeless(task(), [self.leader, behind], 1)
        sooner = int(np.argmax(quadratic(0.8, 100) <= quadratic(0.1, 40)[-1]))
        assert reason is not None
        assert reason.startswith("at step 40 the rate 0.1 is behind the rate 0.8")
        assert f"as good at step {sooner}" in reason

    def test_a_lower_one_goes_on_where_the_leader_does_not_last(self) -> None:
        # The leader was as low early, and has gone up and down since.
        losses = np.concatenate([np.linspace(2, 0.5, 11), 0.6 + 0.3 * (np.arange(90) % 2)])
        stuck = Trained(0, 0.8, 100, seen=(np.arange(101), losses))
        lower = Trained(1, 0.4, 200, running=True, seen=(np.arange(41), np.linspace(2, 0.55, 41)))
        assert hopeless(task(), [stuck, lower], 1) is None

    def test_one_beyond_the_edge_stops(self) -> None:
        beyond = trained(1, 1.3, 200, 16, running=True)
        assert "beyond the edge" in str(hopeless(task(), [self.leader, beyond], 1))

    def test_nothing_is_said_of_the_first_steps(self) -> None:
        early = trained(1, 0.01, 200, 5, running=True)
        assert hopeless(task(), [self.leader, early], 1) is None

    def test_nothing_is_said_of_one_that_reports_nothing(self) -> None:
        assert hopeless(task(), [self.leader, Trained(1, 0.01, 200, running=True)], 1) is None


@pytest.mark.parametrize("most", [300, 10**5, 10**12])
def test_curves_of_any_length_reported_now_and_then(most: int) -> None:
    """The same descent, whatever a step is worth: one of a thousand points, each of them reported at its step."""

    def sparse(rate: float, number: int, length: int) -> Trained:
        points = np.unique(np.linspace(most // 100, length, 40).astype(np.int64))
        losses = np.exp(-rate * points / most * 50) if rate < 1 else 10.0 ** (points / most * 200)
        return Trained(number, rate, length, seen=(points, losses), told=(length, float(losses[-1])))

    known: list[Trained] = []
    for number in range(25):
        [(rate, steps)] = propose(task(most_steps=most), known, 1)
        known.append(sparse(rate, number, steps))
    best = best_told(known)
    assert best.steps == most
    assert 0.5 < best.learning_rate < 1
