"""A token has no more studies and running trials than it may, however many requests come at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import Connection, text

from tests.service.definitions import complete, external
from tuner.errors import StudyNotFound, TooManyOpenTrials, TooManyStudies, TunerError
from tuner.service import studies, tell
from tuner.service.ask import Ask
from tuner.service.group_commit import GroupCommit
from tuner.service.idempotency import Key
from tuner.service.quotas import Quota
from tuner.service.tokens import Scope, create
from tuner.service.writes import Write, commit
from tuner.storage.database import Database
from tuner.trial import Asked


@pytest.fixture
def quota(database: Database) -> Quota:
    create(database, "me", Scope.WRITE)
    return Quota(1, studies=3, open_trials=5)


def given(answer: object) -> int | type[TunerError]:
    """How many trials an ask was given, or as what it was refused."""
    if isinstance(answer, TunerError):
        return type(answer)
    assert isinstance(answer, Asked)
    return len(answer.trials)


def test_a_batch_is_given_what_is_left_and_refused_where_nothing_is(database: Database, quota: Quota) -> None:
    for name in ("a", "b"):
        studies.create(database, external(name))
    other = Quota(2, open_trials=1)
    key = Key("k", "r")
    answers = commit(
        database,
        [
            Write("b", Ask(2, quota=quota)),
            Write("a", Ask(4, quota=quota)),
            Write("b", Ask(1, quota=other)),
            Write("b", Ask(1, quota=quota), key),
            Write("b", Ask(2)),
        ],
    )
    assert list(map(given, answers)) == [1, 4, 1, TooManyOpenTrials, 2]
    assert "holds 5 running trials" in str(answers[3])
    assert studies.get(database, "b")[0].trials["running"] == 4, "nothing is stored of what was refused"

    asked = answers[1]
    assert isinstance(asked, Asked)
    tell.tell(database, "a", [complete(asked.trials[0])])
    again = commit(database, [Write("b", Ask(1, quota=quota), key)])
    assert list(map(given, again)) == [1], "a refusal is kept under no key"
    studies.pause(database, "a")
    assert given(commit(database, [Write("a", Ask(1, quota=quota))])[0]) == 0, "a study with nothing to give says so"


def test_a_trial_counts_for_who_holds_it_now(database: Database, quota: Quota) -> None:
    studies.create(database, external())
    assert given(commit(database, [Write("resnet", Ask(5, lease_seconds=1.0, quota=quota))])[0]) == 5

    def lose(connection: Connection) -> None:
        connection.execute(text("UPDATE tuner_trial SET state = 'waiting'"))

    database.write(lose)
    assert given(commit(database, [Write("resnet", Ask(4))])[0]) == 4
    assert given(commit(database, [Write("resnet", Ask(9, quota=quota))])[0]) == 5


def test_requests_at_once_do_not_pass_the_limits_together(database: Database, quota: Quota) -> None:
    """Two writers stand for two processes, and each asks in the other order of the studies."""
    for name in ("a", "b"):
        studies.create(database, external(name))

    def attempt(work: Callable[[], object]) -> object:
        try:
            return work()
        except TunerError as error:
            return error

    writers = [GroupCommit(database), GroupCommit(database)]
    with ThreadPoolExecutor(8) as threads:
        asks = [
            threads.submit(attempt, writers[n % 2].submit(Write("ab"[n // 2 % 2], Ask(1, quota=quota))).result)
            for n in range(12)
        ]
        created = [
            threads.submit(attempt, partial(studies.create, database, external(f"s{n}"), quota=quota)) for n in range(6)
        ]
        answers = [one.result() for one in asks]
        refused = [one.result() for one in created if isinstance(one.result(), TunerError)]
    for writer in writers:
        writer.close()
    assert sorted(map(given, answers), key=str) == [1] * 5 + [TooManyOpenTrials] * 7
    assert [type(error) for error in refused] == [TooManyStudies] * 3


def test_a_study_beyond_the_limit_is_not_stored_and_deleting_one_makes_room(database: Database, quota: Quota) -> None:
    for name in ("a", "b", "c"):
        studies.create(database, external(name), quota=quota)
    with pytest.raises(TooManyStudies, match="3 studies"):
        studies.create(database, external("d"), Key("k", "r"), quota)
    with pytest.raises(StudyNotFound):
        studies.get(database, "d")
    _, created = studies.create(database, external("c"), quota=quota)
    assert not created, "one that exists is found"
    studies.create(database, external("e"))
    studies.delete(database, "a")
    _, created = studies.create(database, external("d"), Key("k", "r"), quota)
    assert created
