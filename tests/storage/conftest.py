"""Our Optuna storage, for those who test it."""

import pytest
from optuna.study import StudyDirection

from tuner.storage import TunerStorage
from tuner.storage.database import Database


@pytest.fixture
def storage(database: Database) -> TunerStorage:
    return TunerStorage(database)


@pytest.fixture
def theirs(storage: TunerStorage) -> int:
    """A study that an Optuna program made."""
    return storage.create_new_study([StudyDirection.MINIMIZE], "theirs")
