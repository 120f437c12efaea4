"""Leases: renewed for a trainer that lives and gets on, whatever holds its interpreter; and for no other."""

import os
import signal
import sys
import time

import pytest

from tests.client import programs
from tests.client.programs import keeper_of, said, tell
from tests.worker.running import eventually
from tuner.client import Client
from tuner.client.keeper import is_stopped, state_of
from tuner.client.leases import leases
from tuner.errors import LeaseLost

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

LEASE = 1.0
"""Seconds; the service sweeps every 2."""


def test_a_lease_is_kept_while_training_holds_the_interpreter(sweeping_url: str) -> None:
    # PyDLL, unlike CDLL, calls without letting other threads run.
    hold = "import ctypes; trial, = study.ask(); ctypes.PyDLL(None).sleep(4); print(trial.tell(loss=1.0).attempt)"
    ended = programs.run(sweeping_url, hold)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("1\n", "", 0)


@one_backend
def test_a_silent_trial_is_kept_and_a_dropped_one_is_not(sweeping_url: str) -> None:
    with Client(sweeping_url, lease_seconds=LEASE) as client:
        study = client.study("s", learning_rate=0.1, steps=1, sampler="random")
        kept = study.ask(2)[0]
        eventually(lambda: programs.trial(sweeping_url, 1)["state"] == "waiting")
        time.sleep(2 * LEASE)
        assert programs.trial(sweeping_url, 0)["state"] == "running"
        assert kept.tell(loss=1.0).attempt == 1


TRAINS = """
trial, = study.ask()
say("trains")
hear()
from tuner.errors import LeaseLost
while not trial.should_stop:
    trial.report(1, loss=1.0)
    time.sleep(0.01)
say(trial.stop_reason)
try:
    trial.tell(loss=1.0)
except LeaseLost as lost:
    say(f"lost: {lost}")
"""


def test_a_stopped_trainer_loses_its_trial_and_hears_of_it(sweeping_url: str) -> None:
    with Client(sweeping_url) as client, programs.running(sweeping_url, TRAINS) as trainer:
        assert said(trainer) == "trains"
        trainer.send_signal(signal.SIGSTOP)
        eventually(lambda: is_stopped(trainer.pid))
        eventually(lambda: programs.trial(sweeping_url)["state"] == "waiting")
        [again] = client.study("s").ask()
        assert (again.number, again.attempt) == (0, 2)
        tell(trainer)
        trainer.send_signal(signal.SIGCONT)
        assert said(trainer).startswith("lease lost: ")
        assert said(trainer).startswith("lost: ")
        assert again.tell(loss=2.0).values == {"loss": 2.0}
        assert trainer.wait(30) == 0


def test_a_stopped_trainer_that_nobody_has_replaced_goes_on(sweeping_url: str) -> None:
    body = "trial, = study.ask(); say('trains'); hear(); say(trial.tell(loss=1.0).attempt)"
    with programs.running(sweeping_url, body) as trainer:
        assert said(trainer) == "trains"
        trainer.send_signal(signal.SIGSTOP)
        eventually(lambda: programs.trial(sweeping_url)["state"] == "waiting")
        trainer.send_signal(signal.SIGCONT)
        tell(trainer)
        assert said(trainer) == "1"


def test_a_killed_trainers_trial_runs_again(sweeping_url: str) -> None:
    with Client(sweeping_url) as client, programs.running(sweeping_url, TRAINS) as trainer:
        assert said(trainer) == "trains"
        keeper = keeper_of(trainer.pid)
        trainer.kill()
        trainer.wait()
        eventually(lambda: state_of(keeper) in {"X", "Z", ""})
        eventually(lambda: programs.trial(sweeping_url)["state"] == "waiting")
        [again] = client.study("s").ask()
        assert (again.number, again.attempt) == (0, 2)


@one_backend
def test_a_keeper_goes_though_a_child_of_the_trainer_lives_on(sweeping_url: str) -> None:
    # A child that was not made by Python keeps the pipe to the keeper open.
    body = """
    trial, = study.ask()
    import ctypes
    child = ctypes.CDLL(None).fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    say(child)
    hear()
    """
    with programs.running(sweeping_url, body) as trainer:
        child = int(said(trainer))
        try:
            keeper = keeper_of(trainer.pid)
            trainer.kill()
            eventually(lambda: state_of(keeper) in {"X", "Z", ""})
            assert state_of(child) in {"S", "R"}
        finally:
            os.kill(child, signal.SIGKILL)


