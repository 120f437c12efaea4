"""`TunerStorage` on studies that the service makes: each sees the other's trials in its own terms."""

import math
from datetime import timedelta
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tests.storage.rows import MOMENT, add_study, add_trials, stored_study, stored_trial
from tuner.definition import StudyDefinition
from tuner.errors import InvalidInput
from tuner.storage import TunerStorage, curves, studies, trials
from tuner.storage.curves import CurveBlock
from tuner.storage.database import Database

DEFINITION = StudyDefinition.model_validate(
    {
        "name": "ours",
        "objective": {"name": "line_fit"},
        "search_space": {
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
            "steps": {"type": "int", "low": 1, "high": 200},
            "rule": {"type": "categorical", "choices": ["plain", "momentum"]},
        },
        "goal": {"minimize": "loss"},
    }
)
POINT = {"learning_rate": 0.1, "steps": 50, "rule": "plain"}
SPACE = {
    "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
    "steps": IntDistribution(1, 200),
    "rule": CategoricalDistribution(("plain", "momentum")),
}


@pytest.fixture
def ours(database: Database) -> int:
    """A study that the service made."""
    return add_study(database, "ours", definition=DEFINITION, objective="line_fit").id


def enqueue(database: Database, study_id: int) -> int:
    """As the service does it."""
    [trial] = add_trials(database, study_id, 1, parameters=POINT, system_attrs={"fixed_params": POINT})
    database.write(lambda connection: studies.increase(connection, study_id, next_number=1))
    return trial.id


def test_a_service_s_trial_is_seen_in_optuna_s_terms(database: Database, storage: TunerStorage, ours: int) -> None:
    columns: dict[str, Any] = {"state": "complete", "parameters": POINT, "attempt": 2, "started_at": MOMENT}
    columns |= {"values": {"validation_loss": 7.0, "loss": 0.5}, "objective_value": 0.5}
    columns |= {"finished_at": MOMENT + timedelta(seconds=1)}
    [made] = add_trials(database, ours, count=1, **columns)
    blocks = [
        CurveBlock(made.id, 1, "loss", [0], [99.0]),
        CurveBlock(made.id, 2, "loss", [0, 1], [1.0, 0.5]),
        CurveBlock(made.id, 2, "validation_loss", [0, 1], [8.0, 7.0]),
    ]
    database.write(lambda connection: curves.append(connection, blocks))

    study = optuna.load_study(study_name="ours", storage=storage)
    [trial] = study.trials
    assert study.direction == StudyDirection.MINIMIZE
    assert (trial.state, trial.value, trial.params) == (TrialState.COMPLETE, 0.5, POINT)
    assert trial.distributions == SPACE
    assert trial.intermediate_values == {0: 1.0, 1: 0.5}
    assert trial.duration == timedelta(seconds=1)
    assert study.best_trial == trial == storage.get_trial(made.id)


def test_a_value_that_is_not_finite_is_the_worst_in_a_study_of_ours(
    database: Database, storage: TunerStorage, ours: int
) -> None:
    finished: dict[str, Any] = {"state": "complete", "parameters": POINT, "started_at": MOMENT, "finished_at": MOMENT}
    for number, value in enumerate(["NaN", "-Infinity", "Infinity"]):
        add_trials(database, ours, count=1, first=number, values={"loss": value}, **finished)
    assert [trial.value for trial in storage.get_all_trials(ours)] == [math.inf] * 3
    assert storage.get_best_trial(ours).number == 0

    add_trials(database, ours, count=1, first=3, values={"loss": 5.0}, objective_value=5.0, **finished)
    assert storage.get_best_trial(ours).number == 3


