"""The pages of workers and of the service itself."""

import re

import httpx

from tests.api.dashboard.test_pages import page
from tests.api.requests import registered
from tuner.service import workers
from tuner.storage import migration
from tuner.storage.database import Database


def test_a_worker_is_shown_with_what_it_is_busy_with(client: httpx.Client, database: Database) -> None:
    client.post("/v1/studies", json=registered())
    gone, idle, busy = (workers.enlist(database) for _ in range(3))
    workers.dismiss(database, gone)
    workers.seen(database, busy, study="line-fit", trials=3)
    text = page(client, "/workers")
    assert "2 alive, 1 busy" in text
    assert "3 trials" in text
    shown = client.get("/workers").text
    assert 'href="/studies/line-fit"' in shown
    listed = re.findall(r'data-region="worker ([^"]+)"', shown)
    assert set(listed[:2]) == {idle, busy}
    assert listed[2] == gone
    regions = re.findall(r'data-region="([^"]+)"', shown)
    assert re.findall(r'data-region="([^"]+)"', client.get("/workers/live").text) == regions


def test_without_a_worker_the_page_says_how_to_start_one(client: httpx.Client, database: Database) -> None:
    assert "No worker has been seen within a day" in page(client, "/workers")
    workers.dismiss(database, workers.enlist(database))
    text = page(client, "/workers")
    assert "No worker is alive" in text
    assert "tuner worker" in text


def test_the_service_says_what_it_runs_on(client: httpx.Client, database: Database) -> None:
    text = page(client, "/about")
    product = migration.installation(database).product
    assert re.fullmatch(r"(SQLite 3|PostgreSQL 1[0-9])[0-9.]*", product)
    assert f"Database {product} " in text
    assert f"Schema {migration.head()}, the newest" in text
    assert re.search(r"plotly\.js [0-9]+\.[0-9.]+ MIT plotly [0-9]", text)
    assert "Swagger UI Apache 2.0 fastapi-swagger" in text
