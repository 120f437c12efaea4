"""Ordinary Optuna programs on our storage, on both databases, alone and several at once."""

import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import inspect

from tuner.storage import TunerStorage, database, tables
from tuner.storage.database import Database

MINIMIZE, MAXIMIZE = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def valley(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -5.0, 5.0)
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    return (x - 1.0) ** 2 + (np.log10(rate) + 2.0) ** 2  # type: ignore[no-any-return]


def trade_off(trial: optuna.Trial) -> tuple[float, float]:
    x = trial.suggest_float("x", 0.0, 1.0)
    rule = trial.suggest_categorical("rule", ["a", "b"])
    return x, (1.0 - x) ** 2 + (rule == "b")


def descent(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("rate", 0.01, 1.0)
    value = 1.0
    for step in range(8):
        value *= 1 - rate
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def test_a_program_optimises_and_reads_its_results(database: Database) -> None:
    study = optuna.create_study(storage=TunerStorage(database.url), sampler=TPESampler(seed=1))
    study.optimize(valley, n_trials=20)
    assert [trial.number for trial in study.trials] == list(range(20))
    assert study.best_value == min(trial.value for trial in study.trials if trial.value is not None)
    assert study.best_params == study.best_trial.params
    [summary] = optuna.get_all_study_summaries(storage=TunerStorage(database))
    assert (summary.n_trials, summary.best_trial) == (20, study.best_trial)


@pytest.mark.parametrize(
    ("sampler", "objective", "directions"),
    [
        (lambda: RandomSampler(seed=3), valley, [MINIMIZE]),
        (lambda: TPESampler(seed=3, multivariate=False), valley, [MINIMIZE]),
        (lambda: CmaEsSampler(seed=3), valley, [MINIMIZE]),
        (lambda: NSGAIISampler(seed=3, population_size=8), trade_off, [MINIMIZE, MINIMIZE]),
        (lambda: TPESampler(seed=3), trade_off, [MINIMIZE, MAXIMIZE]),
    ],
    ids=["random", "tpe", "cmaes", "nsga2", "tpe-of-two"],
)
def test_samplers_choose_as_they_do_in_memory(
    storage: TunerStorage, sampler: Callable[[], BaseSampler], objective: Any, directions: list[StudyDirection]
) -> None:
    def chosen(where: optuna.storages.BaseStorage) -> list[tuple[dict[str, Any], list[float]]]:
        study = optuna.create_study(storage=where, sampler=sampler(), directions=directions)
        study.optimize(objective, n_trials=24)
        return [(trial.params, trial.values) for trial in study.trials]

    assert chosen(storage) == chosen(InMemoryStorage())


@pytest.mark.parametrize(
    "pruner",
    [
        lambda: MedianPruner(n_startup_trials=3),
        SuccessiveHalvingPruner,
        lambda: HyperbandPruner(min_resource=1, max_resource=8, reduction_factor=2),
    ],
    ids=["median", "halving", "hyperband"],
)
def test_pruners_stop_the_trials_that_they_stop_in_memory(
    storage: TunerStorage, pruner: Callable[[], BasePruner]
) -> None:
    def ended(where: optuna.storages.BaseStorage) -> list[tuple[TrialState, dict[int, float]]]:
        # Hyperband puts a trial in a bracket by the study's name.
        study = optuna.create_study(study_name="s", storage=where, sampler=RandomSampler(seed=1), pruner=pruner())
        study.optimize(descent, n_trials=15)
        return [(trial.state, trial.intermediate_values) for trial in study.trials]

    ours = ended(storage)
    assert ours == ended(InMemoryStorage())
    assert {state for state, _ in ours} == {TrialState.COMPLETE, TrialState.PRUNED}


def test_importances_are_those_of_a_study_in_memory(storage: TunerStorage) -> None:
    study = optuna.create_study(study_name="s", storage=storage, sampler=RandomSampler(seed=0))
    study.optimize(valley, n_trials=30)
    memory = InMemoryStorage()
    optuna.copy_study(from_study_name="s", from_storage=storage, to_storage=memory)
    copy = optuna.load_study(study_name="s", storage=memory)

    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    assert optuna.importance.get_param_importances(study, evaluator=evaluator) == (
        optuna.importance.get_param_importances(copy, evaluator=evaluator)
    )


def test_a_study_is_copied_in_and_out_unchanged(storage: TunerStorage) -> None:
    memory = InMemoryStorage()
    original = optuna.create_study(study_name="s", storage=memory, sampler=RandomSampler(seed=0))
    original.optimize(descent, n_trials=5)
    original.enqueue_trial({"rate": 0.5}, user_attrs={"why": "curious"})
    original.set_user_attr("who", "me")

    optuna.copy_study(from_study_name="s", from_storage=memory, to_storage=storage, to_study_name="t")
    copy = optuna.load_study(study_name="t", storage=storage)

    def described(study: optuna.Study) -> list[Any]:
        return [
            (trial.state, trial.values, trial.params, trial.intermediate_values, trial.user_attrs, trial.system_attrs)
            for trial in study.trials
        ]

    assert described(copy) == described(original)
    assert [trial.datetime_complete for trial in copy.trials] == [trial.datetime_complete for trial in original.trials]
    assert copy.user_attrs == {"who": "me"}


def test_enqueued_trials_are_run_first_and_as_they_were_chosen(storage: TunerStorage) -> None:
    study = optuna.create_study(storage=storage)
    study.enqueue_trial({"x": 1.0, "rate": 0.01})
    study.enqueue_trial({"x": 2.0})
    study.optimize(valley, n_trials=3)
    assert study.trials[0].params == {"x": 1.0, "rate": 0.01}
    assert study.trials[0].value == 0.0
    assert study.trials[1].params["x"] == 2.0
    study.enqueue_trial({"x": 1.0, "rate": 0.01}, skip_if_exists=True)
    assert len(study.trials) == 3


def test_a_failing_objective_fails_its_trial(storage: TunerStorage) -> None:
    def fail(trial: optuna.Trial) -> float:
        raise ZeroDivisionError

    study = optuna.create_study(storage=storage)
    study.optimize(fail, n_trials=2, catch=(ZeroDivisionError,))
    study.optimize(lambda _: float("nan"), n_trials=1)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 3


def test_threads_share_a_study(storage: TunerStorage) -> None:
    study = optuna.create_study(storage=storage, sampler=RandomSampler(seed=0))
    study.optimize(valley, n_trials=24, n_jobs=4)
    assert [trial.number for trial in study.trials] == list(range(24))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_optuna_s_own_tables_may_share_the_database(database_url: str) -> None:
    ours = optuna.create_study(study_name="s", storage=TunerStorage(database_url), sampler=RandomSampler(seed=0))
    ours.optimize(valley, n_trials=2)

    url = database_url.replace("postgresql:", "postgresql+psycopg:")
    # Two copies of the SQLite library in one process would not see each other's locks.
    engine_kwargs = {"module": database.sqlite_module()} if url.startswith("sqlite") else {}
    theirs_storage = RDBStorage(url, engine_kwargs=engine_kwargs)
    theirs = optuna.create_study(study_name="s", storage=theirs_storage, sampler=RandomSampler(seed=0))
    theirs.optimize(valley, n_trials=3)
    ours.optimize(valley, n_trials=2)

    names = set(inspect(theirs_storage.engine).get_table_names())
    assert {"studies", "trials", "alembic_version", "tuner_alembic_version", *tables.metadata.tables} <= names
    theirs_storage.remove_session()
    theirs_storage.engine.dispose()
    again = TunerStorage(database_url)
    assert again.get_n_trials(again.get_study_id_from_name("s")) == 4
    assert len(theirs.trials) == 3
    theirs_storage.engine.dispose()


# Several processes


def optimise(url: str, name: str, trials: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name=name, storage=TunerStorage(url))
    study.optimize(valley, n_trials=trials)


def run(count: int, *args: Any) -> None:
    """The program above in several processes, to its end."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=optimise, args=args) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count


def test_processes_share_a_study(database_url: str) -> None:
    study = optuna.create_study(study_name="shared", storage=TunerStorage(database_url))
    study.optimize(valley, n_trials=1)
    enqueued = [{"x": index / 4, "rate": 0.5} for index in range(10)]
    for point in enqueued:
        study.enqueue_trial(point)

    run(2, database_url, "shared", 15)

    assert [trial.number for trial in study.trials] == list(range(31))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    # Each enqueued point was run, by one of the two: a trial that both had claimed would leave another trial fewer.
    assert [trial.params for trial in study.trials[1:11]] == enqueued
    record = TunerStorage(database_url)._study(study._study_id)
    assert (record.started_trials, record.next_number, record.failed_trials) == (31, 31, 0)
