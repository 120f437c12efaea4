"""A disk that fills up while clients tell: they are told to come back, nothing is corrupted, and nobody restarts it.

No file of the service may grow beyond a limit, which is what a full disk is to it; then the limit is lifted.
"""

import os
import resource
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.faults.service import Service, serving
from tests.service.definitions import external
from tests.worker.running import eventually
from tuner.service import studies, trials
from tuner.storage.database import Database, sqlite_module, sqlite_path
from tuner.trial import TrialState

POINTS = 2000


def limit_files(service: Service, size: int) -> None:
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_full_disk_refuses_and_harms_nothing(database: Database, database_url: str, tmp_path: Path) -> None:
    studies.create(database, external(budget={"trials": 10_000}))
    file = sqlite_path(database_url)
    assert file is not None
    with (
        serving(database_url, tmp_path, "--workers", "0") as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        told: list[int] = []

        def tell_one() -> int:
            asked = client.post("/v1/studies/resnet/trials:ask", json={})
            if asked.status_code != 200:
                return asked.status_code
            number = asked.json()["trials"][0]["number"]
            points = {"attempt": 1, "steps": list(range(POINTS)), "values": {"loss": [float(number)] * POINTS}}
            reported = client.post(f"/v1/studies/resnet/trials/{number}:report", json=points)
            if reported.status_code != 200:
                return reported.status_code
            result = {"attempt": 1, "state": "complete", "values": {"loss": float(number)}}
            answered = client.post(f"/v1/studies/resnet/trials/{number}:tell", json=result)
            if answered.status_code == 200:
                told.append(number)
            return answered.status_code

        assert tell_one() == 200
        log = file.with_name(file.name + "-wal")
        limit_files(service, max(file.stat().st_size, log.stat().st_size) + 500_000)
        statuses = [tell_one()]
        while statuses[-1] == 200:
            assert len(statuses) < 500
            statuses.append(tell_one())
        assert statuses[-1] == 503
        problem = client.post("/v1/studies/resnet/trials:ask", json={})
        assert problem.status_code in {200, 503}, "an ask may still fit"
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/studies/resnet").json()["trials"]["complete"] == len(told), "what there is can be read"

        limit_files(service, resource.RLIM_INFINITY)
        eventually(lambda: tell_one() == 200)
        for _ in range(5):
            assert tell_one() == 200
        os.kill(service.pid, 15)
        assert service.process is not None
        assert service.process.wait(timeout=60) == 0
    with closing(sqlite_module().connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    complete = trials.page(database, "resnet", states=[TrialState.COMPLETE], page_size=1000).trials
    found = {trial.number: trial for trial in complete}
    assert sorted(found) == sorted(told)
    for number in told:
        assert found[number].values == {"loss": float(number)}
        assert len(trials.curve(database, "resnet", number)["loss"].steps) == POINTS
