"""`TunerStorage` in several threads at once: numbers, claims and attributes."""

import threading
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState, create_trial

from tests.storage.rows import stored_study, stored_trial
from tuner.storage import TunerStorage
from tuner.storage.database import Database


def in_threads(count: int, work: Any) -> None:
    together = threading.Barrier(count, timeout=60)

    def run() -> None:
        together.wait()
        work()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_trials_created_at_once_are_numbered_without_a_gap(
    database: Database, storage: TunerStorage, theirs: int
) -> None:
    in_threads(4, lambda: [storage.create_new_trial(theirs) for _ in range(10)])
    assert [trial.number for trial in storage.get_all_trials(theirs)] == list(range(40))
    study = stored_study(database, theirs)
    assert (study.next_number, study.started_trials) == (40, 40)


def test_a_waiting_trial_is_claimed_by_one(database: Database, storage: TunerStorage, theirs: int) -> None:
    waiting = [storage.create_new_trial(theirs, create_trial(state=TrialState.WAITING)) for _ in range(10)]
    claimed: list[int] = []

    def claim() -> None:
        for trial_id in waiting:
            if storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                claimed.append(trial_id)  # noqa: PERF401 (the claim is the point)

    in_threads(4, claim)
    assert sorted(claimed) == waiting
    assert stored_study(database, theirs).started_trials == 10
    assert {stored_trial(database, trial_id).attempt for trial_id in waiting} == {1}


def test_attributes_set_at_once_are_all_kept(storage: TunerStorage, theirs: int) -> None:
    trial_id = storage.create_new_trial(theirs)
    keys = iter([str(index) for index in range(20)])

    def work() -> None:
        for _ in range(5):
            key = next(keys)
            storage.set_trial_user_attr(trial_id, key, 1)
            storage.set_study_system_attr(theirs, key, 1)

    in_threads(4, work)
    assert len(storage.get_trial_user_attrs(trial_id)) == len(storage.get_study_system_attrs(theirs)) == 20


def test_a_trial_is_finished_once(database: Database, storage: TunerStorage, theirs: int) -> None:
    trial_id = storage.create_new_trial(theirs)
    refused: list[int] = []

    def finish() -> None:
        try:
            storage.set_trial_state_values(trial_id, TrialState.FAIL)
        except UpdateFinishedTrialError:
            refused.append(1)

    in_threads(4, finish)
    assert len(refused) == 3
    assert stored_study(database, theirs).failed_trials == 1
