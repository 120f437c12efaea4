"""A service to try things on: one that runs somewhere, or one of its own with a database that is gone afterwards."""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def arguments(description: str | None) -> argparse.ArgumentParser:
    """What all examples can be told."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--url", help="of a running service; by default one is started, and stopped at the end")
    parser.add_argument("--seed", type=int, default=0, help="of the search")
    return parser


@contextmanager
def address(url: str | None, *options: str) -> Iterator[str]:
    """The address of the service at ``url``, or of a ``tuner serve`` on a free port, with a temporary SQLite file.

    Args:
        url: of a service that runs; None starts one.
        options: of the command, of one that is started: ``"--processes", "2"``.
    """
    if url is not None:
        yield url
        return
    with (
        tempfile.TemporaryDirectory(prefix="tuner-example-") as directory,
        # The last one given counts: an example may bring a database of its own.
        running(["--database-url", f"sqlite:///{directory}/tuner.db", *options]) as served,
    ):
        yield served


@contextmanager
def running(options: Sequence[str]) -> Iterator[str]:
    """The address of a service that is started for this, without workers: the examples train by themselves."""
    command = [sys.executable, "-m", "tuner", "serve", "--port", "0", "--workers", "0", "--log-level", "warning"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        started = re.search(r"http://\S+", process.stdout.readline())
        if started is None:
            raise SystemExit(f"the service did not start: {' '.join(command)}")
        yield started[0]
    finally:
        process.terminate()
        process.wait()
