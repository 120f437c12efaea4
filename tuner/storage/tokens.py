"""Rows of API tokens and of the browsers that have signed in with one. Secrets are here as digests only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from tuner.storage.driver import Prepared, among
from tuner.storage.tables import session, token


@dataclass(frozen=True)
class TokenRecord:
    """A token's row, whole."""

    id: int
    name: str
    prefix: str
    digest: bytes
    scope: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


# In the weaker of the two ways, so that a session of the token can be opened meanwhile.
_HOLD = Prepared(
    lambda dialect: (
        select(token.c.id)
        .where(among(token.c.id, "token_ids", dialect))
        .order_by(token.c.id)
        .with_for_update(key_share=True)
    )
)


def create(connection: Connection, **columns: Any) -> None:
    """Insert a token."""
    connection.execute(insert(token).values(**columns))


def by_prefix(connection: Connection, prefix: str) -> TokenRecord | None:
    """The token of that prefix."""
    row = connection.execute(select(token).where(token.c.prefix == prefix)).one_or_none()
    return None if row is None else TokenRecord(**row._mapping)


def live_by_name(connection: Connection, name: str) -> TokenRecord | None:
    """The token of that name that is not revoked."""
    statement = select(token).where(token.c.name == name, token.c.revoked_at.is_(None))
    row = connection.execute(statement).one_or_none()
    return None if row is None else TokenRecord(**row._mapping)


def everything(connection: Connection) -> list[TokenRecord]:
    """All tokens, the newest first."""
    return [TokenRecord(**row._mapping) for row in connection.execute(select(token).order_by(token.c.id.desc()))]


def hold(connection: Connection, token_ids: Sequence[int]) -> None:
    """Hold the rows of these tokens until the transaction ends. On SQLite one transaction writes at a time anyway."""
    if connection.dialect.name != "sqlite":
        _HOLD.rows(connection, {"token_ids": list(token_ids)})


def change(connection: Connection, token_id: int, **columns: Any) -> None:
    """Set columns of one token."""
    connection.execute(update(token).where(token.c.id == token_id).values(**columns))


def open_session(connection: Connection, **columns: Any) -> None:
    """Insert a session."""
    connection.execute(insert(session).values(**columns))


def of_session(connection: Connection, digest: bytes, moment: datetime) -> TokenRecord | None:
    """The token of a session that has not ended."""
    statement = (
        select(token)
        .join(session, session.c.token_id == token.c.id)
        .where(session.c.digest == digest, session.c.expires_at > moment)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else TokenRecord(**row._mapping)


def close_session(connection: Connection, digest: bytes) -> None:
    """Delete a session."""
    connection.execute(delete(session).where(session.c.digest == digest))


def close_sessions(
    connection: Connection, *, of_token: int | None = None, ended_before: datetime | None = None
) -> None:
    """Delete a token's sessions, or those that ended before a moment."""
    if of_token is not None:
        connection.execute(delete(session).where(session.c.token_id == of_token))
    if ended_before is not None:
        connection.execute(delete(session).where(session.c.expires_at <= ended_before))