@one_backend
def test_a_signal_to_all_is_the_trainers_affair(sweeping_url: str) -> None:
    body = """
    import signal
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: None)
    trial, = study.ask()
    trial.flush()
    time.sleep(0.5)
    say("trains")
    hear()
    say(trial.tell(loss=1.0).attempt)
    """
    with programs.running(sweeping_url, body) as trainer:
        assert said(trainer) == "trains"
        keeper = keeper_of(trainer.pid)
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(keeper, name)
            trainer.send_signal(name)
        time.sleep(4)
        assert programs.trial(sweeping_url)["state"] == "running"
        tell(trainer)
        assert said(trainer) == "1"


@one_backend
def test_past_its_progress_deadline_a_trainer_is_taken_to_hang(sweeping_url: str) -> None:
    with Client(sweeping_url, lease_seconds=LEASE, progress_deadline=1.0, report_every=0.05) as client:
        study = client.study("s", learning_rate=0.1, steps=1, sampler="random")
        hanging, working, silent = study.ask(3)
        hanging.report(0, loss=1.0)

        def over() -> bool:
            _ = working.should_stop
            return bool(programs.trial(sweeping_url, hanging.number)["state"] == "waiting")

        eventually(over)
        states = [trial.state for trial in study.trials()]
        assert states == ["waiting", "running", "running"]
        [again] = study.ask()
        assert (again.number, again.attempt) == (hanging.number, 2)
        with pytest.raises(LeaseLost):
            hanging.tell(loss=1.0)
        assert working.tell(loss=1.0).attempt == silent.tell(loss=1.0).attempt == 1


@one_backend
def test_one_keeper_serves_all_trials_and_ends_with_the_last_client(sweeping_url: str) -> None:
    leases.rest()
    assert programs.ours() == []
    with Client(sweeping_url, lease_seconds=LEASE) as one, Client(sweeping_url, lease_seconds=LEASE) as other:
        study = one.study("s", learning_rate=0.1, steps=1, sampler="random")
        trials = study.ask(5) + other.study("s").ask(3)
        eventually(lambda: programs.ours() == [leases.process])
        time.sleep(4)
        assert {trial.state for trial in study.trials()} == {"running"}
        assert len(trials) == 8
    assert programs.ours() == []


@one_backend
def test_a_keeper_that_something_killed_is_replaced(sweeping_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.client.leases.RESTART_AFTER", 0.1)
    with Client(sweeping_url, lease_seconds=LEASE) as client:
        study = client.study("s", learning_rate=0.1, steps=1, sampler="random")
        [trial] = study.ask()
        first = leases.process
        assert first is not None
        os.kill(first, signal.SIGKILL)
        eventually(lambda: leases.process not in {None, first})
        time.sleep(4)
        assert trial.tell(loss=1.0).attempt == 1
    assert programs.ours() == []


@one_backend
@pytest.mark.parametrize(
    ("executable", "file"),
    [("/nowhere/python", None), ("/usr/sbin/uwsgi", None), ("", None), (sys.executable, "/nowhere/keeper.py")],
)
def test_where_no_process_can_be_started_a_thread_renews(
    sweeping_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    executable: str,
    file: str | None,
) -> None:
    leases.rest()
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr("tuner.client.leases.RESTART_AFTER", 0.1)
    monkeypatch.setattr(leases, "_works", True)
    if file is not None:
        monkeypatch.setattr("tuner.client.keeper.__file__", file)
    with Client(sweeping_url, lease_seconds=LEASE) as client:
        study = client.study("s", learning_rate=0.1, steps=1, sampler="random")
        [trial, other] = study.ask(2)
        eventually(lambda: "renewed by a thread" in caplog.text)
        time.sleep(4)
        other.release()
        assert trial.tell(loss=1.0).attempt == 1
        assert programs.ours() == []


@one_backend
def test_a_renewal_that_fails_is_tried_again(sweeping_url: str) -> None:
    from tests.client.faulty import LOST_REQUEST, Fault, Faulty

    with Faulty(sweeping_url) as proxy, Client(proxy.url, lease_seconds=3) as client:
        study = client.study("s", learning_rate=0.1, steps=1, sampler="random")
        faults = [LOST_REQUEST, Fault(503), Fault(500)]
        proxy.plan = lambda method, path: faults.pop() if faults and path.endswith(":heartbeat") else None
        [trial] = study.ask()
        eventually(lambda: len(proxy.calls(":heartbeat")) >= 4)
        assert trial.tell(loss=1.0).attempt == 1
        beats = len(proxy.calls(":heartbeat"))
        time.sleep(3)
        assert len(proxy.calls(":heartbeat")) == beats
