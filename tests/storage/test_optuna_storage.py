"""What `TunerStorage` promises beyond Optuna's contract, of studies that Optuna programs make."""

import gc
import math
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from sqlalchemy import Connection, event, func, select

from tests.storage.rows import MOMENT, add_trials, stored_study, stored_trial
from tuner.storage import TunerStorage, curves, studies, trials
from tuner.storage.curves import FULL_BLOCK, CurveBlock
from tuner.storage.database import Database
from tuner.storage.tables import curve_block


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that are sent from now on."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(database._engine, "before_cursor_execute", note)
    yield sent
    event.remove(database._engine, "before_cursor_execute", note)


# Studies that Optuna programs make


def test_an_optuna_study_has_no_definition_and_numbered_metrics(database: Database, storage: TunerStorage) -> None:
    one = stored_study(database, storage.create_new_study([StudyDirection.MAXIMIZE], "one"))
    two = stored_study(database, storage.create_new_study([StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE], "two"))
    assert (one.definition, one.objective, one.state) == (None, None, "active")
    assert (one.metrics, one.directions) == (["value"], ["maximize"])
    assert (two.metrics, two.directions) == (["value_0", "value_1"], ["minimize", "maximize"])


def test_values_are_stored_by_metric_and_ranked_where_finite(database: Database, storage: TunerStorage) -> None:
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])
    found = []
    for value in (0.5, math.inf, -math.inf):
        trial_id = storage.create_new_trial(study_id)
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [value])
        record = stored_trial(database, trial_id)
        found.append((record.values, record.objective_value))
    assert found == [({"value": 0.5}, 0.5), ({"value": "Infinity"}, None), ({"value": "-Infinity"}, None)]

    both = storage.create_new_study([StudyDirection.MINIMIZE, StudyDirection.MINIMIZE])
    trial_id = storage.create_new_trial(both)
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0, np.float64(2.0)])
    record = stored_trial(database, trial_id)
    assert (record.values, record.objective_value) == ({"value_0": 1.0, "value_1": 2.0}, None)


def test_a_value_too_many_is_refused_and_changes_nothing(storage: TunerStorage, theirs: int) -> None:
    trial_id = storage.create_new_trial(theirs)
    with pytest.raises(ValueError, match="2 given, the study has 1"):
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0, 2.0])
    assert storage.get_trial(trial_id).state == TrialState.RUNNING


def test_what_is_no_json_is_refused_and_changes_nothing(storage: TunerStorage, theirs: int) -> None:
    trial_id = storage.create_new_trial(theirs)
    with pytest.raises(TypeError):
        storage.set_trial_user_attr(trial_id, "k", object())
    with pytest.raises(TypeError):
        storage.set_study_user_attr(theirs, "k", object())
    assert storage.get_trial_user_attrs(trial_id) == storage.get_study_user_attrs(theirs) == {}


def test_a_study_may_have_any_name(storage: TunerStorage) -> None:
    for name in ("~1", "Ünïcode / with spaces", "x" * 2000, ""):
        study_id = storage.create_new_study([StudyDirection.MINIMIZE], name)
        assert storage.get_study_id_from_name(name) == study_id
        assert storage.get_study_name_from_id(study_id) == name


def test_started_and_failed_trials_are_counted_once_each(
    database: Database, storage: TunerStorage, theirs: int
) -> None:
    def counted() -> tuple[int, int, int]:
        study = stored_study(database, theirs)
        return study.next_number, study.started_trials, study.failed_trials

    assert stored_study(database, theirs).started_at is None
    first = storage.create_new_trial(theirs)
    started_at = stored_study(database, theirs).started_at
    assert started_at is not None
    assert counted() == (1, 1, 0)
    waiting = storage.create_new_trial(theirs, create_trial(state=TrialState.WAITING))
    assert counted() == (2, 1, 0)
    storage.set_trial_state_values(first, TrialState.FAIL)
    storage.set_trial_state_values(waiting, TrialState.RUNNING)
    assert counted() == (2, 2, 1)
    storage.set_trial_state_values(waiting, TrialState.COMPLETE, [1.0])
    storage.create_new_trial(theirs, create_trial(state=TrialState.FAIL))
    storage.create_new_trial(theirs, create_trial(state=TrialState.PRUNED))
    assert counted() == (4, 4, 2)
    assert stored_study(database, theirs).started_at == started_at


def test_intermediate_values_of_a_waiting_trial_survive_its_start(storage: TunerStorage, theirs: int) -> None:
    template = create_trial(state=TrialState.WAITING, intermediate_values={0: 2.0, 5: 1.0})
    trial_id = storage.create_new_trial(theirs, template)
    assert storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    storage.set_trial_intermediate_value(trial_id, 7, math.nan)
    found = storage.get_trial(trial_id).intermediate_values
    assert list(found) == [0, 5, 7]
    assert math.isnan(found.pop(7))
    assert found == {0: 2.0, 5: 1.0}


def test_thousands_of_reports_take_few_rows(database: Database, storage: TunerStorage, theirs: int) -> None:
    trial_id = storage.create_new_trial(theirs)
    reports = {step: 1 / (step + 1) for step in range(FULL_BLOCK + 3)}
    for step, value in reports.items():
        storage.set_trial_intermediate_value(trial_id, step, value)
    assert storage.get_trial(trial_id).intermediate_values == reports
    rows = select(func.count()).select_from(curve_block)
    assert database.read(lambda connection: connection.execute(rows).scalar_one()) == 2


