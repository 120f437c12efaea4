"""``tuner serve``: a real service, over HTTP, and the signals that end it."""

import os
import signal
import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from tests.api.streams import following
from tests.cli.commands import service, tuner
from tests.worker.running import BOWLS, SLACK, definition, eventually, fixed
from tuner.service import workers
from tuner.storage.database import Database


def state_of(url: str, name: str) -> str:
    state: str = httpx.get(f"{url}/v1/studies/{name}", timeout=30).raise_for_status().json()["state"]
    return state


@pytest.mark.parametrize("flags", [[], ["--processes", "2"]])
def test_a_study_over_http_from_definition_to_best(tmp_path: Path, flags: list[str]) -> None:
    with service(tmp_path, "--grace-seconds", "5", *flags) as (url, process):
        document = definition(budget={"trials": 30}).model_dump(mode="json")
        assert httpx.post(f"{url}/v1/studies", json=document, timeout=30).status_code == 201
        eventually(lambda: state_of(url, "line-fit") == "completed")
        best = httpx.get(f"{url}/v1/studies/line-fit/best", timeout=30).raise_for_status().json()
        assert best["values"]["loss"] < 1
        [worker] = httpx.get(f"{url}/v1/workers", timeout=30).raise_for_status().json()["workers"]
        assert worker["alive"]

        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert time.monotonic() - began < 5 + SLACK, "the grace period"
    with closing(Database(f"sqlite:///{tmp_path / 'tuner.db'}")) as database:
        assert [worker.alive for worker in workers.listed(database)] == [False]


def test_readiness_turns_503_while_the_workers_drain(tmp_path: Path) -> None:
    settings = {"seconds": 0.02}
    with service(tmp_path, "--objectives", BOWLS, "--grace-seconds", "8") as (url, process):
        slow = definition(
            "slow", "slow_bowl", settings=settings, search_space=fixed(0.01, 10_000), budget={"trials": 2}
        )
        assert httpx.post(f"{url}/v1/studies", json=slow.model_dump(mode="json"), timeout=30).status_code == 201
        eventually(lambda: httpx.get(f"{url}/v1/studies/slow", timeout=30).json()["trials"]["running"] == 2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        eventually(lambda: httpx.get(f"{url}/readyz", timeout=30).status_code == 503, within=8)
        # Who is at work may still tell.
        assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200
        assert process.wait(timeout=60) == 0
        assert time.monotonic() - began < 8 + SLACK, "the grace period"

    shown = tuner("study", "show", "slow", "--database-url", f"sqlite:///{tmp_path / 'tuner.db'}").stdout
    assert "2 waiting" in shown


def test_a_taken_port_is_one_line_and_nothing_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = tuner("serve", "--port", port, "--database-url", f"sqlite:///{tmp_path / 'tuner.db'}")

    assert ran.returncode == 1
    assert ran.stderr == f"tuner: port {port} on 127.0.0.1 is taken: choose another --port\n"
    assert ran.stdout == ""
    assert not (tmp_path / "tuner.db").exists()


def test_a_worker_that_dies_is_replaced_while_the_service_goes_on(tmp_path: Path) -> None:
    with service(tmp_path) as (url, process):

        def alive() -> list[int]:
            listed = httpx.get(f"{url}/v1/workers", timeout=30).json()["workers"]
            return [each["pid"] for each in listed if each["alive"]]

        eventually(lambda: len(alive()) == 1)
        [first] = alive()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: alive() not in ([], [first]))
        assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_workers_end_with_a_service_that_was_killed(tmp_path: Path) -> None:
    with service(tmp_path) as (_, process), closing(Database(f"sqlite:///{tmp_path / 'tuner.db'}")) as database:
        eventually(lambda: len(workers.listed(database)) == 1)
        process.kill()
        eventually(lambda: not workers.listed(database)[0].alive)
        assert workers.listed(database)[0].stopped_at is not None


def test_processes_that_answer_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    with service(tmp_path, "--processes", "2", "--workers", "0") as (url, process):
        process.kill()
        process.wait()
        port = int(url.rpartition(":")[2])

        def free() -> bool:
            try:
                socket.create_server(("127.0.0.1", port)).close()
            except OSError:
                return False
            return True

        eventually(free)


def threads(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))


def answering(parent: int) -> set[int]:
    """The processes that answer for the one that started them."""
    children = map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    return {child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc to find processes in")
def test_a_process_that_was_killed_is_replaced_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with service(tmp_path, "--processes", "2", "--workers", "0", "--grace-seconds", "5") as (_, process):
        eventually(lambda: len(answering(process.pid)) == 2)
        killed = min(answering(process.pid))
        # One that serves waits to be told of the end: a thread does, beside that of requests and others.
        eventually(lambda: threads(killed) > 4)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(answering(process.pid) - {killed}) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("flags", [[], ["--processes", "2"]])
def test_open_event_streams_do_not_hold_up_the_end(tmp_path: Path, flags: list[str]) -> None:
    with service(tmp_path, "--workers", "0", "--grace-seconds", "10", *flags) as (url, process), ExitStack() as stack:
        document = definition(objective="line_fit").model_dump(mode="json")
        assert httpx.post(f"{url}/v1/studies", json=document, timeout=30).status_code == 201
        addresses = [f"{url}/v1/events", f"{url}/v1/studies/line-fit/events"] * 4
        readers = [stack.enter_context(following(address)) for address in addresses]
        eventually(lambda: all(reader.last_event_id for reader in readers))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert time.monotonic() - began < 10 + SLACK, "the grace period"
        eventually(lambda: all(reader.ended for reader in readers))
