"""Carrying out a plan in memory: what it answers is what full descents give, and it spends what it may, no more."""

import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.problems import Counted
from tuner.descent import Descent, Row
from tuner.objectives import create
from tuner.search.trajectory import Limit, Pass, Plan, Probe, Progress, Request, Run, Task, Trajectory, carry_out
from tuner.search.trajectory.carry_out import MOST_PROBES, shorten

Answers = list[Sequence[Trajectory] | Limit]


def quadratic() -> Counted:
    return Counted(create("quadratic", {"dimension": 4, "condition_number": 10.0}))


def task(**options: Any) -> Task:
    return Task(**{"low": 1e-5, "high": 1e200, "fewest_steps": 1, "most_steps": 200, **options})


def scripted(requests: Sequence[Request], answers: Answers) -> Plan:
    """A plan that asks for these, whatever it is answered."""
    for request in requests:
        answers.append((yield request))


def run(requests: Sequence[Request], objective: Counted, **options: Any) -> tuple[Answers, list[Progress]]:
    answers: Answers = []
    progress = list(carry_out(scripted(requests, answers), task(**options), objective, initial_seed=1))
    assert sum(part.evaluations for part in progress) == objective.evaluations
    return answers, progress


def full(rate: float, steps: int) -> Any:
    descent = Descent(quadratic(), [Row(rate, steps)], initial_seed=1)
    descent.advance()
    return descent.loss_curve(0).values


def trajectories(answer: Sequence[Trajectory] | Limit) -> Sequence[Trajectory]:
    assert not isinstance(answer, Limit)
    return answer


# Answers


def test_a_continued_rate_is_the_run_from_the_start_and_nothing_is_evaluated_twice() -> None:
    objective = quadratic()
    passes = [Pass([Run(1.5, 10), Run(0.3, 20)], keep={0.3}), Pass([Run(1.5, 50)], keep={0.3}), Pass([Run(0.3, 30)])]
    answers, progress = run(passes, objective)
    np.testing.assert_array_equal(trajectories(answers[1])[0].losses, full(1.5, 50))
    np.testing.assert_array_equal(trajectories(answers[2])[0].losses, full(0.3, 30))
    assert objective.evaluations == 1 + 50 + 30
    assert [list(part.since) for part in progress] == [[], [0, 0], [10], [20]]


def test_a_rate_that_left_the_finite_numbers_ends_there_and_costs_no_more() -> None:
    objective = quadratic()
    answers, _ = run([Pass([Run(1e100, 50)]), Pass([Run(1e100, 99)])], objective)
    losses = trajectories(answers[0])[0].losses
    assert not math.isfinite(losses[-1])
    assert objective.evaluations == len(losses) < 51
    np.testing.assert_array_equal(trajectories(answers[1])[0].losses, losses)


def test_a_ceiling_ends_a_run_and_the_rate_can_still_go_on() -> None:
    free = full(2.5, 60)
    ceiling = float(free[7])
    first = int(np.argmax(free > ceiling))
    answers, _ = run([Pass([Run(2.5, 60, ceiling)]), Pass([Run(2.5, 40)])], quadratic())
    np.testing.assert_array_equal(trajectories(answers[0])[0].losses, free[: first + 1])
    np.testing.assert_array_equal(trajectories(answers[1])[0].losses, free[:41])


def test_a_probe_finds_the_limit_and_is_counted() -> None:
    objective = quadratic()
    answers, progress = run([Probe()], objective)
    [limit] = answers
    assert isinstance(limit, Limit)
    assert limit.learning_rate == pytest.approx(2.0, rel=0.1)
    assert 1 < objective.evaluations <= 1 + MOST_PROBES
    assert len(progress) == 2


def test_a_run_to_where_the_rate_stands_costs_nothing() -> None:
    objective = quadratic()
    answers, _ = run([Pass([Run(0.5, 10)]), Pass([Run(0.5, 4)])], objective)
    assert trajectories(answers[1])[0].steps == 10
    assert objective.evaluations == 11


@pytest.mark.parametrize(
    "requests",
    [
        [Pass([Run(0.5, 10), Run(0.5, 20)])],
        [Pass([Run(1e-6, 10)])],
        [Pass([Run(0.5, 201)])],
        [Pass([Run(0.5, 10)]), Pass([Run(0.4, 10)]), Pass([Run(0.5, 20)])],
    ],
    ids=["twice", "below the range", "too long", "done with"],
)
def test_what_a_plan_must_not_ask_is_an_error(requests: list[Request]) -> None:
    with pytest.raises(ValueError, match=r"twice|outside|done with"):
        run(requests, quadratic())


# Means


def lockstep(runs: Sequence[Run], since: Sequence[int], evaluations: int) -> list[int]:
    """One evaluation after another: step by step, at each step the first runs first."""
    ends = list(since)
    for step in range(1, max((run.steps for run in runs), default=0) + 1):
        for place, run in enumerate(runs):
            if since[place] < step <= run.steps and evaluations:
                ends[place] += 1
                evaluations -= 1
    return ends


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=6), st.integers(0, 80))
def test_a_pass_is_shortened_as_if_spent_one_by_one(spans: list[tuple[int, int]], evaluations: int) -> None:
    runs = [Run(0.1 * (place + 1), steps) for place, (steps, _) in enumerate(spans)]
    since = [first for _, first in spans]
    assert shorten(runs, since, evaluations) == lockstep(runs, since, evaluations)


some_passes = st.lists(
    st.lists(
        st.builds(
            Run, st.sampled_from([0.1, 0.7, 1.9, 2.5, 1e80]), st.integers(1, 60), st.sampled_from([3.0, math.inf])
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda run: run.learning_rate,
    ),
    max_size=4,
)


@settings(deadline=None)
@given(some_passes, st.integers(0, 300))
def test_means_are_spent_exactly_and_every_loss_is_that_of_a_full_run(asked: list[list[Run]], means: int) -> None:
    everything = {0.1, 0.7, 1.9, 2.5, 1e80}
    passes = [Pass(runs, keep=everything) for runs in asked]
    unlimited = quadratic()
    run(passes, unlimited)
    objective = quadratic()
    answers, _ = run(passes, objective, evaluations=means)
    assert objective.evaluations == min(means, unlimited.evaluations)
    for answer in answers:
        for one in trajectories(answer):
            np.testing.assert_array_equal(one.losses, full(one.learning_rate, one.steps))


def test_rows_that_end_early_leave_their_means_to_the_others() -> None:
    objective = quadratic()
    _, progress = run([Pass([Run(1e100, 100), Run(0.5, 100)])], objective, evaluations=60)
    assert objective.evaluations == 60
    diverged = progress[1].trajectories[0]
    assert not math.isfinite(diverged.losses[-1])
    assert progress[-1].trajectories[0].steps == 59 - diverged.steps


def test_rates_beyond_the_number_of_trials_are_refused() -> None:
    answers, _ = run([Pass([Run(0.5, 5), Run(0.4, 5)]), Pass([Run(0.3, 5), Run(0.5, 9)])], quadratic(), trials=2)
    assert [one.learning_rate for one in trajectories(answers[1])] == [0.5]


def test_no_means_are_no_evaluation() -> None:
    objective = quadratic()
    assert run([Probe()], objective, evaluations=0) == ([], [])
    assert objective.evaluations == 0


def test_a_plan_can_be_over_at_once() -> None:
    def nothing() -> Generator[Request, Sequence[Trajectory] | Limit, None]:
        yield from ()

    objective = quadratic()
    assert sum(part.evaluations for part in carry_out(nothing(), task(), objective)) == objective.evaluations == 1
