"""Three studies over HTTP: the tutorial problem, real data, and a network for which more steps stop helping.

Starts the service as a child process, submits the studies, shows how they go, and prints what they found. Then it keeps
serving until Ctrl-C, or ends with ``--once``. Studies that exist already are not run again.
"""

import argparse
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

HOST = "127.0.0.1"
READY_WITHIN = 30.0
"""Seconds that the service may take to start."""

STUDIES: list[dict[str, Any]] = [
    {
        "name": "line-fit",
        "objective": {"name": "line_fit", "settings": {"seed": 5}, "initial_seed": 0},
        "search_space": {
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
            "steps": {"type": "int", "low": 1, "high": 200},
        },
        "goal": {"minimize": "loss"},
        "budget": {"trials": 100},
    },
    {
        "name": "breast-cancer",
        "objective": {
            "name": "logistic_regression",
            "settings": {"data": "breast_cancer", "regularisation": 0.01},
        },
        "search_space": {
            "learning_rate": {"type": "float", "low": 1e-3, "high": 10.0, "scale": "log"},
            "steps": {"type": "int", "low": 1, "high": 500},
        },
        "goal": {"minimize": "loss"},
        "budget": {"trials": 60},
    },
    {
        # Few samples and many weights: after some dozens of steps the network only learns them by heart.
        "name": "digits",
        "objective": {
            "name": "network",
            "settings": {"data": "digits", "loss": "softmax", "hidden": 32, "train_fraction": 0.2},
        },
        "search_space": {
            "learning_rate": {"type": "float", "low": 0.01, "high": 10.0, "scale": "log"},
            "steps": {"type": "int", "low": 1, "high": 400},
        },
        "goal": {"minimize": "validation_loss"},
        "budget": {"trials": 60},
    },
]

console = Console(highlight=False)


class Failure(Exception):
    """What went wrong, in words for the terminal."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--once", action="store_true", help="end after the results")
    arguments = parser.parse_args()
    # As Ctrl-C: the service is stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    url = f"http://{HOST}:{arguments.port}"
    try:
        with service(arguments.port, url) as process, httpx.Client(base_url=url, timeout=30.0) as client:
            for definition in STUDIES:
                submit(client, definition)
            console.print(results(watch(client, process)))
            if not arguments.once:
                console.print(f"The studies are at {url}/ - Ctrl-C stops the service.")
                process.wait()
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


@contextmanager
def service(port: int, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """The service, ready; stopped at the end.

    Raises:
        Failure: the port is taken, or the service did not start.
    """
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        raise Failure(f"port {port} is taken: choose another with PORT={port + 1}") from None
    command = [sys.executable, "-m", "tuner", "serve", "--host", HOST, "--port", str(port), "--log-level", "warning"]
    # In a session of its own, so that Ctrl-C reaches it once, from here.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_until_ready(url, process)
        yield process
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failure(f"the service ended at once, with status {process.returncode}")
        try:
            if httpx.get(f"{url}/readyz", timeout=5.0).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise Failure(f"the service was not ready within {READY_WITHIN:g} s")


def submit(client: httpx.Client, definition: Mapping[str, Any]) -> None:
    """Create the study; an identical one that exists is as good."""
    answer = client.post("/v1/studies", json=definition)
    name = definition["name"]
    if answer.status_code == 201:
        console.print(f"submitted {name}")
    elif answer.status_code == 200:
        console.print(f"{name} exists already")
    else:
        problem = answer.json()
        fields = "".join(f"\n  {error['field']}: {error['message']}" for error in problem.get("errors", []))
        raise Failure(f"{name} was refused ({answer.status_code}): {problem['detail']}{fields}")


def watch(client: httpx.Client, process: "subprocess.Popen[bytes]") -> list[dict[str, Any]]:
    """Show the studies' progress until each is over; the studies as they then stand."""
    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {
            study["name"]: progress.add_task(study["name"], total=study["budget"]["trials"], best="")
            for study in STUDIES
        }
        finished: dict[str, dict[str, Any]] = {}
        while len(finished) < len(tasks):
            if process.poll() is not None:
                raise Failure(f"the service ended, with status {process.returncode}")
            for name in tasks.keys() - finished.keys():
                study = client.get(f"/v1/studies/{name}").raise_for_status().json()
                trials = study["trials"]
                done = trials["complete"] + trials["failed"] + trials["pruned"]
                progress.update(tasks[name], completed=done, best=best_so_far(study))
                if study["state"] != "active":
                    finished[name] = study
                    progress.stop_task(tasks[name])
                    if not console.is_terminal:
                        console.print(f"{name} is {study['state']}: {done} trials, best {best_so_far(study)}")
            time.sleep(0.2)
    return [finished[name] for name in tasks]


def best_so_far(study: Mapping[str, Any]) -> str:
    metric = goal_of(study)
    if study["best"] is None:
        return ""
    parameters = study["best"]["parameters"]
    value = study["best"]["values"][metric]
    return f"{value:.4g} at rate {parameters['learning_rate']:.3g}, {parameters['steps']} steps"


def results(studies: list[dict[str, Any]]) -> Table:
    """What each study found, a study a column."""
    table = Table("", *(study["name"] for study in studies), box=SIMPLE)
    facts = [found(study) for study in studies]
    for name in facts[0]:
        table.add_row(name, *(fact[name] for fact in facts))
    return table


def found(study: Mapping[str, Any]) -> dict[str, str]:
    best, spent, metric = study["best"], study["spent"], goal_of(study)
    facts = {"best learning rate": "", "best steps": "", "metric": metric, "best value": "none is finite"}
    if best is not None:
        facts["best learning rate"] = f"{best['parameters']['learning_rate']:.4g}"
        most = study["definition"]["search_space"]["steps"]["high"]
        facts["best steps"] = f"{best['parameters']['steps']} of {most}"
        facts["best value"] = f"{best['values'][metric]:.5g}"
    return {
        **facts,
        "gradient evaluations": f"{spent['gradient_evaluations']:,}",
        "trials": f"{spent['trials']}",
        "wall time": f"{spent['seconds']:.1f} s",
    }


def goal_of(study: Mapping[str, Any]) -> str:
    metric: str = study["definition"]["goal"]["minimize"]
    return metric


if __name__ == "__main__":
    sys.exit(main())
