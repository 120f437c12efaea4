"""Studies: created once, changed on purpose, over when their budget is."""

from typing import Any

import pytest

from tests.service.definitions import SPACE, complete, external, registered
from tuner.definition import StudyDefinition, StudyRequest
from tuner.errors import InvalidInput, NoResult, StudyChanged, StudyExists, StudyNotFound, StudyState
from tuner.service import studies
from tuner.service.ask import ask
from tuner.service.tell import Ending, tell
from tuner.space import FloatRange
from tuner.storage import studies as stored
from tuner.storage.database import Connection, Database, now
from tuner.storage.study_list import StudyOrder


def test_a_study_is_stored_resolved(database: Database) -> None:
    study, created = studies.create(database, registered())
    assert created
    assert study.definition is not None
    assert study.definition.sampler.batch_size is not None
    assert study.state == "active"
    assert studies.get(database, "line-fit")[0] == study


def test_the_identical_definition_again_finds_the_study(database: Database) -> None:
    first, _ = studies.create(database, registered())
    again, created = studies.create(database, registered(objective={"name": "line_fit", "settings": {"seed": 5}}))
    assert not created
    assert again.definition == first.definition


def test_another_definition_of_the_same_name_is_refused_by_the_fields_that_differ(database: Database) -> None:
    studies.create(database, registered())
    with pytest.raises(StudyExists, match="budget, sampler differ"):
        studies.create(database, registered(budget={"trials": 7}, sampler={"name": "random", "seed": 1}))


def test_what_python_takes_for_equal_is_another_definition(database: Database) -> None:
    def with_choices(*choices: object) -> StudyDefinition:
        return external(search_space={**SPACE, "warm_start": {"type": "categorical", "choices": list(choices)}})

    studies.create(database, with_choices(1, 0))
    with pytest.raises(StudyExists, match="search_space"):
        studies.create(database, with_choices(True, False))


def request(**changes: Any) -> StudyRequest:
    document = registered().model_dump(mode="json", include={"name", "objective", "search_space"})
    return StudyRequest.model_validate({**document, **changes})


def test_what_is_valid_is_what_would_be_stored(database: Database) -> None:
    valid = studies.validate(database, request())
    assert (valid.exists, valid.range_test) == (False, None)
    assert studies.page(database).studies == []
    study, _ = studies.create(database, request())
    assert study.definition == valid.definition
    assert studies.validate(database, request()).exists
    with pytest.raises(StudyExists, match="budget differs"):
        studies.validate(database, request(budget={"trials": 7}))
    with pytest.raises(InvalidInput, match="least"):
        studies.validate(database, request(search_space={**SPACE, "steps": {"type": "int", "low": 0, "high": 9}}))


def test_a_range_test_is_foreseen_and_not_run(database: Database) -> None:
    tested = request(search_space={**SPACE, "learning_rate": "range-test"})
    valid = studies.validate(database, tested)
    assert valid.range_test is not None
    assert not valid.exists
    rate = valid.definition.search_space["learning_rate"]
    assert isinstance(rate, FloatRange)
    assert (rate.low, rate.high) == (valid.range_test.low, valid.range_test.high)
    studies.create(database, tested)
    assert studies.validate(database, tested).exists
    with pytest.raises(StudyExists, match="goal"):
        studies.validate(
            database,
            request(search_space={**SPACE, "learning_rate": "range-test"}, goal={"minimize": ["loss", "steps"]}),
        )


def test_an_unknown_study_is_not_found(database: Database) -> None:
    with pytest.raises(StudyNotFound, match="no-such"):
        studies.get(database, "no-such")


def test_pages_walk_every_study_once(database: Database) -> None:
    for number in range(7):
        studies.create(database, external(f"study-{number}"))
    seen, token = [], None
    while True:
        page = studies.page(database, page_size=3, page_token=token)
        seen += [study.name for study in page.studies]
        token = page.next_page_token
        if token is None:
            break
    assert seen == [f"study-{number}" for number in reversed(range(7))]


def test_studies_are_found_by_text_and_state(database: Database) -> None:
    studies.create(database, external("big_model"))
    studies.create(database, external("bigger.model"))
    studies.pause(database, "big_model")
    assert [study.name for study in studies.page(database, text="BIG_").studies] == ["big_model"]
    assert [study.name for study in studies.page(database, state="active").studies] == ["bigger.model"]


