"""Lists of trials: filters and orders against those that Python makes of the trials themselves."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.service.definitions import complete, external
from tuner.errors import InvalidInput, StudyNotFound
from tuner.service import studies, trials
from tuner.service.ask import ask
from tuner.service.exclusion import exclude
from tuner.service.listing import ALL, Order, Wanted, listed
from tuner.service.tell import Ending, tell
from tuner.storage.database import Database
from tuner.trial import Trial

LOSSES = [0.5, math.nan, 0.25, 0.5, math.inf, 0.125, 7.0]


@pytest.fixture
def filled(database: Database) -> Database:
    """Seven complete trials, one of them excluded, a failed one, two running and a waiting one."""
    studies.create(database, external())
    leases = ask(database, "resnet", count=10).trials
    tell(database, "resnet", [complete(lease, loss) for lease, loss in zip(leases, LOSSES, strict=False)])
    tell(database, "resnet", [Ending(leases[7].number, 1, "failed")])
    trials.enqueue(database, "resnet", {"learning_rate": 0.1, "steps": 3})
    exclude(database, "resnet", 2)
    return database


def numbers(database: Database, wanted: Wanted = ALL, order: str = "number") -> list[int]:
    return [trial.number for trial in listed(database, "resnet", wanted=wanted, order=Order.parse(order)).trials]


KEYS: dict[str, Callable[[Trial], Any]] = {
    "number": lambda trial: trial.number,
    "state": lambda trial: trial.state.value,
    "verdict": lambda trial: trial.verdict,
    "value": lambda trial: trial.objective_value,
    "steps_run": lambda trial: trial.steps_run,
    "gradient_evaluations": lambda trial: trial.gradient_evaluations,
    "finished_at": lambda trial: trial.finished_at,
    "parameters.learning_rate": lambda trial: trial.parameters["learning_rate"],
    "parameters.steps": lambda trial: trial.parameters["steps"],
}


@pytest.mark.parametrize("column", KEYS)
@pytest.mark.parametrize("descending", [False, True])
def test_an_order_is_that_of_the_column_with_what_has_none_last(
    filled: Database, column: str, descending: bool
) -> None:
    everything = trials.page(filled, "resnet").trials
    having = [trial for trial in everything if KEYS[column](trial) is not None]
    expected = sorted(having, key=KEYS[column], reverse=descending)
    # Equal ones stay by number, also where the order descends.
    if descending:
        keys = sorted({KEYS[column](trial) for trial in having}, reverse=True)
        expected = [trial for key in keys for trial in having if KEYS[column](trial) == key]
    expected += [trial for trial in everything if KEYS[column](trial) is None]
    found = listed(filled, "resnet", order=Order(column, descending))
    assert found.trials == expected
    assert found.total == len(everything)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(states=["running", "failed"]), [7, 8, 9]),
        (Wanted(states=["waiting"]), [10]),
        (Wanted(excluded=True), [2]),
        (Wanted(excluded=False, states=["complete"]), [0, 1, 3, 4, 5, 6]),
        (Wanted(rate_from=0.1, rate_to=0.1), [10]),
        (Wanted(rate_from=2.0), []),
        (Wanted(verdicts=["diverged"]), []),
    ],
)
def test_a_filter_leaves_those_that_fit(filled: Database, wanted: Wanted, expected: list[int]) -> None:
    assert numbers(filled, wanted) == expected
    assert numbers(filled, wanted, "-number") == expected[::-1]


@pytest.mark.parametrize("order", ["number", "-number", "value", "-parameters.learning_rate"])
def test_pages_put_together_are_the_list(filled: Database, order: str) -> None:
    whole = numbers(filled, order=order)
    seen: list[int] = []
    token: str | None = None
    while True:
        page = listed(filled, "resnet", order=Order.parse(order), page_size=4, page_token=token)
        assert (page.total, page.start) == (11, len(seen))
        seen += [trial.number for trial in page.trials]
        token = page.next_page_token
        if token is None:
            break
    assert seen == whole
    assert sorted(seen) == list(range(11))
    assert listed(filled, "resnet", page_token="400").trials == []


def test_a_list_follows_what_is_written(filled: Database) -> None:
    assert numbers(filled, Wanted(states=["complete"]), "value")[0] == 5
    tell(filled, "resnet", [Ending(8, 1, "complete", {"loss": 0.0})])
    exclude(filled, "resnet", 5)
    assert numbers(filled, Wanted(states=["complete"], excluded=False), "value")[:3] == [8, 0, 3]


@pytest.mark.parametrize("order", ["nothing", "parameters.nothing", "", "-", "--number", "learning_rate"])
def test_a_column_that_there_is_not_is_refused_by_name(filled: Database, order: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        numbers(filled, order=order)
    assert [error.field for error in refused.value.fields] == ["sort"]
    assert "parameters.learning_rate" in str(refused.value.fields[0].message)


def test_a_study_without_trials_has_an_empty_list(database: Database) -> None:
    studies.create(database, external())
    for order in ("number", "-value", "parameters.steps"):
        assert listed(database, "resnet", order=Order.parse(order)).trials == []
    with pytest.raises(StudyNotFound):
        listed(database, "nothing")
