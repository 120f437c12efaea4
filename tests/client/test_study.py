"""A study from a training program's side, against the real service on each database."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.api.requests import registered
from tuner.client import Client, Study, Trial
from tuner.errors import AlreadyTold, InvalidInput, LeaseLost, StudyExists


def open_study(client: Client, name: str = "s", **changes: Any) -> Study:
    options = {"learning_rate": (1e-4, 1.0), "steps": (1, 10), "sampler": "random", "trials": 5, **changes}
    return client.study(name, **options)


def test_a_loop_runs_a_study_to_its_end(client: Client) -> None:
    study = open_study(client)
    numbers = []
    for trial in study:
        assert 1e-4 <= trial.learning_rate <= 1.0
        assert trial["steps"] == trial.steps == trial.parameters["steps"]
        assert list(trial.range()) == list(range(1, trial.steps + 1))
        told = trial.tell(loss=trial.learning_rate)
        assert (told.number, told.state, told.values) == (trial.number, "complete", {"loss": trial.learning_rate})
        numbers.append(trial.number)
    assert numbers == list(range(5))
    assert study.state == "completed"
    assert [trial.number for trial in study.trials()] == numbers
    best = min(study.trials(), key=lambda trial: trial.learning_rate)
    assert study.best == best
    assert (study.best.learning_rate, study.best.steps) == (best.parameters["learning_rate"], best.parameters["steps"])
    assert list(study) == []


def test_parameters_have_the_names_that_the_study_gives_them(client: Client) -> None:
    study = client.study("s", {"weight-decay": (0.1, 0.2), "goal": 3}, width=[8, 16], rule="adam", sampler="random")
    [trial] = study.ask()
    assert trial.width in {8, 16}
    assert trial.rule == "adam"
    assert 0.1 <= trial["weight-decay"] <= 0.2
    assert trial["goal"] == trial.goal == 3
    with pytest.raises(AttributeError, match="no parameter 'learning_rate'"):
        _ = trial.learning_rate
    with pytest.raises(AttributeError, match="no parameter 'depth'"):
        _ = trial.depth
    with pytest.raises(InvalidInput, match=r"^steps: "):
        trial.range()


def test_non_finite_results_are_results(client: Client) -> None:
    study = open_study(client)
    told = [trial.tell(loss=value) for trial, value in zip(study, (math.nan, math.inf, -math.inf, 0.5), strict=False)]
    values = [trial.values["loss"] for trial in told if trial.values is not None]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf, 0.5]
    assert study.best.number == 3


def test_scalars_of_other_libraries_are_numbers(client: Client) -> None:
    import numpy as np

    [trial] = open_study(client).ask()
    told = trial.tell(loss=np.float32(0.5), accuracy=np.array(0.25), steps=np.int64(3))
    assert told.values == {"loss": 0.5, "accuracy": 0.25, "steps": 3.0}


def test_what_is_no_result_is_refused_and_the_trial_goes_on(client: Client) -> None:
    [trial] = open_study(client).ask()
    for wrong in ("0.5", None, True, object(), [1.0, 2.0]):
        with pytest.raises(InvalidInput, match=r"^values\.loss: "):
            trial.tell(loss=wrong)
    with pytest.raises(InvalidInput, match=r"^values\.loss: "):
        trial.tell(accuracy=1.0)
    assert trial.tell(loss=1.0).state == "complete"


def test_telling_again(client: Client) -> None:
    [trial] = open_study(client).ask()
    first = trial.tell(loss=1.0)
    assert trial.tell(loss=1.0) == first
    with pytest.raises(AlreadyTold):
        trial.tell(loss=2.0)
    with pytest.raises(AlreadyTold):
        trial.fail("no")
    assert client.study("s").trials()[0].values == {"loss": 1.0}


def test_a_released_trial_is_given_out_again(client: Client) -> None:
    study = open_study(client)
    [trial] = study.ask()
    trial.release()
    [again] = study.ask()
    assert (again.number, again.attempt, again.parameters) == (trial.number, trial.attempt + 1, trial.parameters)
    with pytest.raises(LeaseLost):
        trial.tell(loss=1.0)
    with pytest.raises(LeaseLost):
        trial.release()
    again.fail("it cannot be done")
    [found] = study.trials()
    assert (found.state, found.reason) == ("failed", "it cannot be done")


def test_with_a_trial_its_exception_is_its_reason(client: Client) -> None:
    study = open_study(client)
    [trial] = study.ask()
    with pytest.raises(ValueError, match="bad"), trial:
        raise ValueError("bad \x00 \ud800")
    [other] = study.ask()
    with other:
        pass
    [told] = study.ask()
    with told:
        told.tell(loss=1.0)
    reasons = [(found.state, found.reason) for found in study.trials()]
    assert reasons == [
        ("failed", "ValueError: bad � ?"),
        ("failed", "no result was told"),
        ("complete", None),
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_with_a_trial_an_interrupt_gives_it_back(client: Client, error: type[BaseException]) -> None:
    study = open_study(client)
    [trial] = study.ask()
    with pytest.raises(error), trial:
        raise error
    assert study.trials()[0].state == "waiting"


def test_an_enqueued_point_comes_first(client: Client) -> None:
    study = open_study(client)
    waiting = study.enqueue(learning_rate=0.25, steps=7)
    assert waiting.state == "waiting"
    trial = next(iter(study))
    assert (trial.number, trial.learning_rate, trial.steps) == (waiting.number, 0.25, 7)


def test_many_trials_at_once(client: Client) -> None:
    study = open_study(client, trials=30)
    trials = study.ask(100)
    assert sorted(trial.number for trial in trials) == list(range(30))
    assert study.ask() == []
    for trial in trials:
        trial.tell(loss=1.0)
    assert study.state == "completed"


def test_a_paused_study_is_waited_for_and_a_stopped_one_is_over(
    client: Client, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.client.study.LOOK_AGAIN", 0.1)
    study = open_study(client, trials=2)
    httpx.post(f"{url}/v1/studies/s:pause", timeout=30).raise_for_status()
    ran: list[Trial] = []

    def run() -> None:
        for trial in study:
            ran.append(trial)
            trial.tell(loss=1.0)

    runner = threading.Thread(target=run)
    runner.start()
    time.sleep(0.3)
    assert ran == []
    httpx.post(f"{url}/v1/studies/s:resume", timeout=30).raise_for_status()
    runner.join(30)
    assert len(ran) == 2
    other = open_study(client, "other")
    httpx.post(f"{url}/v1/studies/other:stop", timeout=30).raise_for_status()
    assert list(other) == []


def test_a_study_is_waited_for_while_others_hold_what_is_left(client: Client) -> None:
    study = open_study(client, trials=1)
    [held] = study.ask()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: [trial.number for trial in study if trial.tell(loss=1.0)])
        time.sleep(0.3)
        assert not waiting.done()
        held.release()
        assert waiting.result(30) == [held.number]


def test_joining_and_extending_is_the_same_call(client: Client) -> None:
    first = open_study(client, trials=3, notes="mine", tags=["a"])
    assert open_study(client, trials=3).definition == first.definition
    assert client.study("s").definition == first.definition
    less = open_study(client, trials=2)
    assert less.definition["budget"]["trials"] == 3
    assert len([trial.tell(loss=1.0) for trial in less]) == 3
    assert less.state == "completed"
    more = open_study(client, trials=4, notes="yours", tags=["b"])
    assert more.state == "active"
    assert more.definition["budget"]["trials"] == 4
    assert (more.definition["notes"], more.definition["tags"]) == ("mine", ["a"])
    assert len([trial.tell(loss=1.0) for trial in more]) == 1
    # No limit is more than any.
    assert open_study(client, trials=4, failed_trials=3).definition["budget"]["failed_trials"] is None


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"learning_rate": (1e-4, 0.5)}, "search_space.learning_rate"),
        ({"steps": (1, 11), "goal": "maximize loss"}, "search_space.steps, goal"),
        ({"momentum": (0.0, 0.9)}, "search_space.momentum"),
        ({"sampler": "tpe"}, "sampler"),
        ({"sampler": {"name": "random", "seed": 1}}, "sampler"),
        ({"learning_rate": [0.1, 0.2]}, "search_space.learning_rate"),
    ],
)
def test_another_definition_is_refused_by_its_fields(client: Client, change: dict[str, Any], fields: str) -> None:
    open_study(client)
    with pytest.raises(StudyExists, match=f"another definition: {fields} differ"):
        open_study(client, trials=1000, **change)
    assert client.study("s").definition["budget"]["trials"] == 5


def test_a_study_that_the_service_runs_is_read_and_not_joined_as_ones_own(client: Client, url: str) -> None:
    httpx.post(f"{url}/v1/studies", json=registered(), timeout=30).raise_for_status()
    assert client.study("line-fit").definition["objective"]["name"] == "line_fit"
    with pytest.raises(StudyExists, match="objective"):
        open_study(client, "line-fit")


def test_many_create_and_extend_at_once(client: Client, url: str) -> None:
    def extend(trials: int) -> None:
        with Client(url, patience=30) as other:
            open_study(other, trials=trials)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(extend, [3, 17, 5, 20, 2, 19, 11, 8]))
    assert client.study("s").definition["budget"]["trials"] == 20


def test_many_clients_share_a_budget(client: Client, url: str) -> None:
    def run(_: int) -> list[int]:
        with Client(url, patience=30) as other:
            return [trial.number for trial in open_study(other, trials=24) if trial.tell(loss=1.0)]

    with ThreadPoolExecutor(4) as pool:
        numbers = [number for each in pool.map(run, range(4)) for number in each]
    assert sorted(numbers) == list(range(24))


def test_a_closed_client_gives_its_trials_back(url: str) -> None:
    with Client(url) as client:
        study = open_study(client)
        left = study.ask(2)
    assert [trial.ended for trial in left] == [True, True]
    client = Client(url)
    held = client.study("s").ask()
    with pytest.raises(ValueError, match="bad"), client:
        raise ValueError("bad")
    assert held[0].ended
    found = {trial.number: (trial.state, trial.reason) for trial in client.study("s").trials()}
    assert found == {0: ("failed", "ValueError: bad"), 1: ("waiting", None)}
    client.close()
