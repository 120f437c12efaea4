"""Use cases of API tokens: who may do what.

A token is ``tuner_`` and two random parts: one by which it is found, and a secret of 256 bits. The secret is shown
once, when the token is made; what is kept is its SHA-256, which of so many random bits nobody guesses. A browser signs
in with a token and gets a session of its own, so that the token itself does not stay in it.
"""

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from tuner.errors import InvalidInput, NotFound, Unauthenticated
from tuner.limits import LONGEST_TOKEN_NAME
from tuner.storage import tokens
from tuner.storage.database import Connection, Database, now
from tuner.storage.tokens import TokenRecord

SESSION_LASTS = timedelta(hours=12)

USE_IS_NOTED_EVERY = timedelta(minutes=1)
"""How exact ``last_used_at`` is: noting each use would be a write for each request."""

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_TOKEN_NAME - 1}}}")
_TOKEN = re.compile("tuner_([a-z2-7]{8})_([A-Za-z0-9_-]{43})")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class Scope(StrEnum):
    """How far a token goes. Each goes as far as those before it, and further."""

    READ = "read"
    """Look at everything."""
    WORK = "work"
    """Ask for trials, report, tell, hold and give back leases."""
    WRITE = "write"
    """Create, change and delete studies."""
    ADMIN = "admin"
    """Make and revoke tokens."""

    def covers(self, other: "Scope") -> bool:
        """Whether who has this one may do what takes the other."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class Token(BaseModel):
    """A token as it is read: all but its secret."""

    model_config = ConfigDict(frozen=True)

    name: str
    prefix: str
    scope: Scope
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    last_used_at: AwareDatetime | None


class Created(NamedTuple):
    """A token that was just made, and its text, which is told this once."""

    token: Token
    text: str


class Bearer(NamedTuple):
    """Who asks: the token's id and name, and how far it goes."""

    token_id: int
    name: str
    scope: Scope


def create(database: Database, name: str, scope: Scope, lasts: timedelta | None = None) -> Created:
    """Make a token that is valid for so long, or until it is revoked.

    Raises:
        InvalidInput: the name cannot be, or a token of that name is not revoked yet; the time is over already.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidInput.at(
            "name", f"must be up to {LONGEST_TOKEN_NAME} letters, digits and .-_, and begin with a letter or digit"
        )
    if lasts is not None and lasts <= timedelta(0):
        raise InvalidInput.at("expires", "must be in the future")
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    text = f"tuner_{prefix}_{secrets.token_urlsafe(32)}"

    def work(connection: Connection) -> Token:
        if tokens.live_by_name(connection, name) is not None:
            raise InvalidInput.at("name", f"there is a token {name!r} already: revoke it, or choose another name")
        moment = now(connection)
        try:
            expires_at = None if lasts is None else moment + lasts
        except OverflowError:
            raise InvalidInput.at("expires", "is too far in the future") from None
        tokens.create(
            connection,
            name=name,
            prefix=prefix,
            digest=_digest(text),
            scope=scope.value,
            created_at=moment,
            expires_at=expires_at,
        )
        record = tokens.by_prefix(connection, prefix)
        assert record is not None  # noqa: S101 (it was just written)
        return _shown(record)

    return Created(database.write(work), text)


def listed(database: Database) -> list[Token]:
    """All tokens, the newest first; revoked ones too."""
    return [_shown(record) for record in database.read(tokens.everything)]


def revoke(database: Database, name: str) -> Token:
    """End a token and every session that was opened with it.

    Raises:
        NotFound: no token of that name is live.
    """

    def work(connection: Connection) -> Token:
        record = tokens.live_by_name(connection, name)
        if record is None:
            raise NotFound(f"there is no live token {name!r}")
        tokens.change(connection, record.id, revoked_at=now(connection))
        tokens.close_sessions(connection, of_token=record.id)
        changed = tokens.by_prefix(connection, record.prefix)
        assert changed is not None  # noqa: S101 (it was just written)
        return _shown(changed)

    return database.write(work)


def bearer_of(database: Database, text: str) -> Bearer:
    """Who sends this token.

    Raises:
        Unauthenticated: it is unknown, expired or revoked.
    """
    found = _TOKEN.fullmatch(text)

    def work(connection: Connection) -> tuple[TokenRecord | None, datetime]:
        return None if found is None else tokens.by_prefix(connection, found[1]), now(connection)

    record, moment = database.read(work)
    if record is None or not hmac.compare_digest(record.digest, _digest(text)):
        raise Unauthenticated("the token is not known")
    return _valid(database, record, moment)


def bearer_of_session(database: Database, secret: str) -> Bearer:
    """Who has signed in with the browser that sends this cookie.

    Raises:
        Unauthenticated: the session is unknown or over, or its token expired or was revoked.
    """

    def work(connection: Connection) -> tuple[TokenRecord | None, datetime]:
        moment = now(connection)
        return tokens.of_session(connection, _digest(secret), moment), moment

    record, moment = database.read(work)
    if record is None:
        raise Unauthenticated("the session is over: sign in again")
    return _valid(database, record, moment)


def sign_in(database: Database, text: str) -> str:
    """A session's secret, for a browser whose user has this token.

    Raises:
        Unauthenticated: the token is unknown, expired or revoked.
    """
    bearer = bearer_of(database, text)
    secret = secrets.token_urlsafe(32)

    def work(connection: Connection) -> None:
        moment = now(connection)
        tokens.close_sessions(connection, ended_before=moment)
        tokens.open_session(
            connection, digest=_digest(secret), token_id=bearer.token_id, expires_at=moment + SESSION_LASTS
        )

    database.write(work)
    return secret


def sign_out(database: Database, secret: str) -> None:
    """End a session."""
    database.write(lambda connection: tokens.close_session(connection, _digest(secret)))


def _valid(database: Database, record: TokenRecord, moment: datetime) -> Bearer:
    if record.revoked_at is not None:
        raise Unauthenticated(f"the token {record.name!r} was revoked")
    if record.expires_at is not None and record.expires_at <= moment:
        raise Unauthenticated(f"the token {record.name!r} expired at {record.expires_at:%Y-%m-%d %H:%M} UTC")
    if record.last_used_at is None or record.last_used_at + USE_IS_NOTED_EVERY <= moment:
        database.write(lambda connection: tokens.change(connection, record.id, last_used_at=moment))
    return Bearer(record.id, record.name, Scope(record.scope))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _shown(record: TokenRecord) -> Token:
    return Token(
        name=record.name,
        prefix=record.prefix,
        scope=Scope(record.scope),
        created_at=record.created_at,
        expires_at=record.expires_at,
        revoked_at=record.revoked_at,
        last_used_at=record.last_used_at,
    )
