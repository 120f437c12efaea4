"""The tables, once: what is stored, and nothing about who asks.

One set of tables serves the service and, through ``TunerStorage``, any Optuna program. Every name carries the prefix
``tuner_`` so that Optuna's own tables may share the database.

    tuner_study         one row a study: its definition, its state, and what it has spent
    tuner_trial         one row a trial: its point, its result, and its present lease
    tuner_attempt       one row a lease that ended without a result (lost or released)
    tuner_curve_block   blocks of curve points, many points a row
    tuner_checkpoint    where a trial's descent stands, so that it can be continued
    tuner_measurement   what was measured on a study and is no trial: curvatures, range tests, gradient checks
    tuner_rung          what a trial was worth at a step at which the study's pruner compares trials
    tuner_answer        answers to requests that carried an idempotency key, for those who ask again
    tuner_deleted_study names of studies that are gone, for those who follow the events
    tuner_worker        one row a worker process, by an id that is never used again
    tuner_token         one row an API token: who may do what, and until when; never the token itself
    tuner_session       one row a browser that has signed in with a token

Spending, and how many trials there are, is kept on the study's row, because an ask must not count trials; everything
else that can be derived from trials (counts by state, the best) is derived, over an index.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from tuner.definition import StudyDefinition


class Json(TypeDecorator[Any]):
    """A JSON document as text: the same bytes on every database, whatever their own JSON types think of NaN."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:  # noqa: ARG002
        """None is the absence of a document (NULL), not the document ``null``."""
        return _encoded

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Any]:  # noqa: ARG002
        """The document."""
        return _decoded


_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


# Most documents are empty. Who reads an empty one gets a new one each time, and may fill it.
def _encoded(value: Any) -> str | None:
    return None if value is None else "{}" if value == {} else _encode(value)


def _decoded(value: str | None) -> Any:
    return None if value is None else {} if value == "{}" else _decode(value)


