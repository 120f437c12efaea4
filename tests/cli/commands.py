"""The command as its users run it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.worker.running import eventually
from tuner.cli import main

TUNER = [sys.executable, "-m", "tuner"]


def tuner(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process of its own."""
    return subprocess.run(
        [*TUNER, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=120,
    )


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run the command in this process: its exit status and what it said, which must be one line on stderr."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tuner", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert isinstance(ended.value.code, int)
    return ended.value.code, line


def strict_json(text: str) -> Any:
    """Parse one JSON document in which NaN and the infinities are none."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@contextmanager
def service(directory: Path, *flags: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A real service on a free port: its address and its process, killed at the end if it still runs."""
    process = subprocess.Popen(
        [*TUNER, "serve", "--port", "0", "--poll-seconds", "0.05", "--log-level", "error", *flags],
        stdout=subprocess.PIPE,
        text=True,
        cwd=directory,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("Tuner listens on http://127.0.0.1:"), said
        url = said.split()[3]
        eventually(lambda: answers(url))
        yield url, process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def answers(url: str) -> bool:
    return httpx.get(f"{url}/readyz", timeout=30).status_code == 200
