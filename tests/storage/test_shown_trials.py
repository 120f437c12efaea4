"""The trials that samplers look at: the right ones, on both databases, and no more than were asked for."""

import math
import random
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, text

from tests.storage.rows import MOMENT, add_study, add_trials
from tuner.definition import StudyDefinition
from tuner.search.sight import Listed, Trials, spread
from tuner.storage import driver, studies, trials
from tuner.storage.columns import Columns
from tuner.storage.database import Database
from tuner.storage.frozen import distributions
from tuner.storage.known_trials import read_trials
from tuner.storage.shown_trials import ShownTrials
from tuner.storage.studies import StudyRecord

T = TypeVar("T")


def a_definition(direction: str = "minimize") -> StudyDefinition:
    return StudyDefinition.model_validate(
        {"name": "s", "search_space": {"x": {"type": "float", "low": 0.0, "high": 1.0}}, "goal": {direction: "loss"}}
    )


def a_study(database: Database, direction: str = "minimize") -> StudyRecord:
    """A study of ours, with a definition."""
    return add_study(database, definition=a_definition(direction), directions=[direction])


def fill(database: Database, study: StudyRecord, count: int, seed: int = 0) -> None:
    """Trials in all states, some excluded, many of equal values."""
    draw = random.Random(seed)
    for number in range(count):
        state = draw.choice(["complete", "complete", "complete", "pruned", "failed", "running", "waiting"])
        loss = draw.choice([0.25, 0.5, 0.5, "NaN", "Infinity", draw.random()]) if state == "complete" else None
        add_trials(
            database,
            study.id,
            1,
            first=number,
            state=state,
            parameters={"x": draw.random()},
            values=None if loss is None else {"loss": loss},
            objective_value=loss if isinstance(loss, float) else None,
            excluded=draw.random() < 0.1,
            started_at=MOMENT,
            finished_at=MOMENT if state in trials.FINISHED else None,
        )
    database.write(lambda connection: studies.change(connection, study.id, next_number=count))


def looking(database: Database, study: StudyRecord, work: Callable[[ShownTrials], T]) -> T:
    """Look at the study's trials as an ask does."""

    def at(connection: Connection) -> T:
        shown = ShownTrials(connection, studies.get_by_id(connection, study.id, lock=True))
        result = work(shown)
        shown.remember()
        return result

    return database.write(at)


def everything(database: Database, study: StudyRecord) -> Listed:
    """By definition: every trial that is not excluded, in memory."""

    def read(connection: Connection) -> Listed:
        records = trials.page(connection, study.id)
        excluded = {record.number for record in records if record.excluded}
        found = read_trials(connection, study, ["waiting", "running", "complete", "failed", "pruned"])
        return Listed([one for one in found if one.number not in excluded], {}, study.directions[0])

    return database.read(read)


def plain(found: list[FrozenTrial]) -> list[tuple[Any, ...]]:
    return [(one.number, one._trial_id, one.state, one.values, one.params, one.distributions) for one in found]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_each_part_is_what_it_is_defined_to_be(database: Database, direction: str) -> None:
    study = a_study(database, direction)
    fill(database, study, 120)
    defined = everything(database, study)

    def parts(it: Trials) -> list[list[int]]:
        return [list(part(count)) for part in (it.best, it.latest, it.running) for count in (1, 25, 500)]

    def shown(it: Trials) -> list[Any]:
        return [plain(it.show(numbers)) for numbers in (range(120), range(0, 120, 7), [119, 3, 3, 500], [])]

    assert looking(database, study, parts) == parts(defined)
    assert looking(database, study, shown) == shown(defined)
    assert looking(database, study, shown) == shown(defined)
    ids = {one._trial_id for one in defined.show(range(50, 70))}
    by_id = looking(database, study, lambda it: it.show(it.of_ids(ids)))
    assert plain(by_id) == plain(defined.show(range(50, 70)))
    assert looking(database, study, lambda it: it.next_number) == 120


def test_what_is_remembered_is_what_is_read_anew_whatever_happens_in_between(
    database: Database, database_url: str
) -> None:
    study = a_study(database)
    fill(database, study, 60)
    draw = random.Random(1)

    def look(it: ShownTrials) -> list[FrozenTrial]:
        return it.show({*it.best(5), *it.running(10), *spread(it.next_number, 16)})

    for _ in range(40):
        records = database.read(lambda connection: trials.page(connection, study.id))
        unfinished = [record for record in records if record.state in {"waiting", "running"}]
        if unfinished:
            record = draw.choice(unfinished)
            state = draw.choice(["complete", "failed", "pruned", "waiting", "running"])
            loss = draw.random() if state == "complete" else None
            columns: dict[str, Any] = {
                "state": state,
                "values": None if loss is None else {"loss": loss},
                "objective_value": loss,
            }
            database.write(partial(trials.change, trial_id=record.id, **columns))
        add_trials(database, study.id, 1, first=len(records), state="running", parameters={"x": draw.random()})
        database.write(lambda connection: studies.increase(connection, study.id, next_number=1))
        with closing(Database(database_url)) as anew:
            assert plain(looking(database, study, look)) == plain(looking(anew, study, look))