def test_an_optuna_program_runs_what_the_service_enqueued(database: Database, storage: TunerStorage, ours: int) -> None:
    trial_id = enqueue(database, ours)
    study = optuna.load_study(study_name="ours", storage=storage)

    trial = study.ask()
    assert (trial._trial_id, trial.number) == (trial_id, 0)
    point = {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1.0, log=True),
        "steps": trial.suggest_int("steps", 1, 200),
        "rule": trial.suggest_categorical("rule", ["plain", "momentum"]),
    }
    assert point == POINT
    running = stored_trial(database, trial_id)
    assert (running.state, running.attempt, running.lease_expires_at) == ("running", 1, None)
    trial.report(2.0, step=0)
    study.tell(trial, 0.5)

    record = stored_trial(database, trial_id)
    assert (record.state, record.values, record.objective_value) == ("complete", {"loss": 0.5}, 0.5)
    assert record.parameters == POINT
    curve = database.read(lambda connection: curves.read(connection, trial_id, 1))
    assert curve["loss"].values.tolist() == [2.0]
    assert stored_study(database, ours).started_trials == 1


def test_an_optuna_program_enqueues_what_a_worker_can_run(database: Database, storage: TunerStorage, ours: int) -> None:
    study = optuna.load_study(study_name="ours", storage=storage)
    study.enqueue_trial(POINT)
    [record] = database.read(lambda connection: trials.page(connection, ours))
    assert (record.state, record.parameters, record.distributions) == ("waiting", POINT, None)
    assert record.system_attrs == {"fixed_params": POINT}
    assert study.ask().number == 0


@pytest.mark.parametrize(
    ("point", "field"),
    [
        ({"learning_rate": 0.1, "steps": 50}, "rule: is missing"),
        (POINT | {"steps": 201}, "steps: must lie in"),
        (POINT | {"depth": 1}, "depth: is not in the search space"),
    ],
)
def test_a_point_that_no_worker_can_run_is_refused(
    database: Database, storage: TunerStorage, ours: int, point: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput, match=field):
        optuna.load_study(study_name="ours", storage=storage).enqueue_trial(point)
    assert stored_study(database, ours).next_number == 0


def test_an_optuna_program_adds_trials_of_its_own_to_a_study_of_ours(
    database: Database, storage: TunerStorage, ours: int
) -> None:
    study = optuna.load_study(study_name="ours", storage=storage)
    trial = study.ask(SPACE)
    trial.suggest_float("extra", 0.0, 1.0)
    study.tell(trial, 0.25)
    record = stored_trial(database, trial._trial_id)
    assert set(record.parameters) == {*SPACE, "extra"}
    assert study.best_trial.distributions == SPACE | {"extra": FloatDistribution(0.0, 1.0)}


def test_a_parameter_can_be_added_to_a_trial_of_the_service(
    database: Database, storage: TunerStorage, ours: int
) -> None:
    trial_id = enqueue(database, ours)
    storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    storage.set_trial_param(trial_id, "extra", 0.5, FloatDistribution(0.0, 1.0))
    found = storage.get_trial(trial_id)
    assert found.params == POINT | {"extra": 0.5}
    assert found.distributions == SPACE | {"extra": FloatDistribution(0.0, 1.0)}


def test_a_distribution_against_the_definition_is_refused(storage: TunerStorage, ours: int) -> None:
    trial_id = storage.create_new_trial(ours)
    with pytest.raises(ValueError, match="log"):
        storage.set_trial_param(trial_id, "learning_rate", 0.5, FloatDistribution(0.0, 1.0))


def test_what_a_told_trial_had_reserved_is_given_back(database: Database, storage: TunerStorage, ours: int) -> None:
    [trial] = add_trials(
        database, ours, 1, state="running", attempt=1, reserved_evaluations=51, started_at=MOMENT, worker="w"
    )
    database.write(lambda connection: studies.increase(connection, ours, reserved_evaluations=60, started_trials=1))
    storage.set_trial_state_values(trial.id, TrialState.FAIL)
    study = stored_study(database, ours)
    assert (study.reserved_evaluations, study.started_trials, study.failed_trials) == (9, 1, 1)
    record = stored_trial(database, trial.id)
    assert (record.reserved_evaluations, record.state, record.lease_expires_at) == (0, "failed", None)
