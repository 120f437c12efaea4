"""The HTTP door, served for real on each database."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.serving import Service
from tests.api.server import serving
from tuner.settings import Settings
from tuner.storage.database import Database


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, httpx.Client]]:
    """One server for all tests: starting it takes longer than most of them."""
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path_factory.mktemp('served')}/tuner.db"))
    with serving(app) as client:
        yield app, client


@pytest.fixture
def client(served: tuple[FastAPI, httpx.Client], database: Database) -> Iterator[httpx.Client]:
    """A client of the server, which works on this test's fresh database: once SQLite, once PostgreSQL."""
    app, client = served
    app.state.service = service = Service(database, Settings(database_url=database.url))
    yield client
    service.commits.close()