class Definition(TypeDecorator[StudyDefinition]):
    """A study's definition as JSON text; reading one again and again parses it once."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: StudyDefinition | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """None is the absence of a definition."""
        return None if value is None else _encode(value.model_dump(mode="json"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> StudyDefinition | None:  # noqa: ARG002
        """The definition, which is frozen and may be shared."""
        return None if value is None else _parsed(value)


@lru_cache(maxsize=256)
def _parsed(document: str) -> StudyDefinition:
    return StudyDefinition.model_validate(json.loads(document))


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time, with microseconds, on databases with and without time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        """A naive time is a mistake, not a guess."""
        return _as_text if dialect.name == "sqlite" else _as_utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:  # noqa: ARG002
        """UTC, aware."""
        return _from_text if dialect.name == "sqlite" else _as_utc


def _as_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("times are stored aware of their zone")
    return moment.astimezone(UTC)


def _as_text(moment: datetime | None) -> str | None:
    utc = _as_utc(moment)
    return None if utc is None else utc.replace(tzinfo=None).isoformat(" ", "microseconds")


# Rows that were written together carry the same times.
@lru_cache(maxsize=1024)
def _from_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


# SQLite counts up a key by itself only when its type is exactly INTEGER.
Key = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

study = Table(
    "tuner_study",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", Text, nullable=False),
    # The resolved definition; NULL for a study that an Optuna program made.
    Column("definition", Definition),
    # Optuna's directions: ["minimize"].
    Column("directions", Json, nullable=False),
    # What each direction is about: ["loss"]; ["steps"] where the fewest to a target are wanted, ["loss", "steps"] where
    # a trade-off is.
    Column("metrics", Json, nullable=False),
    Column("state", String(16), nullable=False),
    # Why it is in that state, in words; NULL while it is active.
    Column("state_reason", Text),
    # The registered objective, where the service's own workers run its trials; NULL for the others.
    Column("objective", String(100)),
    # The token that made it, whose row stays when it is revoked; NULL where none was asked for.
    Column("token_id", Key),
    # Counts up with every change of the definition or the state, and when a trial is excluded: the ETag.
    Column("version", Integer, nullable=False, server_default=text("1")),
    # Counts up with every write to the study or a trial of it: what events are numbered by.
    Column("sequence", BigInteger, nullable=False, server_default=text("0")),
    # The transaction that wrote the row last: what the events of all studies are resumed by (`storage.changes`).
    Column("transaction_number", BigInteger, nullable=False, server_default=text("0")),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    # Time between the first trial and now that does not count: the study was over, and taken up again.
    Column("idle_seconds", Double, nullable=False, server_default=text("0")),
    # When trials were last given out: workers serve the study that waited longest.
    Column("asked_at", UtcTime),
    # Spending.
    Column("next_number", Integer, nullable=False, server_default=text("0")),
    Column("started_trials", Integer, nullable=False, server_default=text("0")),
    Column("failed_trials", Integer, nullable=False, server_default=text("0")),
    Column("spent_evaluations", BigInteger, nullable=False, server_default=text("0")),
    Column("reserved_evaluations", BigInteger, nullable=False, server_default=text("0")),
    # The worker that has the study to itself, until when, and how many have lost it since the study last went on.
    Column("holder", Text),
    Column("held_until", UtcTime),
    Column("lost_holds", Integer, nullable=False, server_default=text("0")),
    # Optuna's attributes of the study. Samplers keep their state in the system ones.
    Column("user_attrs", Json, nullable=False),
    Column("system_attrs", Json, nullable=False),
    UniqueConstraint("name"),
    Index(None, "token_id"),
    # On PostgreSQL of a kind that is not kept up row by row: a study's row is written with every write to it, and its
    # new version can then stay on its page, without an entry in any index.
    Index(None, "transaction_number", postgresql_using="brin"),
    CheckConstraint("state IN ('active', 'paused', 'stopped', 'completed')", name="state"),
    sqlite_autoincrement=True,
)

trial = Table(
    "tuner_trial",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_id", Key, ForeignKey("tuner_study.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("parameters", Json, nullable=False),
    # Optuna distributions by parameter; NULL: those of the study's search space.
    Column("distributions", Json),
    # Metric → value, non-finite ones as strings.
    Column("values", Json),
    # The goal's metric, or the first step at which it reached the goal's target, where that is finite: what "best"
    # orders by. NULL where the goal is a trade-off.
    Column("objective_value", Double),
    Column("steps_run", BigInteger),
    # A digest of all parameters but the steps, where the curve is that of every trial of them: `service.descents`.
    Column("descent", String(32)),
    # Spent, by all attempts; and set aside for the running one.
    Column("gradient_evaluations", BigInteger, nullable=False, server_default=text("0")),
    Column("reserved_evaluations", BigInteger, nullable=False, server_default=text("0")),
    Column("outcome", String(32)),
    Column("verdict", String(32)),
    # The numbers that decided the verdict, and what to do about it, in words.
    Column("evidence", Json),
    Column("advice", Text),
    Column("reason", Text),
    Column("quarantined", Boolean, nullable=False, server_default=text("false")),
    Column("excluded", Boolean, nullable=False, server_default=text("false")),
    # The lease: attempt counts up each time the trial is leased.
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("lost_leases", Integer, nullable=False, server_default=text("0")),
    Column("worker", Text),
    # The token that asked for it; NULL where none was asked for, and for the service's own workers.
    Column("token_id", Key),
    Column("lease_expires_at", UtcTime),
    Column("lease_seconds", Double),
    # What the present attempt has reported: its last step, and the goal's metric at its best so far (not finite: NULL).
    Column("last_step", BigInteger),
    Column("best_value", Double),
    Column("best_step", BigInteger),
    # Why whoever runs it has been told to stop; NULL while it may go on.
    Column("stop_reason", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("updated_at", UtcTime, nullable=False),
    # The study's sequence at the last write to this trial.
    Column("sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("user_attrs", Json, nullable=False),
    Column("system_attrs", Json, nullable=False),
    UniqueConstraint("study_id", "number"),
    CheckConstraint("state IN ('waiting', 'running', 'complete', 'failed', 'pruned')", name="state"),
    Index(None, "study_id", "state", "objective_value", "number"),
    Index(None, "study_id", "state", "number"),
    Index(None, "study_id", "sequence"),
    Index(
        None,
        "study_id",
        "descent",
        "steps_run",
        sqlite_where=text("descent IS NOT NULL"),
        postgresql_where=text("descent IS NOT NULL"),
    ),
    Index(None, "state", "lease_expires_at"),
    # Of those that run alone: however many a token has finished, what it holds is counted fast.
    Index(
        None,
        "token_id",
        sqlite_where=text("state = 'running' AND token_id IS NOT NULL"),
        postgresql_where=text("state = 'running' AND token_id IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

attempt = Table(
    "tuner_attempt",
    metadata,
    Column("trial_id", Key, ForeignKey("tuner_trial.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("worker", Text),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime, nullable=False),
    Column("end", String(16), nullable=False),
    CheckConstraint("\"end\" IN ('lost', 'released')", name="end"),
)

curve_block = Table(
    "tuner_curve_block",
    metadata,
    Column("trial_id", Key, ForeignKey("tuner_trial.id", ondelete="CASCADE"), primary_key=True),
    Column("metric", String(100), primary_key=True),
    # The attempt that reported it: a trial's curve is that of its latest attempt.
    Column("attempt", Integer, primary_key=True),
    # Order of arrival: a later block's value for a step replaces an earlier one's.
    Column("sequence", Integer, primary_key=True),
    Column("first_step", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("points", LargeBinary, nullable=False),
)

checkpoint = Table(
    "tuner_checkpoint",
    metadata,
    Column("trial_id", Key, ForeignKey("tuner_trial.id", ondelete="CASCADE"), primary_key=True),
    Column("step", BigInteger, nullable=False),
    # Parameters, gradient and the update rule's state, as self-describing bytes.
    Column("state", LargeBinary, nullable=False),
)

measurement = Table(
    "tuner_measurement",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_id", Key, ForeignKey("tuner_study.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("result", Json, nullable=False),
    # What it took, charged to the study.
    Column("gradient_evaluations", BigInteger, nullable=False, server_default=text("0")),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "study_id", "kind", "id"),
    sqlite_autoincrement=True,
)

rung = Table(
    "tuner_rung",
    metadata,
    Column("study_id", Key, ForeignKey("tuner_study.id", ondelete="CASCADE"), primary_key=True),
    # Trials of one bracket are compared with each other; pruners without brackets have one, 0. Bracket -1 holds no rung
    # but a trial's last improvement, for a pruner that waits for the next.
    Column("bracket", Integer, primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("trial_id", Key, ForeignKey("tuner_trial.id", ondelete="CASCADE"), primary_key=True),
    # The goal's metric at its best up to that step; NULL where it never was finite.
    Column("value", Double),
    Index(None, "trial_id"),
)

answer = Table(
    "tuner_answer",
    metadata,
    Column("key", String(255), primary_key=True),
    # A digest of the request: the same key with another one is refused.
    Column("request", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "created_at"),
)

deleted_study = Table(
    "tuner_deleted_study",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("deleted_at", UtcTime, nullable=False),
    # The transaction that deleted it.
    Column("transaction_number", BigInteger, nullable=False),
    Index(None, "deleted_at"),
    Index(None, "transaction_number"),
)

worker = Table(
    "tuner_worker",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(32), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("stopped_at", UtcTime),
    # What it is busy with: a study's name, and how many trials it holds.
    Column("study", Text),
    Column("trials", Integer, nullable=False, server_default=text("0")),
)

token = Table(
    "tuner_token",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", String(64), nullable=False),
    # The part of the token by which it is found; the rest is a secret, of which only the digest is kept.
    Column("prefix", String(16), nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
    # Two live tokens of one name could not be told apart by whoever revokes one.
    Index(
        "uq_tuner_token_name_live",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

session = Table(
    "tuner_session",
    metadata,
    # Of the cookie's value.
    Column("digest", LargeBinary, primary_key=True),
    Column("token_id", Key, ForeignKey("tuner_token.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Index(None, "token_id"),
    Index(None, "expires_at"),
)
