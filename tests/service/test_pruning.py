"""Pruning: reports as they come decide who should stop, on both databases."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from sqlalchemy import Connection, event, func, select

from tests.service.definitions import SPACE, external, registered
from tuner.errors import InvalidInput
from tuner.service import report as service_report
from tuner.service import studies
from tuner.service import trials as service_trials
from tuner.service.ask import ask
from tuner.service.leases import release
from tuner.service.open_study import open_study
from tuner.service.pruning import Advance, judge
from tuner.service.report import NewPoints, Reported
from tuner.service.resolution import resolve
from tuner.storage import studies as studies_table
from tuner.storage import trials
from tuner.storage.database import Database
from tuner.storage.tables import rung as table
from tuner.trial import Lease

Report = tuple[int, Sequence[int], ArrayLike]
"""A trial's number, steps, and values there."""

MEDIAN = {"name": "median", "settings": {"n_startup_trials": 3, "n_warmup_steps": 0}}


def begin(database: Database, pruner: dict[str, Any] | None, count: int = 1, **changes: Any) -> list[Lease]:
    """A study whose trials all have 200 steps, and its first trials."""
    space = {**SPACE, "steps": {"type": "int", "low": 200, "high": 200}}
    studies.create(database, external(pruner=pruner, search_space=space, **changes))
    return ask(database, "resnet", count=count).trials


def report(database: Database, *reports: Report, last_step: int | None = None) -> dict[int, str]:
    """Report the goal's metric, and another one at a step; number → why it should stop."""
    goal = studies.get(database, "resnet")[0].definition
    assert goal is not None
    other = [] if last_step is None else [NewPoints("seconds", [last_step], [1.0])]
    answers = service_report.report(
        database,
        "resnet",
        [
            service_report.Report(
                number, attempt_of(database, number), [NewPoints(goal.goal.metric, steps, values), *other]
            )
            for number, steps, values in reports
        ],
    )
    found = {}
    for (number, _, _), answer in zip(reports, answers, strict=True):
        assert isinstance(answer, Reported)
        assert answer.should_stop == (answer.reason is not None)
        if answer.reason is not None:
            found[number] = answer.reason
    return found


def attempt_of(database: Database, number: int) -> int:
    return service_trials.get(database, "resnet", number).attempt


def begin_again(database: Database) -> None:
    """Give every trial back, and out again."""
    running = service_trials.page(database, "resnet", states=["running"]).trials
    release(database, "resnet", [(trial.number, trial.attempt) for trial in running])
    ask(database, "resnet", count=len(running))


def rows(database: Database) -> list[tuple[int, int, int, float | None]]:
    """Every rung that is stored: bracket, step, trial's number, value."""

    def work(connection: Connection) -> list[tuple[int, int, int, float | None]]:
        study_id = studies_table.get(connection, "resnet").id
        numbers = {record.id: record.number for record in trials.page(connection, study_id)}
        found = connection.execute(select(table.c.bracket, table.c.step, table.c.trial_id, table.c.value))
        return sorted((bracket, step, numbers[trial_id], value) for bracket, step, trial_id, value in found)

    return database.read(work)


def exclude(database: Database, numbers: Iterable[int]) -> None:
    def work(connection: Connection) -> None:
        records = trials.get_many(connection, studies_table.get(connection, "resnet").id, list(numbers))
        for record in records.values():
            trials.change(connection, record.id, excluded=True)

    database.write(work)


def test_what_is_worse_than_the_median_at_a_rung_should_stop(database: Database) -> None:
    begin(database, MEDIAN, count=5)
    fields = [(number, range(1, 9), [4.0] * 7 + [float(number)]) for number in range(4)]
    assert report(database, *fields) == {
        2: "worse than the median of 3 trials at step 8: 2 against 1",
        3: "worse than the median of 3 trials at step 8: 3 against 1",
    }
    assert report(database, (4, range(1, 8), [5.0] * 7)) == {
        4: "worse than the median of 4 trials at step 4: 5 against 4"
    }
    # A trial that was told so is told again, and in the same words, whatever it reports.
    assert report(database, (4, [9], [0.0])) == {4: "worse than the median of 4 trials at step 4: 5 against 4"}
    assert report(database, (0, [9], [9.0])) == {}


