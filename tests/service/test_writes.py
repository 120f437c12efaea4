"""Writes that come together are one transaction, and each has the answer that it would have had alone."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel

from tests.service.definitions import complete, external, registered
from tuner.definition import Study
from tuner.errors import AlreadyTold, KeyReused, StudyNotFound, TunerError
from tuner.service import studies, trials
from tuner.service.ask import Ask
from tuner.service.group_commit import GroupCommit
from tuner.service.idempotency import Key
from tuner.service.report import NewPoints, Report, Reported
from tuner.service.tell import Judgements, Tell, TellMany
from tuner.service.trials import Enqueue
from tuner.service.writes import Write, carry_out
from tuner.storage.database import Connection, Database
from tuner.trial import Asked, Trial


@pytest.fixture
def commits(database: Database) -> Iterator[GroupCommit]:
    commits = GroupCommit(database)
    yield commits
    commits.close()


def key(value: str, request: str = "") -> Key:
    return Key(value, hashlib.sha256((request or value).encode()).hexdigest())


def study_of(database: Database, name: str = "resnet") -> Study:
    return studies.get(database, name)[0]


def together(database: Database, *writes: Write) -> list[BaseModel | TunerError]:
    return database.write(lambda connection: carry_out(connection, writes))


def asked(answer: BaseModel | TunerError) -> Asked:
    assert isinstance(answer, Asked)
    return answer


def test_all_kinds_at_once_on_several_studies(database: Database) -> None:
    studies.create(database, external())
    studies.create(database, external("other"))
    [first] = asked(together(database, Write("resnet", Ask()))[0]).trials
    point = {"learning_rate": 0.1, "steps": 3}
    answers = together(
        database,
        Write("resnet", Ask(2, "w")),
        Write("nowhere", Ask()),
        Write("other", Ask(1)),
        Write("resnet", Tell(complete(first, 0.5))),
        Write("resnet", Report(first.number, 1, [NewPoints("loss", [1], [0.7])])),
        Write("resnet", Enqueue(point)),
        Write("resnet", TellMany([complete(first, 0.5), complete(first, 0.6)])),
        Write("~2", Ask(1)),
    )
    kinds = [Asked, StudyNotFound, Asked, Trial, Reported, Trial, Judgements, Asked]
    assert [type(answer) for answer in answers] == kinds
    # Enqueued before the asks of the same moment, the chosen point is given out first.
    assert [lease.parameters == point for lease in asked(answers[0]).trials] == [True, False]
    judged = answers[6]
    assert isinstance(judged, Judgements)
    assert [one.code for one in judged.results] == [None, AlreadyTold.code]
    assert trials.curve(database, "resnet", 0)["loss"].values == [0.7]
    assert study_of(database, "other").trials["running"] == 2


def test_a_group_of_asks_is_served_like_one_after_the_other(database: Database) -> None:
    for name in ("one", "many"):
        studies.create(database, external(name, budget={"trials": 10}, sampler={"name": "tpe", "seed": 3}))
    counts = [1, 3, 2, 5, 1]
    apart = [asked(together(database, Write("one", Ask(count)))[0]) for count in counts]
    at_once = [asked(answer) for answer in together(database, *(Write("many", Ask(count)) for count in counts))]
    points = [[lease.model_dump(exclude={"lease_expires_at"}) for lease in answer.trials] for answer in apart]
    assert points == [[lease.model_dump(exclude={"lease_expires_at"}) for lease in each.trials] for each in at_once]
    assert [len(answer.trials) for answer in at_once] == [1, 3, 2, 4, 0]
    assert study_of(database, "one").spent.trials == study_of(database, "many").spent.trials == 10


def test_a_budget_of_evaluations_is_kept_by_those_who_ask_at_once(database: Database) -> None:
    studies.create(database, registered(budget={"gradient_evaluations": 300}))
    answers = [asked(answer) for answer in together(database, *(Write("line-fit", Ask(2)) for _ in range(10)))]
    reserved = sum(int(str(lease.parameters["steps"])) + 1 for answer in answers for lease in answer.trials)
    assert 300 - 1 <= reserved <= 300


def test_the_same_key_and_request_have_the_same_answer_and_one_effect(database: Database) -> None:
    studies.create(database, external())
    write = Write("resnet", Ask(2, "w"), key("k"))
    first, at_once = together(database, write, write)
    [later] = together(database, write)
    assert first == at_once == later
    assert study_of(database).trials["running"] == 2
    [lease, _] = asked(first).trials
    for action in (Tell(complete(lease, float("nan"))), TellMany([complete(lease, float("nan"))])):
        again = Write("resnet", action, key(type(action).__name__))
        answers = [together(database, again)[0], together(database, again)[0]]
        assert not isinstance(answers[0], TunerError)
        assert not isinstance(answers[1], TunerError)
        assert answers[0].model_dump_json() == answers[1].model_dump_json()


def test_a_key_belongs_to_one_request(database: Database) -> None:
    studies.create(database, external())
    together(database, Write("resnet", Ask(1), key("k", "one")))
    refused, at_once, other = together(
        database,
        Write("resnet", Ask(2), key("k", "two")),
        Write("resnet", Ask(1), key("l", "one")),
        Write("resnet", Ask(3), key("l", "two")),
    )
    assert isinstance(refused, KeyReused)
    assert isinstance(at_once, Asked)
    assert isinstance(other, KeyReused)
    assert study_of(database).trials["running"] == 2


def test_a_refusal_is_not_kept(database: Database) -> None:
    studies.create(database, external())
    [refused] = together(database, Write("resnet", Report(0, 1), key("k")))
    assert isinstance(refused, TunerError)
    together(database, Write("resnet", Ask()))
    [taken] = together(database, Write("resnet", Report(0, 1), key("k")))
    assert isinstance(taken, Reported)


def test_creating_under_a_key_is_creating_once(database: Database) -> None:
    definition = external()
    first = studies.create(database, definition, key("k"))
    again = studies.create(database, definition, key("k"))
    assert first == again
    assert first[1]
    assert not studies.create(database, definition)[1]
    with pytest.raises(KeyReused):
        studies.create(database, external("other"), key("k", "other"))
    assert len(studies.page(database).studies) == 1


def test_many_threads_share_a_writer(commits: GroupCommit, database: Database) -> None:
    studies.create(database, external(budget={"trials": 300}))

    def run(_: int) -> int:
        done = 0
        while leases := asked(commits.submit(Write("resnet", Ask(2))).result()).trials:
            for lease in leases:
                commits.submit(Write("resnet", Tell(complete(lease, lease.number)))).result()
                done += 1
        return done

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(run, range(12))) == 300
    study = study_of(database)
    assert (study.state, study.trials["complete"], study.spent.trials) == ("completed", 300, 300)


def test_what_one_write_breaks_is_its_own(commits: GroupCommit, database: Database) -> None:
    studies.create(database, external())
    with commits_held(commits):
        broken = commits.submit(Write("resnet", Enqueue(None)))  # type: ignore[arg-type]
        good = commits.submit(Write("resnet", Ask()))
    assert isinstance(good.result(), Asked)
    with pytest.raises(AttributeError):
        broken.result()


def test_nobody_is_answered_before_the_commit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    studies.create(database, external())
    committed: list[bool] = []

    def write(work: object) -> list[BaseModel | TunerError]:
        answers: list[BaseModel | TunerError] = original(work)  # type: ignore[arg-type]
        committed.append(future.done())
        return answers

    original = database.write
    monkeypatch.setattr(database, "write", write)
    commits = GroupCommit(database)
    with commits_held(commits):
        future = commits.submit(Write("resnet", Ask()))
    future.result()
    commits.close()
    assert committed == [False]


class commits_held:  # noqa: N801 (reads like a function)
    """While it is held, a writer's submissions gather."""

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits

    def __enter__(self) -> None:
        self._start = self._commits._start
        self._commits._start = lambda: None  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        self._commits._start = self._start  # type: ignore[method-assign]
        self._commits._start()


