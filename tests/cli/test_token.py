"""``tuner token``, and what ``tuner serve`` wants before it listens beyond this machine."""

import time
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import refusal, service, tuner
from tuner.client import Client


def test_a_token_from_the_command_opens_a_service_that_asks_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    made = tuner("token", "create", "--name", "ci", "--scope", "write", "--expires", "90d", TUNER_DATABASE_URL=url)
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    assert token.startswith("tuner_")
    assert "not shown again" in made.stderr
    with service(tmp_path, "--authentication", "true", "--workers", "0") as (address, _):
        assert httpx.get(f"{address}/v1/studies", timeout=30).status_code == 401
        assert httpx.get(f"{address}/readyz", timeout=30).status_code == 200
        monkeypatch.setenv("TUNER_TOKEN", token)
        with Client(address) as client:
            study = client.study("mine", learning_rate=(1e-3, 1.0), steps=(1, 5), trials=2)
            for trial in study:
                trial.tell(loss=trial.learning_rate)
        monkeypatch.delenv("TUNER_TOKEN")
        with Client(address, token=token) as client:
            assert client.study("mine").best.learning_rate > 0
        listed = tuner("token", "list", TUNER_DATABASE_URL=url, COLUMNS="200")
        assert "ci" in listed.stdout
        assert token not in listed.stdout
        assert tuner("token", "revoke", "ci", TUNER_DATABASE_URL=url).returncode == 0
        headers = {"Authorization": f"Bearer {token}"}
        # A process remembers it for a few seconds; another request makes it look again after that.
        deadline = 100
        while httpx.get(f"{address}/v1/studies", headers=headers, timeout=30).status_code == 200:
            deadline -= 1
            assert deadline
            time.sleep(0.1)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_nobody_listens_beyond_this_machine_without_asking_for_tokens(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, line = refusal(capsys, "serve", "--port", "0", "--host", host)
    assert status == 2
    assert "--authentication true" in line
    assert "tuner token create" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "a b"], "--name"),
        (["--name", "ci", "--expires", "soon"], "--expires"),
        (["--name", "ci", "--expires", "0d"], "--expires"),
    ],
)
def test_a_token_that_cannot_be_is_refused_by_flag(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.setenv("TUNER_DATABASE_URL", f"sqlite:///{tmp_path / 'tuner.db'}")
    status, line = refusal(capsys, "token", "create", *arguments)
    assert status == 2
    assert said in line
