"""``tuner backup``, ``restore``, ``doctor`` and ``health``, as operators run them."""

import os
from pathlib import Path

import pytest

from tests.cli.commands import refusal, service, tuner
from tuner.cli import checkup
from tuner.settings import Settings


def test_a_running_service_is_backed_up_and_restored_elsewhere(tmp_path: Path) -> None:
    with service(tmp_path, "--workers", "0") as (url, _):
        port = url.rsplit(":", 1)[1]
        assert tuner("health", "--port", port).returncode == 0
        made = tuner(
            "tune", "line_fit", "--learning-rate", "1e-3:1", "--steps", "1:50", "--trials", "5",
            TUNER_DATABASE_URL=f"sqlite:///{tmp_path / 'tuner.db'}",
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        backup = str(tmp_path / "backup.db")
        made = tuner("backup", backup, TUNER_DATABASE_URL=f"sqlite:///{tmp_path / 'tuner.db'}")
        assert made.returncode == 0, made.stderr
        assert "checked" in made.stdout
    assert tuner("health", "--port", port).returncode == 1
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    restored = tuner("restore", backup, TUNER_DATABASE_URL=elsewhere)
    assert restored.returncode == 0, restored.stderr
    assert "line-fit" in tuner("study", "list", TUNER_DATABASE_URL=elsewhere).stdout
    again = tuner("restore", backup, TUNER_DATABASE_URL=elsewhere)
    assert (again.returncode, "exists" in again.stderr) == (2, True)


def test_of_postgresql_the_backup_is_pg_dump(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, line = refusal(capsys, "backup", str(tmp_path / "b.db"), "--database-url", "postgresql://nowhere/x")
    assert status == 2
    assert "pg_dump" in line


def bad(settings: Settings) -> dict[str, str]:
    return {finding.subject: finding.advice for finding in checkup.examine(settings) if finding.advice is not None}


def test_a_sound_installation_is_found_sound(database_url: str) -> None:
    assert bad(Settings(database_url=database_url)) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_database_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    file = tmp_path / "tuner.db"
    file.touch(mode=0o400)
    assert "permissions" in bad(Settings(database_url=f"sqlite:///{file}"))


def test_what_is_wrong_is_found_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "TUNER_DATABASE_URL" in bad(Settings(database_url=f"sqlite:///{tmp_path}/no/such/tuner.db"))["directory"]
    assert "TUNER_AUTHENTICATION" in bad(Settings(database_url=f"sqlite:///{tmp_path}/t.db", host="0.0.0.0"))["access"]
    away = Settings(database_url="postgresql://tuner@127.0.0.1:1/tuner")
    assert "start it" in bad(away)["database"]
    file = tmp_path / "tuner.db"
    file.touch()
    assert "tuner migrate" in bad(Settings(database_url=f"sqlite:///{file}"))["schema"]
    file.chmod(0o666)
    assert bad(Settings(database_url=f"sqlite:///{file}"))["permissions"] == f"chmod o-w {file}"
    monkeypatch.setattr(checkup, "LEAST_FREE", 2**80)
    assert "disk" in bad(Settings(database_url=f"sqlite:///{file}"))


@pytest.mark.parametrize(("version", "sound"), [((3, 51, 2), False), ((3, 40, 1), False), ((3, 51, 3), True)])
def test_an_sqlite_that_can_corrupt_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: tuple[int, ...], sound: bool
) -> None:
    from tuner.storage import database

    module = database.sqlite_module()
    monkeypatch.setattr(module, "sqlite_version_info", version)
    assert ("SQLite" in bad(Settings(database_url=f"sqlite:///{tmp_path}/t.db"))) is not sound


def test_the_command_says_it_line_by_line(tmp_path: Path) -> None:
    found = tuner("doctor", TUNER_DATABASE_URL=f"sqlite:///{tmp_path}/t.db", TUNER_HOST="0.0.0.0")
    assert found.returncode == 1
    assert "BAD  access" in found.stdout
    assert "ok   SQLite" in found.stdout
    assert not list(tmp_path.iterdir()), "it only looks"
