"""The whole stack, as docker-compose.yml has it: it comes up in order, survives what happens, and goes in order."""

import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.deployment.stack import ROOT, USER, Stack, stack, until

STUDY = {
    "name": "stack",
    "objective": {"name": "rosenbrock"},
    "search_space": {
        "learning_rate": {"type": "float", "low": 1e-6, "high": 1e-3, "scale": "log"},
        "steps": {"type": "int", "low": 3000, "high": 8000},
    },
    "sampler": {"name": "random", "batch_size": 4},
    "budget": {"trials": 200},
}


@pytest.mark.timeout(240)
def test_the_stack_serves_a_study_through_a_killed_worker_and_a_restarted_database(database_directory: Path) -> None:
    with ExitStack() as resources, stack(database_directory) as services:
        database = _up(services)
        api = services.start("api")
        until(lambda: services.healthy("api"))
        assert httpx.get(f"{services.url}/v1/studies", timeout=30).status_code == 401, "tokens are asked for"
        made = services.run("api", "token", "create", "--name", "me", "--scope", "admin")
        assert made.returncode == 0, made.stderr
        bearer = {"Authorization": f"Bearer {made.stdout.strip()}"}
        client = resources.enter_context(httpx.Client(base_url=services.url, headers=bearer, timeout=30))

        workers = [services.start("worker") for _ in range(2)]
        until(lambda: services.healthy("worker"))
        if os.geteuid() == 0:
            owners = {Path(f"/proc/{process.pid}").stat().st_uid for process in [database, api, *workers]}
            assert owners == {USER.pw_uid}

        assert client.post("/v1/studies", json=STUDY).status_code == 201

        def complete() -> int:
            try:
                return int(client.get("/v1/studies/stack").raise_for_status().json()["trials"]["complete"])
            except httpx.HTTPStatusError:  # while the database is away
                return -1

        until(lambda: complete() >= 20)
        workers[0].send_signal(signal.SIGKILL)
        before = complete()
        services.stop("database", database)
        assert client.get("/readyz").status_code == 503
        assert not services.healthy("api")
        assert client.get("/healthz").status_code == 200
        database = services.start_database()
        until(lambda: services.healthy("api"))
        assert complete() >= before, "nothing is lost"
        until(lambda: client.get("/v1/studies/stack").json()["state"] == "completed", within=120)
        study = client.get("/v1/studies/stack").json()
        assert study["trials"]["complete"] == STUDY["budget"]["trials"]  # type: ignore[index]
        assert study["best"]["values"]["loss"] < 5

        assert services.stop("worker", workers[1]) == 0
        assert services.stop("api", api) == 0
        assert services.stop("database", database) == 0


def _up(services: Stack) -> "subprocess.Popen[bytes]":
    """What comes before the service: secrets, the database, its tables."""
    for _ in range(2):
        assert services.run("secrets").returncode == 0
        secret = (services.directory / "secrets" / "database_password").read_text()
        assert len(secret) > 40
    database = services.start_database()
    until(lambda: services.healthy("database"))
    migrated = services.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert secret not in migrated.stdout + migrated.stderr
    return database


def test_every_image_has_an_exact_tag_and_nothing_runs_as_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    bases = [line.split()[1] for line in dockerfile.splitlines() if line.startswith("FROM ")]
    assert len(set(bases)) == 1
    assert bases[0].count(".") == 2
    assert "\nUSER 10001:10001\n" in dockerfile
    assert "\nHEALTHCHECK " in dockerfile


def test_no_password_is_written_down() -> None:
    for name in ("docker-compose.yml", "Dockerfile", ".env.example"):
        text = (ROOT / name).read_text()
        assert "PASSWORD:" not in text.replace("PASSWORD_FILE:", "")
        assert "PASSWORD=" not in text
