"""Ask: the budget is the study's, whoever asks; what waits goes first."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.service.definitions import SPACE, complete, external, registered
from tuner.errors import InvalidInput, ReadOnlyStudy
from tuner.service import studies, trials
from tuner.service.ask import ask
from tuner.service.leases import release
from tuner.service.tell import Ending, tell
from tuner.storage import TunerStorage
from tuner.storage.database import Database


def test_trials_are_numbered_on_and_lie_in_the_search_space(database: Database) -> None:
    studies.create(database, external())
    leases = ask(database, "resnet", count=3).trials + ask(database, "resnet", count=2).trials
    assert [lease.number for lease in leases] == [0, 1, 2, 3, 4]
    for lease in leases:
        external().point(lease.parameters)
        assert lease.attempt == 1


def test_parallel_askers_never_pass_the_budget_of_trials(database: Database) -> None:
    studies.create(database, external(budget={"trials": 25}))
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: ask(database, "resnet", count=4), range(16)))
    numbers = sorted(lease.number for answer in asked for lease in answer.trials)
    assert numbers == list(range(25))


def test_parallel_askers_never_pass_the_budget_of_evaluations(database: Database) -> None:
    studies.create(database, registered(budget={"gradient_evaluations": 1000}))
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: ask(database, "line-fit", count=3), range(16)))
    steps = [lease.parameters["steps"] for answer in asked for lease in answer.trials]
    assert sum(count + 1 for count in steps if isinstance(count, int)) == 1000


def test_what_a_run_did_not_use_is_given_out_again(database: Database) -> None:
    space = {**registered().model_dump(mode="json")["search_space"], "steps": {"type": "int", "low": 99, "high": 99}}
    studies.create(database, registered(search_space=space, budget={"gradient_evaluations": 100}))
    (lease,) = ask(database, "line-fit", count=5).trials
    waits = ask(database, "line-fit")
    assert (waits.trials, waits.study_state) == ([], "active")
    assert waits.retry_after_seconds is not None
    diverged = Ending(lease.number, lease.attempt, "complete", {"loss": float("inf")}, gradient_evaluations=0)
    tell(database, "line-fit", [diverged])
    assert len(ask(database, "line-fit").trials) == 1


def test_a_study_completes_when_what_is_left_affords_no_trial(database: Database) -> None:
    studies.create(database, registered(budget={"gradient_evaluations": 3}))
    (lease,) = ask(database, "line-fit").trials
    assert lease.parameters["steps"] in {1, 2}
    tell(database, "line-fit", [complete(lease, gradient_evaluations=2)])
    study, _ = studies.get(database, "line-fit")
    assert (study.state, study.spent.gradient_evaluations) == ("completed", 2)
    assert study.state_reason == "the budget of 3 gradient evaluations is spent"


def test_no_more_run_at_once_than_the_budget_says(database: Database) -> None:
    studies.create(database, external(budget={"trials": 10, "parallel_trials": 2}))
    first = ask(database, "resnet", count=5).trials
    assert len(first) == 2
    assert ask(database, "resnet").trials == []
    tell(database, "resnet", [complete(first[0])])
    assert len(ask(database, "resnet", count=5).trials) == 1


def test_a_study_ends_at_its_failures(database: Database) -> None:
    studies.create(database, external(budget={"failed_trials": 2}))
    leases = ask(database, "resnet", count=2).trials
    tell(database, "resnet", [Ending(lease.number, lease.attempt, "failed", reason="no GPU") for lease in leases])
    study, _ = studies.get(database, "resnet")
    assert (study.state, study.state_reason) == ("completed", "2 trials failed")


def test_an_enqueued_point_is_given_out_first_and_as_it_is(database: Database) -> None:
    studies.create(database, external(budget={"trials": 1}))
    chosen = {"steps": 17, "learning_rate": 0.25}
    queued = trials.enqueue(database, "resnet", chosen)
    assert queued.state == "waiting"
    assert studies.get(database, "resnet")[0].spent.trials == 0
    (lease,) = ask(database, "resnet", count=5).trials
    assert (lease.number, lease.parameters) == (queued.number, chosen)


@pytest.mark.parametrize(
    ("point", "field"),
    [
        ({"learning_rate": 0.1}, "parameters.steps"),
        ({"learning_rate": 2.0, "steps": 5}, "parameters.learning_rate"),
        ({"learning_rate": 0.1, "steps": 5.5}, "parameters.steps"),
        ({"learning_rate": True, "steps": 5}, "parameters.learning_rate"),
        ({"learning_rate": 0.1, "steps": 5, "momentum": 0.9}, "parameters.momentum"),
    ],
)
def test_a_point_outside_the_search_space_is_refused(database: Database, point: dict[str, object], field: str) -> None:
    studies.create(database, external())
    with pytest.raises(InvalidInput) as caught:
        trials.enqueue(database, "resnet", point)
    assert [error.field for error in caught.value.fields] == [field]
    assert trials.page(database, "resnet").trials == []


def test_released_trials_are_given_out_again_alone_in_a_registered_study(database: Database) -> None:
    studies.create(database, registered())
    batch = ask(database, "line-fit", count=4).trials
    release(database, "line-fit", [(lease.number, lease.attempt) for lease in batch[:2]])
    again = ask(database, "line-fit", count=4).trials
    assert [(lease.number, lease.attempt, lease.parameters) for lease in again] == [
        (lease.number, 2, lease.parameters) for lease in batch[:2]
    ]
    assert studies.get(database, "line-fit")[0].spent.trials == 4


def test_a_batch_for_a_training_client_is_filled_up(database: Database) -> None:
    studies.create(database, external())
    trials.enqueue(database, "resnet", {"learning_rate": 0.1, "steps": 10})
    assert len(ask(database, "resnet", count=3).trials) == 3


def enqueue_steps(database: Database, *steps: int) -> None:
    for count in steps:
        trials.enqueue(database, "line-fit", {"learning_rate": 0.1, "steps": count})


def test_work_that_was_begun_goes_before_enqueued_points_that_the_budget_cannot_pay(database: Database) -> None:
    studies.create(database, registered(budget={"gradient_evaluations": 100}))
    enqueue_steps(database, 200)
    (begun,) = ask(database, "line-fit").trials
    release(database, "line-fit", [(begun.number, begun.attempt)])
    (again,) = ask(database, "line-fit").trials
    assert (again.number, again.attempt) == (begun.number, 2)


def test_an_enqueued_point_that_is_too_dear_stands_in_nobodys_way(database: Database) -> None:
    studies.create(database, registered(budget={"gradient_evaluations": 150}))
    enqueue_steps(database, *[200] * 120, 5)
    (lease,) = ask(database, "line-fit").trials
    assert lease.parameters["steps"] == 5


def test_a_requeued_trial_is_not_counted_as_begun_again(database: Database) -> None:
    studies.create(database, external(budget={"trials": 2}))
    (first,) = ask(database, "resnet").trials
    release(database, "resnet", [(first.number, first.attempt)])
    queued = trials.enqueue(database, "resnet", {"learning_rate": 0.1, "steps": 1})
    assert [lease.number for lease in ask(database, "resnet", count=2).trials] == [first.number, queued.number]


def test_a_chosen_number_is_kept_as_the_search_space_has_it(database: Database) -> None:
    space = {**SPACE, "steps": {"type": "categorical", "choices": [10, 200]}}
    studies.create(database, registered(search_space=space, budget={"gradient_evaluations": 20}))
    queued = trials.enqueue(database, "line-fit", {"learning_rate": 1, "steps": 200.0})
    assert queued.parameters == {"learning_rate": 1.0, "steps": 200}
    assert [type(value) for value in queued.parameters.values()] == [float, int]
    assert [lease.parameters["steps"] for lease in ask(database, "line-fit", count=2).trials] == [10]


def test_an_exhausted_grid_completes_the_study(database: Database) -> None:
    space = {
        "learning_rate": {"type": "categorical", "choices": [0.1, 0.2, 0.3]},
        "steps": {"type": "int", "low": 5, "high": 5},
    }
    studies.create(database, registered(search_space=space, sampler={"name": "grid"}))
    leases = ask(database, "line-fit", count=10).trials
    assert sorted(str(lease.parameters["learning_rate"]) for lease in leases) == ["0.1", "0.2", "0.3"]
    tell(database, "line-fit", [complete(lease) for lease in leases])
    assert ask(database, "line-fit").study_state == "completed"
    assert studies.get(database, "line-fit")[0].state_reason == "every point of the grid has been tried"
    assert studies.change(database, "line-fit", {"notes": "seen"})[0].state == "completed"


def test_an_optuna_programs_study_is_read_only(database: Database) -> None:
    from optuna import create_study

    create_study(storage=TunerStorage(database), study_name="Theirs!")
    listed = studies.page(database).studies
    assert [(study.name, study.definition) for study in listed] == [("Theirs!", None)]
    with pytest.raises(ReadOnlyStudy):
        ask(database, "Theirs!")
