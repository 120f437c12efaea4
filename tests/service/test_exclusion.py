"""Exclusion: a finished trial that is kept, and counts for nothing."""

import pytest

from tests.service.definitions import complete, external
from tuner.errors import NoResult, TrialNotFound, TrialState
from tuner.service import studies, trials
from tuner.service.ask import ask
from tuner.service.exclusion import exclude
from tuner.service.tell import tell
from tuner.storage import studies as study_rows
from tuner.storage import trials as trial_rows
from tuner.storage.database import Database


def sequences(database: Database) -> tuple[int, int, int]:
    """The study's sequence and version, and the first trial's sequence."""

    def work(connection) -> tuple[int, int, int]:  # type: ignore[no-untyped-def]
        study = study_rows.get(connection, "resnet")
        return study.sequence, study.version, trial_rows.get(connection, study.id, 0).sequence

    return database.read(work)


def test_an_excluded_trial_is_never_the_best_until_it_is_taken_back(database: Database) -> None:
    studies.create(database, external())
    leases = ask(database, "resnet", count=2).trials
    tell(database, "resnet", [complete(leases[0], 0.1), complete(leases[1], 0.2)])
    assert studies.best(database, "resnet").number == 0
    assert exclude(database, "resnet", 0).excluded
    assert studies.best(database, "resnet").number == 1
    exclude(database, "resnet", 1)
    with pytest.raises(NoResult):
        studies.best(database, "resnet")
    assert [trial.excluded for trial in trials.page(database, "resnet").trials] == [True, True]
    assert not exclude(database, "resnet", 0, excluded=False).excluded
    assert studies.best(database, "resnet").number == 0


def test_it_is_a_change_of_the_study_and_of_the_trial_and_once_more_is_none(database: Database) -> None:
    studies.create(database, external())
    leases = ask(database, "resnet", count=2).trials
    tell(database, "resnet", [complete(lease) for lease in leases])
    sequence, version, _ = sequences(database)
    first = exclude(database, "resnet", 0)
    assert sequences(database) == (sequence + 1, version + 1, sequence + 1)
    assert exclude(database, "resnet", 0) == first
    assert sequences(database) == (sequence + 1, version + 1, sequence + 1)


def test_only_what_has_finished_can_be_excluded(database: Database) -> None:
    studies.create(database, external())
    trials.enqueue(database, "resnet", {"learning_rate": 0.1, "steps": 3})
    with pytest.raises(TrialState, match="trial 0 is waiting"):
        exclude(database, "resnet", 0)
    ask(database, "resnet")
    with pytest.raises(TrialState, match="trial 0 is running"):
        exclude(database, "resnet", 0)
    with pytest.raises(TrialNotFound):
        exclude(database, "resnet", 1)
