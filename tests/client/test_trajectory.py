"""A trajectory search over HTTP: real clients, several at once, a killed one, a noisy one, one that always diverges."""

import math
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from tests.worker.running import eventually
from tuner.client import Client, Study, Trial
from tuner.errors import InvalidInput

CURVATURES = (0.1, 1.0, 2.0)
EDGE = 2 / max(CURVATURES)


def loss_after(rate: float, step: int) -> float:
    """Half the sum of c x² after so many steps of gradient descent from ones."""
    try:
        return sum(0.5 * c * (1 - rate * c) ** (2 * step) for c in CURVATURES)
    except OverflowError:
        return math.inf


def open_study(client: Client, **changes: object) -> Study:
    options = {"learning_rate": (1e-4, 10.0), "steps": (1, 200), "sampler": "trajectory", "trials": 24, **changes}
    return client.study("s", **options)  # type: ignore[arg-type]


def train(trial: Trial, *, noise: float = 0.0, scale: float = 1.0) -> None:
    """As a user's program does: report each step, stop where told to, tell the loss that is left."""
    rng = np.random.default_rng(trial.number)
    rate = scale * trial.learning_rate
    trial.report(0, loss=loss_after(rate, 0))
    step = 0
    for step in trial.range():
        trial.report(step, loss=loss_after(rate, step) + noise * rng.normal())
        if step % 25 == 0:
            trial.flush()
        if trial.should_stop:
            break
    trial.tell(loss=loss_after(rate, step))


def best_rate(study: Study) -> float:
    return float(study.best.learning_rate)


def test_a_program_finds_the_rate_and_hears_which_are_hopeless(client: Client) -> None:
    study = open_study(client)
    reasons = []
    for trial in study:
        train(trial)
        reasons.append(trial.stop_reason)
    assert study.state == "completed"
    assert len(study.trials()) == 24
    assert 0.8 * EDGE < best_rate(study) < EDGE
    assert study.best.steps == 200
    stopped = [one for one in study.trials() if one.state == "pruned"]
    assert stopped
    assert {one.reason for one in stopped} <= set(reasons)


def test_programs_at_once_share_one_search(client: Client, url: str) -> None:
    study = open_study(client, trials=30)

    def work(_: int) -> list[tuple[int, float, int]]:
        done = []
        with Client(url, patience=20) as own:
            for trial in own.study("s"):
                done.append((trial.number, trial.learning_rate, trial.steps))
                train(trial)
        return done

    with ThreadPoolExecutor(4) as pool:
        done = [one for part in pool.map(work, range(4)) for one in part]
    assert sorted(number for number, _, _ in done) == list(range(30))
    assert len({(rate, steps) for _, rate, steps in done}) == 30
    assert study.state == "completed"
    assert 0.8 * EDGE < best_rate(study) < EDGE


def test_a_noisy_program_is_not_misled(client: Client) -> None:
    study = open_study(client)
    for trial in study:
        train(trial, noise=0.1)
    assert 0.4 * EDGE < best_rate(study) < EDGE


def test_a_program_that_always_diverges_comes_to_the_end_of_its_budget(client: Client) -> None:
    study = open_study(client, trials=12)
    for trial in study:
        train(trial, scale=1e9)
    assert study.state == "completed"
    assert {one.state for one in study.trials()} == {"complete"}
    assert len({one.learning_rate for one in study.trials()}) == 12


KILLED = """
import sys, time
from tuner.client import Client

client = Client(sys.argv[1], lease_seconds=1, patience=20, report_every=0.05)
[trial] = client.study("s").ask()
trial.report(0, loss=1.5)
trial.flush()
print(trial.number, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the helper of a killed program ends with it only there")
def test_what_a_killed_program_had_is_run_by_another(sweeping_url: str) -> None:
    with Client(sweeping_url, patience=20) as client:
        study = open_study(client, trials=10)
        [first] = study.ask()
        train(first)
        program = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED), sweeping_url], stdout=subprocess.PIPE, text=True
        )
        try:
            assert program.stdout is not None
            number = int(program.stdout.readline())
        finally:
            program.kill()
            program.wait()
            program.stdout.close()  # type: ignore[union-attr]

        def state() -> str:
            answer = httpx.get(f"{sweeping_url}/v1/studies/s/trials/{number}", timeout=30)
            return str(answer.json()["state"])

        eventually(lambda: state() == "waiting")
        attempts = {}
        for trial in study:
            attempts[trial.number] = trial.attempt
            train(trial)
        assert attempts[number] == 2
        assert study.state == "completed"
        assert len(study.trials()) == 10


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_cannot_be_searched_is_refused_by_name(client: Client) -> None:
    with pytest.raises(InvalidInput, match=r"search_space\.momentum"):
        open_study(client, momentum=(0.0, 0.9))
    with pytest.raises(InvalidInput, match=r"^goal: "):
        open_study(client, goal="minimize loss and steps")