def test_an_unused_name_is_one_that_can_be_used(database: Database) -> None:
    wanted = ["line_fit", "My Valley!", "_", "x" * 200]
    for end in ("", "-2", "-3"):
        names = studies.unused_names(database, wanted)
        assert names == {
            text: stem + end for text, stem in zip(wanted, ["line-fit", "my-valley", "study", "x" * 90], strict=True)
        }
        for name in names.values():
            studies.create(database, external(name))


def test_a_tag_is_found_whole(database: Database) -> None:
    tagged = {"a": ["vision"], "b": ["vision", 'odd "tag"'], "c": ["visions"], "d": []}
    for name, tags in tagged.items():
        studies.create(database, external(name, tags=tags))
    database.write(lambda connection: _made_by_optuna(connection, "e"))

    def found(tag: str) -> list[str]:
        return [study.name for study in studies.page(database, tag=tag).studies]

    assert found("vision") == ["b", "a"]
    assert found('odd "tag"') == ["b"]
    assert found("visio") == found("%") == found("") == []


def _made_by_optuna(connection: Connection, name: str) -> None:
    stored.create(
        connection,
        name=name,
        definition=None,
        directions=["minimize"],
        metrics=["value"],
        objective=None,
        moment=now(connection),
    )


@pytest.mark.parametrize("order", ["created", "-created", "name", "-name"])
def test_every_order_walks_every_study_once(database: Database, order: StudyOrder) -> None:
    names = ["delta", "alpha", "charlie", "bravo", "echo"]
    for name in names:
        studies.create(database, external(name))
    expected = sorted(names) if "name" in order else names
    seen, token = [], None
    while True:
        page = studies.page(database, order=order, page_size=2, page_token=token)
        seen += [study.name for study in page.studies]
        token = page.next_page_token
        if token is None:
            break
        # The study that the next page begins after may be gone by then.
        studies.delete(database, seen[-1])
    assert seen == (expected[::-1] if order.startswith("-") else expected)


def _walked(database: Database, order: StudyOrder, size: int) -> list[str]:
    seen, token = [], None
    while True:
        page = studies.page(database, order=order, page_size=size, page_token=token)
        seen += [study.name for study in page.studies]
        token = page.next_page_token
        if token is None:
            return seen


def test_studies_are_ordered_by_their_best_and_by_their_progress(database: Database) -> None:
    accurate = {"goal": {"maximize": "accuracy"}}
    made: list[tuple[str, dict[str, Any], list[float]]] = [
        ("none", {"budget": {"trials": 3}}, []),
        ("loss-3", {"budget": {"trials": 4}}, [3.0, 7.0]),
        ("accuracy-1", {**accurate, "budget": {"trials": 2, "gradient_evaluations": 10**6}}, [-5.0, 1.0]),
        ("loss-1", {"budget": {"trials": 2, "seconds": 1e6}}, [1.0]),
        ("unlimited", {"budget": {}}, [2.0]),
        ("loss-3-again", {"budget": {"trials": 4}}, [9.0, 3.0]),
        ("trade-off", {"goal": {"minimize": ["loss", "steps"]}, "budget": {"trials": 1}}, [0.1]),
        ("accuracy-2", {**accurate, "budget": {"trials": 100, "seconds": 1e-3}}, [2.0]),
        ("diverged", {"budget": {"trials": 10}}, [float("nan")]),
    ]
    for name, changes, values in made:
        studies.create(database, external(name, **changes))
        metric = "accuracy" if "accuracy" in name else "loss"
        for lease, value in zip(ask(database, name, count=len(values)).trials if values else [], values, strict=True):
            tell(database, name, [Ending(number=lease.number, attempt=1, state="complete", values={metric: value})])
    database.write(lambda connection: _made_by_optuna(connection, "optunas"))

    # Those to maximise before those to minimise, by the alphabet; of equal ones and of those without a best the newest.
    rising, falling = ["accuracy-2", "accuracy-1"], ["loss-1", "unlimited", "loss-3-again", "loss-3"]
    without = ["optunas", "diverged", "trade-off", "none"]
    spent, half = ["accuracy-2", "trade-off", "accuracy-1"], ["loss-3-again", "loss-1", "loss-3"]
    expected: dict[StudyOrder, list[str]] = {
        "best": [*rising, *falling, *without],
        "-best": [*rising[::-1], "loss-3-again", "loss-3", "unlimited", "loss-1", *without],
        "progress": ["none", "diverged", *half, *spent, "optunas", "unlimited"],
        "-progress": [*spent, *half, "diverged", "none", "optunas", "unlimited"],
    }
    for order, names in expected.items():
        for size in (1, 4):
            assert _walked(database, order, size) == names
    # Where the next page begins does not depend on the study after which it does.
    page = studies.page(database, order="best", page_size=3)
    studies.delete(database, "loss-1")
    onward = studies.page(database, order="best", page_size=3, page_token=page.next_page_token)
    assert [study.name for study in onward.studies] == falling[1:]
    for token in (page.next_page_token, "WzEsIiIsTmFOLDFd", "WzEsIiIsMC4wLCJcdTAwMDAiXQ", "W10", "MQ", "x"):
        with pytest.raises(InvalidInput, match="page_token"):
            studies.page(database, order="progress", page_token=token)


