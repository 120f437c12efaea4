"""``make run``, as far as it is a program: the three studies over HTTP, twice, and a port that is taken."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "three_studies.py"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def run(directory: Path, port: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), "--port", str(port), "--once"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=200)


@pytest.mark.timeout(400)
def test_three_studies_find_their_answers_and_are_found_again(tmp_path: Path) -> None:
    first = run(tmp_path, free_port())
    assert first.returncode == 0, first.stdout + first.stderr
    for line in ("best learning rate", "best steps", "gradient evaluations", "wall time"):
        assert line in first.stdout
    again = run(tmp_path, free_port())
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout[again.stdout.index("best learning rate") :] == first.stdout[first.stdout.index("best learn") :]


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run(tmp_path, taken.getsockname()[1])
    assert refused.returncode == 1
    assert "taken" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr


def test_it_keeps_serving_until_interrupted(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, str(EXAMPLE), "--port", str(port)]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        deadline = time.monotonic() + 150
        url = f"http://127.0.0.1:{port}/v1/studies?state=completed"
        while time.monotonic() < deadline:
            try:
                if len(httpx.get(url, timeout=30).json()["studies"]) == 3:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        time.sleep(2)
        assert running.poll() is None, "it serves on"
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=30)
    assert running.returncode == 0, output
    assert f"http://127.0.0.1:{port}" in output
    assert "Traceback" not in output
