"""The package as a user gets it: a wheel that brings everything the service needs beside the locked dependencies."""

import os
import re
import signal
import subprocess
import sys
import time
import venv
from importlib import metadata
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]


def locked(file: str) -> dict[str, set[str]]:
    """What a lock file holds of each distribution: its version and its hashes, without the machines it is for."""
    entries = re.split(r"\n(?=\S)", (ROOT / file).read_text().strip())
    found: dict[str, set[str]] = {}
    for entry in entries:
        pin, *hashes = re.sub(r" ;[^\\]*", "", entry).replace("\\", " ").split()
        found.setdefault(pin.partition("==")[0], set()).update({pin, *hashes})
    return found


def test_what_users_install_is_what_is_tested() -> None:
    """`pip install --require-hashes` has taken the lock of development, in which all of the users' one stands."""
    tested = locked("requirements-dev.lock")
    users = locked("requirements.lock")
    assert len(users) > 20
    assert {name for name, entry in users.items() if entry != tested.get(name)} == set()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the locked dependencies and this package, and nothing else.

    The dependencies are those of this environment, linked: copying them would take half a minute.
    """
    home = tmp_path_factory.mktemp("installed")
    venv.create(home / "venv", with_pip=False, symlinks=os.name != "nt")
    bin_folder = home / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = str(bin_folder / "python")
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    for name in locked("requirements.lock"):
        link(name, packages)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    wheel = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*wheel, "--no-build-isolation", "--wheel-dir", str(home), str(ROOT)], check=True)
    [built] = home.glob("*.whl")
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(built)], check=True)
    return bin_folder


def link(name: str, packages: Path) -> None:
    """Put a distribution of this environment into another one. One for other systems is not there."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
        if not (packages / top).exists():
            (packages / top).symlink_to(Path(str(distribution.locate_file(top))))


@pytest.mark.timeout(300)
def test_an_installed_package_serves_and_migrates_itself(installed: Path, tmp_path: Path) -> None:
    # Nothing of this tree: what the wheel lacks must be missed.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    service = subprocess.Popen(
        [str(installed / "tuner"), "serve", "--port", "0"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
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
        assert service.wait(timeout=60) == 0
        assert service.stdout is not None
        service.stdout.close()
