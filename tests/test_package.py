"""The package as a user gets it: a wheel that brings everything the service needs."""

import os
import signal
import subprocess
import time
import venv
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the locked dependencies and this package, installed by pip."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home / "venv", with_pip=True)
    bin_folder = home / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(bin_folder / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, "--no-deps", str(ROOT)], check=True)
    return bin_folder


@pytest.mark.timeout(300)
def test_an_installed_package_serves_and_migrates_itself(installed: Path, tmp_path: Path) -> None:
    service = subprocess.Popen(
        [str(installed / "tuner"), "serve", "--port", "0"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert service.stdout is not None
        url = next(word for line in service.stdout for word in line.split() if word.startswith("http://"))
        with httpx.Client(base_url=url, timeout=10) as client:
            deadline = time.monotonic() + 60
            while client.get("/readyz").status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert "Tuner" in client.get("/").text
            definition = {
                "name": "installed",
                "objective": {"name": "line_fit"},
                "search_space": {
                    "learning_rate": {"type": "float", "low": 0.01, "high": 0.7, "scale": "log"},
                    "steps": {"type": "int", "low": 1, "high": 50},
                },
                "budget": {"trials": 5},
            }
            assert client.post("/v1/studies", json=definition).status_code == 201
            while (study := client.get("/v1/studies/installed").json())["state"] == "active":
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert study["trials"]["complete"] == 5
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=30) == 0
        assert service.stdout is not None
        service.stdout.close()