def test_a_row_for_each_rung_and_none_for_each_point(database: Database) -> None:
    begin(database, MEDIAN)
    report(database, (0, range(150), np.linspace(3, 1, 150)))
    assert [(step, number) for _, step, number, _ in rows(database)] == [(2**k, 0) for k in range(8)]
    values = {step: value for _, step, _, value in rows(database)}
    assert values == {step: pytest.approx(np.linspace(3, 1, 150)[step]) for step in values}


def test_no_statement_without_a_rung(database: Database) -> None:
    begin(database, MEDIAN)
    report(database, (0, range(1, 9), np.ones(8)))

    def statements(connection: Connection, steps: list[int]) -> int:
        with open_study(connection, "resnet") as study:
            record = trials.get(connection, study.record.id, 0)
            seen: list[str] = []
            listen = lambda _c, _u, statement, *_: seen.append(statement)  # noqa: E731
            event.listen(connection, "before_cursor_execute", listen)
            judge(study, [Advance(record, np.array(steps, dtype=np.int64), np.ones(len(steps)))])
            event.remove(connection, "before_cursor_execute", listen)
            return len(seen)

    assert database.write(lambda connection: statements(connection, [9, 10, 15])) == 0
    # One to write all rungs, one to read the peers at the last.
    assert database.write(lambda connection: statements(connection, [9, 16, 32, 70])) == 2


@pytest.mark.parametrize("pruner", ["median", "percentile", "asha", "hyperband"])
def test_it_is_the_same_however_trials_are_taken_together(database: Database, pruner: str) -> None:
    begin(database, {"name": pruner}, count=30)
    rng = np.random.default_rng(1)
    curves = np.minimum.accumulate(rng.exponential(size=(30, 200)), axis=1)
    told = report(database, *((number, range(1, 100), curves[number, :99]) for number in range(30)))
    assert 0 < len(told) < 30
    again = report(database, *((number, range(100, 150), curves[number, 99:149]) for number in range(30)))
    assert told.items() <= again.items()


def test_maximising_is_minimising_seen_in_a_mirror(database: Database) -> None:
    begin(database, MEDIAN, count=6, goal={"maximize": "accuracy"})
    fields = [(number, range(1, 9), np.linspace(0, number / 8, 8)) for number in range(1, 6)]
    assert set(report(database, *fields)) == {1, 2}
    assert report(database, (0, range(1, 9), np.linspace(0, 0.25, 8))) == {
        0: "worse than the median of 5 trials at step 8: 0.25 against 0.375"
    }


def test_not_finite_values_are_worst_and_break_nothing(database: Database) -> None:
    begin(database, MEDIAN, count=8)
    diverged = [(number, [1, 2], [math.inf, math.nan]) for number in range(5)]
    report(database, *diverged)
    assert {value for _, _, _, value in rows(database)} == {None}
    assert report(database, (5, [1, 2], [3.0, 2.0])) == {}
    assert report(database, (6, [1, 2, 3], [-math.inf, math.nan, 1.0])) == {6: "no finite value up to step 2"}
    assert report(database, (7, [1, 2], [math.nan, 2.0])) == {}


def test_excluded_trials_are_no_peers(database: Database) -> None:
    begin(database, MEDIAN, count=7)
    report(database, *((number, [1], [0.0]) for number in range(3)))
    exclude(database, range(3))
    assert report(database, *((number, [1], [5.0]) for number in range(3, 6))) == {}
    assert report(database, (6, [1], [4.0])) == {}


