"""Training programs as users start them: processes of their own, to be stopped, killed and watched."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.worker.running import eventually

OPENING = """
import os, sys, time
from tuner.client import Client

client = Client(sys.argv[1], lease_seconds=1, patience=20, report_every=0.05)
study = client.study("s", learning_rate=(1e-4, 1.0), steps=(1, 10), sampler="random", trials=1000)

def say(word):
    print(word, flush=True)

def hear():
    return sys.stdin.readline()
"""


def command(url: str, body: str) -> list[str]:
    return [sys.executable, "-c", OPENING + textwrap.dedent(body), url]


def run(url: str, body: str) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end."""
    return subprocess.run(
        command(url, body), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=60
    )


@contextmanager
def running(url: str, body: str) -> Iterator["subprocess.Popen[str]"]:
    """A program while it runs; killed at the end, if it still does."""
    process = subprocess.Popen(command(url, body), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        process.wait()


def said(process: "subprocess.Popen[str]") -> str:
    """The next line that a program prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: "subprocess.Popen[str]", line: str = "go on") -> None:
    """Give a program a line to read."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def trial(url: str, number: int = 0) -> dict[str, Any]:
    """A trial as the service shows it."""
    answer = httpx.get(f"{url}/v1/studies/s/trials/{number}", timeout=30)
    return dict(json.loads(answer.content))


def keepers_of(process: int) -> list[int]:
    """The keepers that watch a process, living ones, whoever their parent now is."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if any(word.endswith(b"client/keeper.py") for word in words):
                watched = int(words[-2])
                if watched == process and state != "Z":
                    found.append(int(entry.name))
    return found


def keeper_of(process: int) -> int:
    """The keeper of a process that has a trial; what it is called can be read a moment after it was started."""
    eventually(lambda: len(keepers_of(process)) == 1)
    return keepers_of(process)[0]


def ours(process: int = 0) -> list[int]:
    """The keepers of this process."""
    return keepers_of(process or os.getpid())