@pytest.mark.parametrize(
    ("values", "minimum", "maximum"),
    [
        ([3.0, -math.inf, 1.0, math.inf, -math.inf], 1, 3),
        ([math.inf, 2.0, 1.0, 1.0], 2, 0),
        ([math.inf], 0, 0),
    ],
)
def test_the_best_of_an_optuna_study_may_be_infinite(
    storage: TunerStorage, values: list[float], minimum: int, maximum: int
) -> None:
    for direction, expected in [(StudyDirection.MINIMIZE, minimum), (StudyDirection.MAXIMIZE, maximum)]:
        study_id = storage.create_new_study([direction])
        for value in values:
            storage.create_new_trial(study_id, create_trial(value=value))
        assert storage.get_best_trial(study_id).number == expected


def test_an_excluded_trial_is_not_the_best(database: Database, storage: TunerStorage, theirs: int) -> None:
    first = storage.create_new_trial(theirs, create_trial(value=-math.inf))
    storage.create_new_trial(theirs, create_trial(value=1.0))
    database.write(lambda connection: trials.change(connection, first, excluded=True))
    assert storage.get_best_trial(theirs).number == 1


# Reading without reading everything


def test_finished_trials_are_read_once(storage: TunerStorage, theirs: int) -> None:
    for _ in range(3):
        storage.create_new_trial(theirs, create_trial(value=1.0))
    running = storage.create_new_trial(theirs)
    before = storage.get_all_trials(theirs, deepcopy=False)
    storage.set_trial_state_values(running, TrialState.COMPLETE, [2.0])
    storage.create_new_trial(theirs, create_trial(value=3.0))
    after = storage.get_all_trials(theirs, deepcopy=False)

    assert [trial.value for trial in after] == [1.0, 1.0, 1.0, 2.0, 3.0]
    assert all(now is then for now, then in zip(after[:3], before[:3], strict=True))
    assert before[3].state == TrialState.RUNNING


def test_what_other_instances_do_is_seen(database: Database, storage: TunerStorage, theirs: int) -> None:
    other = TunerStorage(database)
    trial_id = other.create_new_trial(theirs)
    assert [trial.state for trial in storage.get_all_trials(theirs)] == [TrialState.RUNNING]
    other.set_trial_intermediate_value(trial_id, 1, 0.5)
    assert storage.get_all_trials(theirs)[0].intermediate_values == {1: 0.5}
    other.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.25])
    other.create_new_trial(theirs)
    assert [trial.value for trial in storage.get_all_trials(theirs)] == [0.25, None]
    other.delete_study(theirs)
    with pytest.raises(KeyError):
        storage.get_all_trials(theirs)


def test_counting_and_the_best_read_no_list_of_trials(
    storage: TunerStorage, theirs: int, statements: list[str]
) -> None:
    for value in (3.0, 1.0, 2.0):
        storage.create_new_trial(theirs, create_trial(value=value))
    statements.clear()
    assert storage.get_n_trials(theirs) == 3
    assert storage.get_best_trial(theirs).value == 1.0
    assert storage.get_trial_id_from_study_id_trial_number(theirs, 1) == storage.get_best_trial(theirs)._trial_id
    rows = [statement for statement in statements if "FROM tuner_trial" in statement]
    assert all("count" in statement or "LIMIT" in statement or "number IN" in statement for statement in rows)


def test_many_trials_are_read_in_portions(database: Database, storage: TunerStorage, theirs: int) -> None:
    made = add_trials(database, theirs, 2500, state="running", attempt=1, distributions={}, started_at=MOMENT)
    blocks = [CurveBlock(trial.id, 1, "value", [trial.number], [0.5]) for trial in made]
    database.write(lambda connection: curves.append(connection, blocks))
    assert all(trial.intermediate_values == {trial.number: 0.5} for trial in storage.get_all_trials(theirs))

    def finish(connection: Connection) -> None:
        changes = [{"id": trial.id, "state": "complete", "values": {"value": 1.0}} for trial in made]
        trials.change_many(connection, changes)
        studies.increase(connection, theirs, next_number=2500)

    database.write(finish)
    assert storage.get_n_trials(theirs, TrialState.COMPLETE) == 2500
    assert [trial.number for trial in storage.get_all_trials(theirs, deepcopy=False) if trial.value == 1.0] == list(
        range(2500)
    )


# Life of an instance


def test_a_url_is_prepared_and_its_connections_are_closed_with_the_storage(database_url: str) -> None:
    storage = TunerStorage(database_url)
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])
    storage.remove_session()
    assert storage.get_n_trials(study_id) == 0
    copy: TunerStorage = pickle.loads(pickle.dumps(storage))
    assert copy.get_n_trials(study_id) == 0
    # An unclosed connection would be an error here.
    del storage, copy
    gc.collect()


def test_a_database_that_was_passed_stays_open(database: Database, storage: TunerStorage, theirs: int) -> None:
    pool = database._engine.pool
    storage.remove_session()
    assert database._engine.pool is pool
