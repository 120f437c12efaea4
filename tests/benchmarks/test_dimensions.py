"""How searches with a further dimension are measured: the oracle against a closed form, costs against counting."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cache
from benchmarks.dimensions import MOMENTUM, RULE, SEARCHES, Compared, Setting, goals, oracle
from benchmarks.oracle import EPSILONS, Oracle
from benchmarks.problems import Problem

BOWL = Problem("bowl", "design", "quadratic", {"dimension": 2, "condition_number": 100.0})


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "DIRECTORY", tmp_path)


def test_the_oracle_of_momentum_needs_fewer_steps_than_that_of_plain_descent() -> None:
    """Of condition 100 the error shrinks by (κ-1)/(κ+1) = 0.98 a step without momentum, by about 0.82 with the best."""
    plain = Setting("plain", MOMENTUM.space, [{"update_rule": "gradient_descent"}], ())
    without, known = oracle(plain, BOWL), oracle(MOMENTUM, BOWL)
    assert known.best <= without.best
    assert known.steps[1e-4] < without.steps[1e-4] / 2
    assert oracle(MOMENTUM, BOWL) == known


@pytest.mark.parametrize("setting", [MOMENTUM, RULE], ids=["momentum", "rule"])
@pytest.mark.parametrize("name", list(SEARCHES))
def test_searches_are_charged_what_they_ran_and_repeat_themselves(name: str, setting: Setting) -> None:
    objective = BOWL.create()
    parts = list(islice(SEARCHES[name](setting, BOWL, objective, 3), 12))
    assert objective.evaluations == sum(int(part.evaluations.sum()) for part in parts)
    again = islice(SEARCHES[name](setting, BOWL, BOWL.create(), 3), 12)
    assert [part.losses.tolist() for part in again] == [part.losses.tolist() for part in parts]


def compared(setting: Setting, ours: float, tpe: float) -> Compared:
    ratios: dict[str, Any] = {"ours": ours, "tpe": tpe, "the rate alone": 1.0}
    known = Oracle(1.0, 0.0, dict.fromkeys(EPSILONS, 30), (1.0, 1.0))
    return Compared(setting, BOWL, known, {name: dict.fromkeys(EPSILONS, ratio) for name, ratio in ratios.items()})


def test_each_setting_is_judged_by_its_geometric_means() -> None:
    rows = goals([compared(MOMENTUM, 1.0, 4.0), compared(MOMENTUM, 4.0, 16.0), compared(RULE, 2.0, 1.0)])
    assert [(row.ours, row.ratio, row.met) for row in rows[:: len(EPSILONS)]] == [
        ("2.00x the oracle", "4.0x fewer than tpe", True),
        ("2.00x the oracle", "0.5x fewer than tpe", False),
    ]
