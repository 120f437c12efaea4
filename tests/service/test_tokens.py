"""API tokens: shown once, kept as digests, valid until they expire or are revoked."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tuner.errors import InvalidInput, NotFound, Unauthenticated
from tuner.service import tokens
from tuner.service.tokens import Scope
from tuner.storage.database import Database


def test_the_text_of_a_token_is_nowhere_in_the_database(database: Database) -> None:
    made = tokens.create(database, "ci", Scope.WRITE)
    secret = made.text.split("_", 2)[2]
    assert len(secret) == 43  # 256 bits, six to a letter
    rows = database.read(lambda connection: connection.execute(text("SELECT * FROM tuner_token")).all())
    assert secret not in repr(rows)
    assert secret.encode().hex() not in repr(rows)
    assert tokens.bearer_of(database, made.text).scope is Scope.WRITE


def test_two_tokens_are_not_alike(database: Database) -> None:
    texts = {tokens.create(database, f"t{number}", Scope.READ).text for number in range(20)}
    assert len({one.split("_")[1] for one in texts}) == len(texts)


def test_a_token_expires(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tokens.create(database, "ci", Scope.READ, timedelta(hours=1))
    session = tokens.sign_in(database, made.text)
    later = datetime.now(UTC) + timedelta(hours=1, seconds=1)
    monkeypatch.setattr(tokens, "now", lambda _: later)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.bearer_of(database, made.text)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.bearer_of_session(database, session)


def test_a_session_is_over_after_its_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    session = tokens.sign_in(database, tokens.create(database, "me", Scope.READ).text)
    assert tokens.bearer_of_session(database, session).name == "me"
    later = datetime.now(UTC) + tokens.SESSION_LASTS + timedelta(seconds=1)
    monkeypatch.setattr(tokens, "now", lambda _: later)
    with pytest.raises(Unauthenticated, match="over"):
        tokens.bearer_of_session(database, session)


def test_the_last_use_is_noted_to_the_minute(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tokens.create(database, "ci", Scope.READ)
    tokens.bearer_of(database, made.text)
    first = tokens.listed(database)[0].last_used_at
    assert first is not None
    tokens.bearer_of(database, made.text)
    assert tokens.listed(database)[0].last_used_at == first
    monkeypatch.setattr(tokens, "now", lambda _: first + tokens.USE_IS_NOTED_EVERY)
    tokens.bearer_of(database, made.text)
    assert tokens.listed(database)[0].last_used_at == first + tokens.USE_IS_NOTED_EVERY


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 65, "a\x00", "ä"])
def test_a_name_that_cannot_be_is_refused(database: Database, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        tokens.create(database, name, Scope.READ)
    assert caught.value.fields[0].field == "name"


@pytest.mark.parametrize("lasts", [timedelta(0), timedelta(seconds=-1), timedelta(days=3_000_000)])
def test_a_time_that_cannot_be_is_refused(database: Database, lasts: timedelta) -> None:
    with pytest.raises(InvalidInput) as caught:
        tokens.create(database, "ci", Scope.READ, lasts)
    assert caught.value.fields[0].field == "expires"
    assert tokens.listed(database) == []


def test_what_is_not_there_cannot_be_revoked(database: Database) -> None:
    with pytest.raises(NotFound):
        tokens.revoke(database, "ci")


def test_scopes_are_a_ladder() -> None:
    assert [[each.covers(other) for other in Scope] for each in Scope] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]
