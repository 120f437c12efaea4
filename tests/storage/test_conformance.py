"""Optuna's own suite for storages, whole, on both databases."""

from collections.abc import Iterator

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from tuner.storage import TunerStorage


@pytest.fixture
def storage(database_url: str) -> Iterator[TunerStorage]:
    storage = TunerStorage(database_url)
    yield storage
    storage.remove_session()


class TestTunerStorage(StorageTestCase):
    """Every test of the suite, with our storage."""