def test_a_trial_that_has_run_all_its_steps_is_left_to_end(database: Database) -> None:
    begin(database, {"name": "asha", "settings": {"min_resource": 10}}, count=3)
    report(database, (0, range(1, 201), np.linspace(3, 0, 200)))
    assert report(database, (1, range(1, 200), np.linspace(3, 1, 199))) != {}
    assert report(database, (2, range(1, 201), np.linspace(3, 1, 200))) == {}
    assert {number for _, _, number, _ in rows(database)} == {0, 1, 2}


def test_a_second_attempt_replaces_the_first_ones_values(database: Database) -> None:
    begin(database, MEDIAN)
    report(database, (0, range(1, 5), [4.0, 3.0, 2.0, 1.0]))
    begin_again(database)
    report(database, (0, range(1, 3), [9.0, 8.0]))
    assert rows(database) == [(0, 1, 0, 9.0), (0, 2, 0, 8.0), (0, 4, 0, 1.0)]


def test_steps_of_other_metrics_cross_rungs_too(database: Database) -> None:
    begin(database, MEDIAN)
    report(database, (0, [], []), last_step=3)
    assert rows(database) == []
    report(database, (0, [4], [2.0]), last_step=4)
    report(database, (0, [], []), last_step=20)
    assert rows(database) == [(0, 4, 0, 2.0), (0, 8, 0, 2.0), (0, 16, 0, 2.0)]


