"""How programs leave a bare ``for trial in study`` loop, and what the service then knows of the trial."""

import pytest

from tests.client import programs

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

UNTOLD = "no result was told"
DIVISION = "ZeroDivisionError: division by zero"


def ending(url: str, body: str) -> tuple[int, str, str | None]:
    """A program's exit status, and the state and reason of its last trial."""
    ended = programs.run(url, body)
    found = programs.trial(url)
    assert programs.keepers_of(found["worker"] and int(found["worker"].rpartition(":")[2])) == []
    return ended.returncode, found["state"], found["reason"]


LOOPS = {
    "a division": "for trial in study: 1 / 0",
    "in a function": """
        def train(rate):
            return 1 / 0 * rate
        def main():
            for trial in study:
                train(trial.learning_rate)
        main()
        """,
    "cleaned up on the way": """
        for trial in study:
            try:
                with open(os.devnull):
                    1 / 0
            finally:
                pass
        """,
    "raised again": """
        for trial in study:
            try:
                1 / 0
            except ZeroDivisionError:
                raise
        """,
    "through a generator": """
        def bar(trials):
            for trial in trials:
                yield trial
        for trial in bar(study): 1 / 0
        """,
    "enumerated": "for i, trial in enumerate(study): 1 / 0",
    "in a thread": """
        import threading
        def main():
            for trial in study: 1 / 0
        threading.excepthook = lambda args: time.sleep(0.2)
        thread = threading.Thread(target=main)
        thread.start()
        thread.join()
        sys.exit(1)
        """,
    "caught and looked at": """
        import traceback
        try:
            for trial in study: 1 / 0
        except ZeroDivisionError:
            traceback.print_exc()
            time.sleep(0.1)
        sys.exit(1)
        """,
    "asked for": "trial = study.ask()[0]; 1 / 0",
    "an iterator kept": """
        trials = iter(study)
        trial = next(trials)
        1 / 0
        """,
}


@pytest.mark.parametrize("body", LOOPS.values(), ids=LOOPS.keys())
def test_the_exception_that_ends_a_program_is_the_trials_reason(url: str, body: str) -> None:
    assert ending(url, body) == (1, "failed", DIVISION)


def test_the_last_of_several_exceptions_is_the_reason(url: str) -> None:
    body = """
        for trial in study:
            try:
                1 / 0
            except ZeroDivisionError:
                raise RuntimeError("no gradient")
        """
    assert ending(url, body) == (1, "failed", "RuntimeError: no gradient")


@pytest.mark.parametrize(
    "body",
    [
        "for trial in study: break",
        "for trial in study:\n    if trial.number == 1: break\n    continue",
        "for trial in iter(study): break",
        "[*zip(study, [1])]",
        """
        def first():
            for trial in study:
                return trial
        first()
        """,
        # An exception that was dealt with is not what ended the loop.
        """
        for trial in study:
            try:
                1 / 0
            except ZeroDivisionError as error:
                kept = error
            break
        """,
        """
        def bar(trials):
            for trial in trials:
                yield trial
        for trial in bar(study): break
        """,
    ],
)
def test_a_trial_that_is_left_without_an_exception_has_failed_for_want_of_a_result(url: str, body: str) -> None:
    assert ending(url, body) == (0, "failed", UNTOLD)


def test_an_exception_that_nobody_sees_is_not_named(url: str) -> None:
    body = """
        try:
            for trial in study: 1 / 0
        except ZeroDivisionError:
            pass
        time.sleep(2)
        """
    status, state, reason = ending(url, body)
    assert (status, state) == (0, "failed")
    # Later versions of Python can name it.
    assert reason is not None
    assert reason.startswith(("an exception ended the loop", DIVISION))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("for trial in study: raise KeyboardInterrupt", 130),
        ("for trial in study: os.kill(os.getpid(), 2); time.sleep(30)", 130),
        ("for trial in study: sys.exit(3)", 3),
        ("import signal; signal.signal(15, lambda *_: sys.exit(4))\nfor t in study: os.kill(os.getpid(), 15)", 4),
        ("trial = study.ask()[0]", 0),
        ("trials = iter(study); next(trials)", 0),
    ],
)
def test_an_interrupted_trial_is_given_back(url: str, body: str, status: int) -> None:
    assert ending(url, body) == (status if status != 130 else -2, "waiting", None)


def test_a_program_whose_service_is_gone_ends_all_the_same(url: str) -> None:
    body = """
        for trial in study:
            client._transport.url = "http://127.0.0.1:9"
            1 / 0
        """
    ended = programs.run(url, body)
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stderr
    assert "could not be settled" in ended.stderr
    assert programs.trial(url)["state"] == "running"


def test_a_program_without_a_service_does_not_wait_for_each_of_its_trials(url: str) -> None:
    body = """
        trials = study.ask(50)
        client._transport.url = "http://127.0.0.1:9"
        """
    # Each would take 5 seconds, and a program that takes 60 is killed.
    ended = programs.run(url, body)
    assert ended.returncode == 0
    assert ended.stderr.count("could not be settled") == 1


def test_after_an_unanswered_tell_nothing_else_is_told(url: str) -> None:
    body = """
        client._transport.patience = 0.3
        for trial in study:
            client._transport.url = "http://127.0.0.1:9"
            try:
                trial.tell(loss=1.0)
            finally:
                client._transport.url = sys.argv[1]
        """
    ended = programs.run(url, body)
    assert "ServiceUnreachable" in ended.stderr
    assert programs.trial(url)["state"] == "running"


def test_a_lost_trial_does_not_end_with_a_second_exception(url: str) -> None:
    body = """
        import httpx
        for trial in study:
            httpx.post(f"{sys.argv[1]}/v1/studies/s/trials/0:release", json={"attempt": 1}, timeout=30)
            study.ask()
            trial.tell(loss=1.0)
        """
    ended = programs.run(url, body)
    assert ended.stderr.count("Traceback") == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("tuner.errors.LeaseLost: ")
