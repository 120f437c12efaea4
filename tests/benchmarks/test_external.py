"""How studies of clients are measured: steps and trials as the service counts them, until the target is told."""

import math

import pytest

from benchmarks import external
from benchmarks.external import SEARCHES, Spent, spend
from benchmarks.problems import MOST_STEPS, Problem

BOWL = Problem("bowl", "design", "quadratic", {"dimension": 2, "condition_number": 10.0})


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("clients", [1, 3])
def test_clients_train_until_one_tells_the_target(search: str, clients: int) -> None:
    start = float(BOWL.create().value_and_gradient(BOWL.create().initial_parameters(0)[None])[0][0])
    found = spend(BOWL, search, clients, 0, 0.1 * start)
    assert found.steps is not None
    assert found.steps <= MOST_STEPS * found.trials
    assert found == spend(BOWL, search, clients, 0, 0.1 * start)


def test_who_does_not_get_there_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "LIMIT", 200)
    found = spend(BOWL, "trajectory", 2, 0, -math.inf)
    assert found == Spent(None, found.trials)
    assert found.trials >= 2
