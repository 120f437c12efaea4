"""A forked child gets a client of its own, and the parent's trials stay the parent's."""

import os

import pytest

from tests.client import programs

pytestmark = [
    pytest.mark.parametrize("backend", ["sqlite"], indirect=True),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
]


def test_a_child_runs_trials_of_its_own(url: str) -> None:
    body = """
        trial, = study.ask()
        child = os.fork()
        if child == 0:
            from tuner.client.leases import leases
            from tuner.errors import TunerError
            assert leases.process is None
            for act in (trial.flush, trial.release, lambda: trial.report(1, loss=1.0), lambda: trial.tell(loss=1.0)):
                try:
                    act()
                except TunerError as error:
                    assert "which asked for it" in str(error), error
                else:
                    raise AssertionError
            own, = study.ask()
            assert own.number == 1, own
            assert leases.process is not None
            time.sleep(3)
            own.tell(loss=2.0)
            left = study.ask()
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        trial.tell(loss=1.0)
        """
    ended = programs.run(url, body)
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second, third = (programs.trial(url, number) for number in range(3))
    assert (first["state"], first["values"], first["attempt"]) == ("complete", {"loss": 1.0}, 1)
    assert (second["state"], second["values"], second["attempt"]) == ("complete", {"loss": 2.0}, 1)
    # What the child had left was given back when it ended.
    assert third["state"] == "waiting"
    workers = {int(found["worker"].rpartition(":")[2]) for found in (first, second)}
    assert len(workers) == 2
    assert [programs.keepers_of(worker) for worker in workers] == [[], []]


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "raise ValueError", "break"])
def test_however_a_child_ends_the_parents_trial_goes_on(url: str, end: str) -> None:
    body = f"""
        for trial in study:
            child = os.fork()
            if child == 0:
                {end}
            else:
                os.waitpid(child, 0)
                trial.tell(loss=1.0)
                sys.exit(5)
        """
    ended = programs.run(url, body)
    assert ended.returncode == 5
    found = programs.trial(url)
    assert (found["state"], found["reason"], found["attempt"]) == ("complete", None, 1)


def test_a_child_forked_while_threads_are_at_work_is_not_stuck(url: str) -> None:
    body = """
        import threading
        over = threading.Event()
        trial, = study.ask()
        def report():
            step = 0
            while not over.is_set():
                trial.report(step % 10, loss=1.0)
                step += 1
        threads = [threading.Thread(target=report) for _ in range(2)]
        for thread in threads: thread.start()
        for number in range(10):
            child = os.fork()
            if child == 0:
                own, = study.ask()
                own.report(1, loss=1.0)
                own.tell(loss=1.0)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        over.set()
        for thread in threads: thread.join()
        trial.tell(loss=1.0)
        """
    ended = programs.run(url, body)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_pools_of_processes_share_a_study(url: str) -> None:
    body = """
        import multiprocessing
        client.study("few", learning_rate=(1e-4, 1.0), steps=(1, 10), sampler="random", trials=12)
        def few(_):
            return [trial.tell(loss=1.0).number for trial in client.study("few")]
        with multiprocessing.get_context("fork").Pool(3) as pool:
            numbers = [number for each in pool.map(few, range(3), chunksize=1) for number in each]
        assert sorted(numbers) == list(range(12)), numbers
        """
    ended = programs.run(url, body)
    assert (ended.returncode, ended.stderr) == (0, "")