def test_columns_hold_what_is_shown_whatever_is_remembered(database: Database, database_url: str) -> None:
    study = a_study(database)
    fill(database, study, 60)
    draw = random.Random(2)
    space = distributions(a_definition().search_space)

    def both(it: ShownTrials) -> tuple[Columns | None, Columns]:
        numbers = sorted({*it.best(5), *it.running(10), *spread(it.next_number, 16), it.next_number + 3})
        return it.columns(np.array(numbers)), Columns.of_trials(it.show(numbers), space)

    for _ in range(40):
        records = database.read(lambda connection: trials.page(connection, study.id))
        record = draw.choice([record for record in records if record.state in {"waiting", "running"}] or records)
        state = draw.choice(["complete", "failed", "pruned", "waiting", "running"])
        loss = draw.choice([draw.random(), "Infinity", "NaN"]) if state == "complete" else None
        columns: dict[str, Any] = {
            "state": state,
            "values": None if loss is None else {"loss": loss},
            "objective_value": loss if isinstance(loss, float) else None,
        }
        if record.state in {"waiting", "running"}:
            database.write(partial(trials.change, trial_id=record.id, **columns))
        add_trials(database, study.id, 1, first=len(records), state="running", parameters={"x": draw.random()})
        database.write(lambda connection: studies.increase(connection, study.id, next_number=1))
        ours, shown = looking(database, study, both)
        assert ours is not None
        assert np.array_equal(ours.table, shown.table, equal_nan=True)


def test_there_are_no_columns_of_what_they_do_not_hold(database: Database) -> None:
    study = a_study(database)
    done: dict[str, Any] = {
        "state": "complete",
        "values": {"loss": 1.0},
        "objective_value": 1.0,
        "parameters": {"x": 0.5},
    }
    add_trials(database, study.id, 3, **done)
    assert looking(database, study, lambda it: it.columns(np.arange(3))) is not None
    add_trials(database, study.id, 1, first=3, **done, system_attrs={"constraints": [1.0]})
    assert looking(database, study, lambda it: it.columns(np.arange(4))) is None
    assert looking(database, study, lambda it: it.columns(np.arange(3))) is not None
    two = add_study(database, name="two", directions=["minimize", "minimize"])
    assert looking(database, two, lambda it: it.columns(np.arange(3))) is None


def test_an_excluded_trial_is_forgotten_with_the_version_it_belonged_to(database: Database) -> None:
    study = a_study(database)
    add_trials(
        database, study.id, 3, state="complete", parameters={"x": 0.5}, values={"loss": 1.0}, objective_value=1.0
    )

    def look(it: ShownTrials) -> list[int]:
        return [one.number for one in it.show(it.best(3))]

    assert looking(database, study, look) == [0, 1, 2]
    [record] = database.read(lambda connection: trials.get_many(connection, study.id, [1])).values()

    def exclude(connection: Connection) -> None:
        trials.change(connection, record.id, excluded=True)
        studies.increase(connection, study.id, version=1)

    database.write(exclude)
    assert looking(database, study, look) == [0, 2]
    assert [one.number for one in looking(database, study, lambda it: it.show(range(3)))] == [0, 2]


def test_what_was_never_committed_is_not_remembered(database: Database) -> None:
    study = a_study(database)
    database.write(lambda connection: studies.change(connection, study.id, next_number=1))

    def running_then_broken(connection: Connection) -> None:
        columns = {"state": "complete", "values": {"loss": 1.0}, "objective_value": 1.0}
        rows = [{"study_id": study.id, "number": 0, "parameters": {"x": 0.1}, "user_attrs": {}, "system_attrs": {}}]
        trials.create(connection, [row | columns | {"created_at": MOMENT, "updated_at": MOMENT} for row in rows])
        shown = ShownTrials(connection, studies.get_by_id(connection, study.id, lock=True))
        assert [one.params for one in shown.show([0])] == [{"x": 0.1}]
        shown.remember()
        raise KeyError

    with pytest.raises(KeyError):
        database.write(running_then_broken)
    assert looking(database, study, lambda it: it.show([0])) == []
    add_trials(database, study.id, 1, state="running", parameters={"x": 0.9})
    assert [one.params for one in looking(database, study, lambda it: it.show([0]))] == [{"x": 0.9}]


def test_what_a_savepoint_took_back_is_not_remembered(database: Database) -> None:
    study = a_study(database)

    def partly(connection: Connection) -> None:
        savepoint = connection.begin_nested()
        row = {"study_id": study.id, "number": 0, "parameters": {"x": 0.1}, "user_attrs": {}, "system_attrs": {}}
        trials.create(connection, [row | {"state": "running", "created_at": MOMENT, "updated_at": MOMENT}])
        shown = ShownTrials(connection, studies.get_by_id(connection, study.id, lock=True))
        assert len(shown.show(shown.running(1))) == 1
        shown.remember()
        savepoint.rollback()

    database.write(partly)
    add_trials(database, study.id, 1, state="running", parameters={"x": 0.9})
    assert [one.params for one in looking(database, study, lambda it: it.show(it.running(1)))] == [{"x": 0.9}]


