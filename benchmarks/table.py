"""What a benchmark measured, as a table that can be read without the program."""

import datetime
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LOAD_BEFORE = os.getloadavg()[0]
"""What the machine did otherwise: processes that wanted to run in the minute before, on average."""

_KEPT = {True: "yes", False: "no", None: ""}


@dataclass(frozen=True)
class Measurement:
    """One row: ours beside theirs, both as text with units, the ratio that is promised, and whether it was kept.

    Where nothing is promised, ``goal`` is empty and ``met`` None: the row is there to be known.
    """

    what: str
    ours: str
    theirs: str
    ratio: str
    goal: str
    met: bool | None


def seconds(duration: float) -> str:
    """A duration to three significant digits, in a unit that suits it."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if duration >= scale:
            return f"{duration / scale:.3g} {unit}"
    return f"{duration / 1e-6:.3g} µs"


def header() -> str:
    """Machine, date and commit that the numbers belong to."""
    return "\n".join(
        (
            f"- Machine: {_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            f"- Load average before the run: {LOAD_BEFORE:.1f}",
            f"- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
            f"- Commit: {_commit()}",
        )
    )


def markdown(measurements: Iterable[Measurement]) -> str:
    """The rows as a markdown table."""
    lines = ["| what | ours | theirs | ratio | goal | met |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.ours} | {row.theirs} | {row.ratio} | {row.goal} | {_KEPT[row.met]} |"
        for row in measurements
    ]
    return "\n".join(lines)


def _processor() -> str:
    # platform.processor() is empty on many Linux systems.
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "none yet"
    # The table itself may be what is being rewritten.
    changed = git("status", "--porcelain", "--", ":/", ":(exclude)README.md")
    return f"{commit} with uncommitted changes" if changed else commit