def test_a_submission_that_is_given_up_is_not_carried_out_and_the_writer_goes_on(
    commits: GroupCommit, database: Database
) -> None:
    studies.create(database, external())
    with commits_held(commits):
        given_up, kept = commits.submit(Write("resnet", Ask())), commits.submit(Write("resnet", Ask()))
        assert given_up.cancel()
    assert isinstance(kept.result(), Asked)
    assert not kept.cancel()
    assert isinstance(commits.submit(Write("resnet", Ask())).result(), Asked)
    assert study_of(database).trials["running"] == 2


def test_closing_carries_out_what_was_submitted(database: Database) -> None:
    studies.create(database, external())
    commits = GroupCommit(database)
    futures = [commits.submit(Write("resnet", Ask())) for _ in range(50)]
    commits.close()
    assert all(future.done() for future in futures)
    assert study_of(database).trials["running"] == 50


def test_sequences_number_the_writes(database: Database) -> None:
    def numbers(connection: Connection) -> tuple[int, list[int]]:
        from tuner.storage import studies as study_rows
        from tuner.storage import trials as trial_rows

        study = study_rows.get(connection, "resnet")
        return study.sequence, [trial.sequence for trial in trial_rows.page(connection, study.id)]

    studies.create(database, external())
    together(database, Write("resnet", Ask(2)))
    together(database, Write("resnet", Ask(1)), Write("resnet", Report(0, 1)))
    assert database.read(numbers) == (2, [2, 1, 2])
    together(database, Write("resnet", Report(7, 1)))
    assert database.read(numbers) == (2, [2, 1, 2])