def test_hyperband_compares_within_brackets(database: Database) -> None:
    pruner = {"name": "hyperband", "settings": {"min_resource": 20, "max_resource": 200}}
    leases = begin(database, pruner, count=23)
    told = report(database, *((lease.number, range(1, 150), [float(lease.number)] * 149) for lease in leases))
    brackets: dict[int, set[int]] = {}
    for bracket, _, number, _ in rows(database):
        brackets.setdefault(bracket, set()).add(number)
    # Three brackets, of which the last has no rungs.
    assert set(brackets) == {0, 1}
    assert not brackets[0] & brackets[1]
    stay = {number for members in brackets.values() for number in sorted(members)[: max(1, len(members) // 3)]}
    assert set(told) == (brackets[0] | brackets[1]) - stay


@pytest.mark.parametrize("min_delta", [0.0, 0.5])
def test_patience_goes_on_from_report_to_report(database: Database, min_delta: float) -> None:
    begin(database, {"name": "patient", "settings": {"patience": 20, "min_delta": min_delta}}, count=2)
    assert report(database, (0, range(1, 11), np.linspace(10, 1, 10)), (1, range(1, 11), np.linspace(10, 1, 10))) == {}
    # 0 gains 0.2 once more, 1 gains 0.6.
    assert report(database, (0, [15], [0.8]), (1, [15], [0.4])) == {}
    assert set(report(database, (0, [30], [0.9]), (1, [30], [0.9]))) == (set() if min_delta == 0 else {0})
    assert set(report(database, (0, [34], [0.9]), (1, [34], [0.9]))) == (set() if min_delta == 0 else {0})
    assert set(report(database, (0, [35], [0.9]), (1, [35], [0.9]))) == {0, 1}


def test_a_second_attempt_has_its_patience_before_it(database: Database) -> None:
    begin(database, {"name": "patient", "settings": {"patience": 20, "min_delta": 0.1}})
    report(database, (0, range(1, 11), np.linspace(10, 1, 10)))
    begin_again(database)
    assert report(database, (0, [], []), last_step=1) == {}
    assert report(database, (0, [2], [5.0])) == {}
    assert report(database, (0, [21], [5.0])) == {}
    assert report(database, (0, [22], [5.0])) == {
        0: "nothing better by more than 0.1 in 20 steps: 5 at step 2, now at step 22"
    }


def test_patience_asks_the_pruner_within_it(database: Database) -> None:
    begin(database, {"name": "patient", "settings": {"patience": 20, "pruner": MEDIAN}}, count=6)
    report(database, *((number, range(1, 20), np.linspace(2, 1, 19)) for number in range(4)))
    # Worse than the others but improving, then not improving any more; and not improving, but better than the others.
    assert report(database, (4, range(1, 18), np.linspace(9, 5, 17)), (5, range(1, 18), [0.5] * 17)) == {}
    assert report(database, (4, range(18, 37), [5.0] * 19), (5, range(18, 37), [0.5] * 19)) == {}
    told = report(database, (4, [37], [5.0]), (5, [37], [0.5]))
    assert told == {}, "nobody else has reached step 32 yet"
    report(database, *((number, range(20, 34), np.linspace(1, 0.9, 14)) for number in range(4)))
    assert report(database, (4, [38], [5.0]), (5, [38], [0.5])) == {
        4: "nothing better in 21 steps: 5 at step 17, now at step 38; "
        "worse than the median of 5 trials at step 32: 5 against 0.907692"
    }


def test_reports_that_come_at_once_and_in_any_order_are_one(database: Database) -> None:
    begin(database, MEDIAN, count=5)
    lower = [
        service_report.Report(number, 1, [NewPoints("loss", [8, 3, 3], [float(number), 9.0, 8.0])])
        for number in range(4)
    ]
    # Two reports of one trial at once; steps in any order, and again.
    upper = [service_report.Report(4, 1, [NewPoints("loss", [7, 1], [7.0, 7.0])])]
    upper += [service_report.Report(4, 1, [NewPoints("loss", [8, 7], [6.0, 5.0])])]
    service_report.report(database, "resnet", lower)
    answers = service_report.report(database, "resnet", upper)
    reason = "worse than the median of 4 trials at step 8: 5 against 1.5"
    assert [isinstance(answer, Reported) and answer.reason for answer in answers] == [reason, reason]
    assert rows(database)[-5:] == [(0, 8, number, value) for number, value in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 5)]]


def test_thresholds_need_no_rungs(database: Database) -> None:
    begin(database, {"name": "threshold", "settings": {"upper": 10.0}}, count=3)
    assert report(database, (0, [1, 2], [20.0, 5.0]), (1, [1, 2], [5.0, 20.0]), (2, [1], [10.0])) == {
        1: "above 10 at step 2: 20"
    }
    assert rows(database) == []


def test_only_so_many_peers_are_read(database: Database) -> None:
    begin(database, MEDIAN, count=600, budget={"trials": 700})
    report(database, *((number, [1], [0.0]) for number in range(99)))
    report(database, *((number, [1], [1.0]) for number in range(99, 599)))
    # 500 are compared with, this one among them in the count: the old, better ones are forgotten.
    assert report(database, (599, [1], [1.0])) == {}
    assert report(database, (50, [2, 4], [1.0, 1.0])) == {}


@pytest.mark.parametrize(
    "pruner",
    [
        MEDIAN,
        {"name": "hyperband"},
        {"name": "patient", "settings": {"patience": 5, "pruner": {"name": "asha"}}},
    ],
)
def test_a_study_keeps_its_pruner_and_can_be_changed(database: Database, pruner: Mapping[str, Any]) -> None:
    definition = external(pruner=pruner)
    created, _ = studies.create(database, definition)
    assert created.definition == resolve(definition)
    again, is_new = studies.create(database, definition)
    assert (again.definition, is_new) == (created.definition, False)
    changed, _ = studies.change(database, "resnet", {"notes": "longer", "budget": {"trials": 7}})
    assert changed.definition is not None
    assert created.definition is not None
    assert changed.definition.pruner == created.definition.pruner


def test_a_registered_objective_takes_no_pruner() -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve(registered(pruner=MEDIAN))
    assert [error.field for error in caught.value.fields] == ["pruner"]


def test_rungs_do_not_outlive_their_study(database: Database) -> None:
    begin(database, MEDIAN)
    report(database, (0, range(1, 9), np.ones(8)))
    studies.delete(database, "resnet")
    assert (
        database.read(lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()) == 0
    )
