"""``make run``, as far as it is a program: the three studies over HTTP, twice, and a port that is taken."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "three_studies.py"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def command(port: int) -> list[str]:
    return [sys.executable, str(EXAMPLE), "--port", str(port)]


def run(directory: Path, port: int) -> subprocess.CompletedProcess[str]:
    once = [*command(port), "--once"]
    return subprocess.run(once, cwd=directory, capture_output=True, text=True, check=False, timeout=200)


@pytest.mark.timeout(400)
def test_three_studies_find_their_answers_and_are_found_again_and_served_until_interrupted(tmp_path: Path) -> None:
    first = run(tmp_path, free_port())
    assert first.returncode == 0, first.stdout + first.stderr
    for line in ("best learning rate", "best steps", "gradient evaluations", "wall time"):
        assert line in first.stdout

    port = free_port()
    with (
        subprocess.Popen(
            command(port), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as again,
        ExitStack() as at_the_end,
    ):
        at_the_end.callback(again.terminate)
        assert again.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = again.stdout.readline()
            assert line, said
            said += line
        time.sleep(1)
        assert again.poll() is None, "it serves on"
        completed = httpx.get(f"http://127.0.0.1:{port}/v1/studies?state=completed", timeout=60).json()["studies"]
        assert len(completed) == 3
        again.send_signal(signal.SIGINT)
        assert "Traceback" not in again.stdout.read()
        assert again.wait(timeout=60) == 0
    assert first.stdout[first.stdout.index("best learning rate") :] in said
    assert f"http://127.0.0.1:{port}" in said


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run(tmp_path, taken.getsockname()[1])
    assert refused.returncode == 1
    assert "taken" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
