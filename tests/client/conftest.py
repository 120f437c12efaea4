"""A real service on each database, and one that misbehaves in front of it."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.serving import Service
from tests.api.server import serving
from tests.client.faulty import Faulty
from tuner.client import Client
from tuner.settings import Settings
from tuner.storage.database import Database


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, str]]:
    """One server for most tests: starting it takes longer than they do. It sweeps a database of its own."""
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path_factory.mktemp('served')}/tuner.db"))
    with serving(app) as http:
        yield app, str(http.base_url).rstrip("/")


@pytest.fixture
def url(served: tuple[FastAPI, str], database: Database) -> str:
    """The address of a service on this test's fresh database, where no lease is taken back."""
    app, url = served
    app.state.service = Service(database, Settings(database_url=database.url))
    return url


@pytest.fixture
def sweeping_url(database_url: str) -> Iterator[str]:
    """The address of a service on a fresh database that takes back leases that have run out."""
    with serving(create_app(Settings(database_url=database_url))) as http:
        yield str(http.base_url).rstrip("/")


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A client that is not very patient."""
    with Client(url, patience=20) as client:
        yield client


@pytest.fixture
def faulty(url: str) -> Iterator[Faulty]:
    """A proxy before the service, which does as it is told."""
    with Faulty(url) as proxy:
        yield proxy