def test_an_optuna_programs_running_trial_is_seen_to_grow(database: Database) -> None:
    study = a_study(database)
    [record] = add_trials(database, study.id, 1, state="running", distributions={})

    def look(it: ShownTrials) -> list[dict[str, Any]]:
        columns = it.columns(np.array(it.running(1)))
        assert columns is not None
        shown = [one.params for one in it.show(it.running(1))]
        assert columns.parameters.tolist() == [[one.get("x", pytest.approx(math.nan, nan_ok=True)) for one in shown]]
        return shown

    assert looking(database, study, look) == [{}]
    distribution = distribution_to_json(FloatDistribution(0, 1))
    database.write(
        lambda connection: trials.change(
            connection, record.id, parameters={"x": 0.3}, distributions={"x": distribution}
        )
    )
    assert looking(database, study, look) == [{"x": 0.3}]


class TestALongStudy:
    LENGTH = 100_000

    @pytest.fixture
    def study(self, database: Database) -> StudyRecord:
        """So many complete trials; every tenth has the same, best value."""
        study = a_study(database)
        columns = 'study_id, number, state, parameters, "values", objective_value, created_at, updated_at'
        row = (
            f"{study.id}, n, 'complete', '{{\"x\": 0.5}}', '{{\"loss\": 1.0}}', "
            "CASE WHEN n % 10 = 0 THEN 0.0 ELSE n END, :moment, :moment, '{}', '{}'"
        )
        numbers = (
            f"WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {self.LENGTH - 1}) "
        )
        statement = f"INSERT INTO tuner_trial ({columns}, user_attrs, system_attrs) {numbers} SELECT {row} FROM numbers"
        moment = MOMENT.replace(tzinfo=None) if database.is_sqlite else MOMENT

        def fill_up(connection: Connection) -> None:
            connection.execute(text(statement), {"moment": moment})
            studies.change(connection, study.id, next_number=self.LENGTH)

        database.write(fill_up)
        return study

    def test_columns_are_read_once(
        self, database: Database, study: StudyRecord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: list[int] = []
        get_many = trials.get_many

        def noted(connection: Connection, study_id: int, numbers: Sequence[int]) -> dict[int, trials.TrialRecord]:
            read.extend(numbers)
            return get_many(connection, study_id, numbers)

        monkeypatch.setattr(trials, "get_many", noted)
        for first, new in ((0, 2000), (500, 500), (500, 0)):
            read.clear()
            found = looking(database, study, partial(ShownTrials.columns, numbers=np.arange(first, first + 2000)))
            assert found is not None
            assert found.numbers.tolist() == list(range(first, first + 2000))
            assert len(read) == new

    def test_is_looked_at_by_reading_no_more_rows_than_are_shown(
        self, database: Database, study: StudyRecord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        statements: list[tuple[str, Any]] = []
        looked_at: list[Connection] = []
        run = driver.run

        def noted(connection: Connection, statement: str, values: Any) -> Any:
            if connection in looked_at:
                statements.append((statement, tuple(values) if isinstance(values, list) else values))
            return run(connection, statement, values)

        def look(it: ShownTrials) -> int:
            statements.clear()
            looked_at[:] = [it._connection]
            numbers = {*it.best(25), *it.latest(50), *it.running(10), *spread(it.next_number, 512)}
            shown = it.show(numbers)
            assert len(shown) == len(numbers)
            return len(numbers)

        monkeypatch.setattr(driver, "run", noted)
        most = looking(database, study, look)
        assert most <= 25 + 50 + 512
        cold = [*statements]
        assert len(cold) == 4
        assert looking(database, study, look) == most
        # All of it is remembered: only numbers are read.
        assert len(statements) == 3
        self._follow_an_index(database, cold)
        if database.is_sqlite:
            assert sum(self._steps(database, *one) for one in cold) < 100 * most

    @staticmethod
    def _follow_an_index(database: Database, statements: list[tuple[str, Any]]) -> None:
        """No statement sorts, or scans more than the list that it is given."""

        def explain(connection: Connection) -> None:
            explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
            for statement, parameters in statements:
                plan = "\n".join(map(str, connection.exec_driver_sql(explain + statement, parameters)))
                plan = plan.replace("SCAN given VIRTUAL TABLE", "")
                for costly in ("SCAN", "TEMP B-TREE", "Seq Scan", "Sort"):
                    assert costly not in plan, plan

        database.write(explain)

    @staticmethod
    def _steps(database: Database, statement: str, parameters: Any) -> int:
        """Instructions of SQLite's machine, by hundreds."""
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        def run(connection: Connection) -> None:
            driver: Any = connection.connection.dbapi_connection
            driver.set_progress_handler(count, 100)
            connection.exec_driver_sql(statement, parameters).all()
            driver.set_progress_handler(None, 0)

        database.write(run)
        return 100 * steps