def test_best_passes_over_values_that_are_not_finite(database: Database) -> None:
    studies.create(database, external())
    with pytest.raises(NoResult):
        studies.best(database, "resnet")
    losses = [float("nan"), float("-inf"), 0.3, 0.2, float("inf")]
    leases = ask(database, "resnet", count=5).trials
    tell(database, "resnet", [complete(lease, loss) for lease, loss in zip(leases, losses, strict=True)])
    best = studies.best(database, "resnet")
    assert best.values == {"loss": 0.2}


def test_the_best_of_a_maximised_metric_is_the_largest(database: Database) -> None:
    studies.create(database, external(goal={"maximize": "loss"}))
    leases = ask(database, "resnet", count=3).trials
    tell(database, "resnet", [complete(lease, loss) for lease, loss in zip(leases, [0.1, 0.9, 0.5], strict=True)])
    assert studies.best(database, "resnet").values == {"loss": 0.9}


def test_a_paused_study_gives_nothing_and_a_resumed_one_does(database: Database) -> None:
    studies.create(database, external())
    assert studies.pause(database, "resnet").state == "paused"
    assert studies.pause(database, "resnet").state == "paused"
    asked = ask(database, "resnet")
    assert (asked.trials, asked.study_state) == ([], "paused")
    assert studies.resume(database, "resnet").state == "active"
    assert len(ask(database, "resnet").trials) == 1


def test_a_stopped_study_still_takes_what_was_running(database: Database) -> None:
    studies.create(database, external())
    (lease,) = ask(database, "resnet").trials
    studies.stop(database, "resnet")
    tell(database, "resnet", [complete(lease, 0.5)])
    study, _ = studies.get(database, "resnet")
    assert study.state == "stopped"
    assert study.best is not None


def test_a_completed_study_goes_on_when_its_budget_is_raised(database: Database) -> None:
    studies.create(database, external(budget={"trials": 1}))
    (lease,) = ask(database, "resnet").trials
    tell(database, "resnet", [complete(lease)])
    assert studies.get(database, "resnet")[0].state == "completed"
    with pytest.raises(StudyState, match="raise its budget"):
        studies.resume(database, "resnet")
    changed, _ = studies.change(database, "resnet", {"budget": {"trials": 3}})
    assert changed.state == "active"
    assert len(ask(database, "resnet", count=9).trials) == 2


def test_a_change_is_refused_whole_and_names_the_field(database: Database) -> None:
    studies.create(database, external())
    with pytest.raises(InvalidInput) as caught:
        studies.change(database, "resnet", {"notes": "kept?", "budget": {"trials": 0}})
    assert [error.field for error in caught.value.fields] == ["budget.trials"]
    study, _ = studies.get(database, "resnet")
    assert study.definition is not None
    assert study.definition.notes == ""


def test_a_change_after_another_is_refused_where_the_version_is_named(database: Database) -> None:
    studies.create(database, external())
    _, version = studies.get(database, "resnet")
    studies.change(database, "resnet", {"notes": "first"}, expected_version=version)
    with pytest.raises(StudyChanged, match="has changed"):
        studies.change(database, "resnet", {"notes": "second"}, expected_version=version)


def test_a_deleted_study_leaves_nothing(database: Database) -> None:
    studies.create(database, external())
    ask(database, "resnet", count=3)
    studies.delete(database, "resnet")
    with pytest.raises(StudyNotFound):
        studies.get(database, "resnet")
    studies.create(database, external())
    assert studies.get(database, "resnet")[0].trials["running"] == 0
