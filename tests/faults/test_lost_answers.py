"""Answers that are lost on the way: the client sends the same again under the same key, and it is done once."""

from collections import Counter
from pathlib import Path

from tests.faults.clients import Client, read, running
from tests.faults.proxy import CUTS, losing_answers
from tests.faults.records import all_trials, document, external, hold_what_was_acknowledged
from tests.faults.scale import LONGEST, times
from tests.faults.service import api_processes, serving
from tests.faults.trainers import ask_with_keys, write_with_keys
from tests.worker.running import curves_of
from tuner.service import studies
from tuner.storage.database import Database

ASKS = times(500, 5_000)
CLIENTS = 4


def test_500_asks_whose_answers_are_lost_make_exactly_500_trials(
    database: Database, database_url: str, backend: str, tmp_path: Path
) -> None:
    """4 clients, half of whose connections are cut, at one point or another; in the long version 5,000 asks."""
    external(database)
    with (
        serving(database_url, tmp_path, "--workers", "0", *api_processes(backend)) as service,
        losing_answers(service.port) as proxy,
        running(tmp_path, CLIENTS, ask_with_keys, proxy.url, "resnet", ASKS // CLIENTS) as crew,
    ):
        crew.finish(within=LONGEST)
    cut = Counter(proxy.cut)
    assert set(cut) == set(CUTS)
    assert min(cut.values()) > ASKS // 8
    assert len(all_trials(database)) == ASKS
    assert studies.get(database, "resnet")[0].spent.trials == ASKS
    hold_what_was_acknowledged(database, crew.logs)


def test_every_write_whose_answer_is_lost_is_done_once(database: Database, database_url: str, tmp_path: Path) -> None:
    """Enqueuing, asking, reporting and telling: 4 clients of 15 trials each; in the long version of 150."""
    runs = times(15, 150)
    with (
        serving(database_url, tmp_path, "--workers", "0") as service,
        losing_answers(service.port) as proxy,
        Client(proxy.url) as client,
    ):
        created = client.post("/v1/studies", document(), key="the-study")
        assert created.status_code == 201
        with running(tmp_path, CLIENTS, write_with_keys, proxy.url, "resnet", runs) as crew:
            crew.finish(within=LONGEST)
    hold_what_was_acknowledged(database, crew.logs)
    stored = all_trials(database)
    assert len(stored) == runs * CLIENTS
    enqueued = {line["enqueued"]: line["point"] for line in read(crew.logs) if "enqueued" in line}
    assert {trial.number: trial.parameters for trial in stored} == enqueued
    for curves in curves_of(database, "resnet"):
        assert (curves["loss"].steps, curves["loss"].values) == ([0, 1, 2], [3.0, 2.0, 1.0])
