"""Idempotency keys: a request that comes again is answered as it was the first time.

A client whose connection broke cannot know whether its request was carried out, so it sends it again under the same
key. An answer is kept in the transaction that it reports on: either both are stored or neither. Refusals are not kept;
they have changed nothing, and the same request may succeed later.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel

from tuner.errors import KeyReused, TunerError
from tuner.storage import answers
from tuner.storage.answers import AnswerRecord
from tuner.storage.database import Connection

KEPT_FOR = timedelta(hours=24)
"""How long an answer is kept for whoever asks again."""

A = TypeVar("A", bound=BaseModel)


class KeyKnown(Exception):
    """An answer is kept under a key that was taken for new; nobody but those who run transactions meets it."""


@dataclass(frozen=True)
class Key:
    """A key that a client chose, and a digest of the request that it belongs to."""

    value: str
    request: str


def find(connection: Connection, keys: Iterable[Key | None]) -> Mapping[str, AnswerRecord]:
    """What is kept under these keys, by their values."""
    return answers.find(connection, {key.value for key in keys if key is not None})


def again(record: AnswerRecord, key: Key, model: type[A]) -> A | KeyReused:
    """The answer that was given the first time, or the refusal of a key that belongs to another request."""
    return model.model_validate_json(record.answer) if record.request == key.request else reused(key)


def reused(key: Key) -> KeyReused:
    """The refusal of a key that belongs to another request."""
    return KeyReused.at("Idempotency-Key", f"{key.value!r} was used for another request: choose a new one")


def require_unknown(connection: Connection, keys: Sequence[Key | None]) -> None:
    """Check that nothing is kept under these keys.

    Raises:
        KeyKnown: something is.
    """
    if keys and find(connection, keys):
        raise KeyKnown


def keep(connection: Connection, given: Iterable[tuple[Key | None, BaseModel | TunerError]], moment: datetime) -> None:
    """Keep the answers to requests that carried a key.

    Raises:
        KeyKnown: an answer is kept under one of the keys. The transaction has to be undone.
    """
    records = [
        AnswerRecord(key.value, key.request, answer.model_dump_json(), moment)
        for key, answer in given
        if key is not None and not isinstance(answer, TunerError)
    ]
    if not answers.keep(connection, records):
        raise KeyKnown


def any_over(connection: Connection, moment: datetime) -> bool:
    """Whether something has been kept for its time."""
    return answers.any_before(connection, moment - KEPT_FOR)


def forget(connection: Connection, moment: datetime) -> None:
    """Forget what has been kept for its time."""
    answers.forget(connection, moment - KEPT_FOR)
