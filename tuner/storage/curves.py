"""Loss curves, stored whole and compactly: blocks of points, many points a row.

A block is self-describing bytes: a format byte, then zlib-compressed columns. Steps that run on without a gap (every
descent of ours) are not stored at all: the block's first step says them. Values that are exactly representable in
float32 are stored so; decoding gives back the same float64 numbers, bit for bit.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import Connection, bindparam, delete, func, insert, literal, select, update

from tuner.storage import bulk
from tuner.storage.driver import Prepared, among
from tuner.storage.tables import curve_block as table

Steps = NDArray[np.int64]
Values = NDArray[np.float64]

FULL_BLOCK = 256
"""Points at which a block that grows point by point is left alone and the next one begun."""

SAMPLED = 48
"""Blocks of a curve that are read where not all of it is needed."""

_FLOAT32, _EXPLICIT_STEPS = 1, 2

# The next place in a curve is found by the primary key, in the statement itself.
_OF: dict[str, Any] = {
    "trial_id": bindparam("of_trial"),
    "metric": bindparam("of_metric"),
    "attempt": bindparam("of_attempt"),
}
_PRESENT = table.alias("present")
_NEXT = select(func.coalesce(func.max(_PRESENT.c.sequence) + 1, 0)).where(
    *(_PRESENT.c[name] == parameter for name, parameter in _OF.items())
)
_INSERT = insert(table).values(sequence=_NEXT.scalar_subquery(), **_OF)

_SAME_CURVE = [_PRESENT.c[name] == table.c[name] for name in ("trial_id", "metric", "attempt")]
_LAST_SEQUENCE = select(func.max(_PRESENT.c.sequence)).where(*_SAME_CURVE).scalar_subquery()

_BLOCKS = select(
    table.c.trial_id, table.c.attempt, table.c.metric, table.c.sequence, table.c.points, table.c.first_step
).order_by(table.c.trial_id, table.c.metric, table.c.sequence)

# What reports ask for goes to the driver, and what is read of thousands of trials.
_READ = Prepared(lambda dialect: _BLOCKS.where(among(table.c.trial_id, "trials", dialect)))
_READ_METRIC = Prepared(
    lambda dialect: _BLOCKS.where(among(table.c.trial_id, "trials", dialect), table.c.metric == bindparam("of_metric"))
)
_LAST_BLOCKS = Prepared(
    lambda dialect: _BLOCKS.where(among(table.c.trial_id, "trials", dialect), table.c.sequence == _LAST_SEQUENCE)
)
_FIRST_BLOCKS = Prepared(
    lambda dialect: _BLOCKS.where(among(table.c.trial_id, "trials", dialect), table.c.sequence < bindparam("below"))
)
_FIRST_BLOCKS_OF_METRIC = Prepared(
    lambda dialect: _BLOCKS.where(
        among(table.c.trial_id, "trials", dialect),
        table.c.sequence < bindparam("below"),
        table.c.metric == bindparam("of_metric"),
    )
)
_READ_SOME = _BLOCKS.where(
    *(table.c[name] == parameter for name, parameter in _OF.items()),
    table.c.sequence.in_(bindparam("places", expanding=True)),
)
_LAST = (
    select(table.c.trial_id, table.c.metric, table.c.attempt, func.max(table.c.sequence))
    .where(table.c.trial_id.in_(bindparam("trials", expanding=True)))
    .group_by(table.c.trial_id, table.c.metric, table.c.attempt)
)

_LAST_OF_METRIC = _LAST.where(table.c.metric == bindparam("of_metric"))


class _Block(NamedTuple):
    """A row, as `_BLOCKS` selects it."""

    trial_id: int
    attempt: int
    metric: str
    sequence: int
    points: bytes
    first_step: int


@dataclass(frozen=True)
class Curve:
    """A metric along a trial: values (n,) at steps (n,), the steps ascending and distinct."""

    steps: Steps
    values: Values


@dataclass(frozen=True)
class CurveBlock:
    """New points of one trial's curve, as they are appended."""

    trial_id: int
    attempt: int
    metric: str
    steps: ArrayLike
    values: ArrayLike


def append(connection: Connection, blocks: Iterable[CurveBlock]) -> None:
    """Append blocks, in their order, after those of the same trial, metric and attempt. The caller holds the trial."""
    rows = []
    for block in blocks:
        steps = np.asarray(block.steps, dtype=np.int64)
        if steps.size == 0:
            continue
        rows.append(
            {
                "of_trial": block.trial_id,
                "of_metric": block.metric,
                "of_attempt": block.attempt,
                "first_step": int(steps.min()),
                "last_step": int(steps.max()),
                "points": encode(steps, np.asarray(block.values, dtype=np.float64)),
            }
        )
    if rows:
        connection.execute(_INSERT, rows)


def grow(connection: Connection, blocks: Iterable[CurveBlock]) -> None:
    """Append points to the last blocks of their curves, for those who report while they run.

    A last block is rewritten until it is full, so n points take about n / `FULL_BLOCK` rows however few come at a
    time, and a report costs the same at any length of the curve. The caller holds the trials; a curve is named once.
    """
    given = {(block.trial_id, block.metric, block.attempt): block for block in blocks if np.size(block.steps)}
    if not given:
        return
    found = _blocks(connection, _LAST_BLOCKS, trials=list({trial_id for trial_id, _, _ in given}))
    last = {(block.trial_id, block.metric, block.attempt): block for block in found}
    grown, begun = [], []
    for curve, block in given.items():
        steps, values = np.asarray(block.steps, dtype=np.int64), np.asarray(block.values, dtype=np.float64)
        present = last.get(curve)
        if present is not None and len(steps) < FULL_BLOCK:
            points = decode(present.points, present.first_step)
            if len(points[0]) < FULL_BLOCK:
                grown.append({**_of(curve, present.sequence), **_columns(merge([points, (steps, values)]))})
                continue
        sequence = 0 if present is None else present.sequence + 1
        begun.append({**_of(curve, sequence), **_columns(merge([(steps, values)]))})
    bulk.update(connection, table, grown, by=("trial_id", "metric", "attempt", "sequence"))
    bulk.insert(connection, table, begun)


def _of(curve: tuple[int, str, int], sequence: int) -> dict[str, Any]:
    trial_id, metric, attempt = curve
    return {"trial_id": trial_id, "metric": metric, "attempt": attempt, "sequence": sequence}


def _columns(curve: Curve) -> dict[str, Any]:
    return {
        "first_step": int(curve.steps[0]),
        "last_step": int(curve.steps[-1]),
        "points": encode(curve.steps, curve.values),
    }


def hand_over(connection: Connection, trial_id: int, attempt: int, *, of: int = 0) -> None:
    """Give the points of an attempt (0: those from before the first) to another one, that goes on from there."""
    connection.execute(update(table).where(table.c.trial_id == trial_id, table.c.attempt == of).values(attempt=attempt))


def copy(connection: Connection, source: tuple[int, int], target: tuple[int, int]) -> None:
    """Give a trial the points of another one; both are named by trial id and attempt, and the target has none yet."""
    columns = [column for column in table.c if column.name not in {"trial_id", "attempt"}]
    points = select(literal(target[0], table.c.trial_id.type), literal(target[1]), *columns).where(
        table.c.trial_id == source[0], table.c.attempt == source[1]
    )
    connection.execute(insert(table).from_select(["trial_id", "attempt", *(one.name for one in columns)], points))


def read(connection: Connection, trial_id: int, attempt: int) -> dict[str, Curve]:
    """The curves of one attempt of a trial, by metric."""
    return read_many(connection, [(trial_id, attempt)]).get(trial_id, {})


def read_many(
    connection: Connection, trials: Sequence[tuple[int, int]], *, metric: str | None = None
) -> dict[int, dict[str, Curve]]:
    """The curves of (trial id, attempt) pairs: trial id → metric → curve; those of one metric where it is given."""
    attempts = dict(trials)
    of_metric = {} if metric is None else {"of_metric": metric}
    blocks = _blocks(connection, _READ if metric is None else _READ_METRIC, trials=list(attempts), **of_metric)
    return _collected(blocks, attempts)


def sample(
    connection: Connection, trials: Sequence[tuple[int, int]], *, metric: str | None = None
) -> dict[int, dict[str, Curve]]:
    """`read_many`, but of a long curve only some blocks: its first and last ones, and others evenly between.

    So what is read of a curve that grew point by point is bounded: `SAMPLED` blocks of `FULL_BLOCK` points a metric.
    """
    attempts = dict(trials)
    of_metric = {} if metric is None else {"of_metric": metric}
    read_first, read_last = (_FIRST_BLOCKS, _LAST) if metric is None else (_FIRST_BLOCKS_OF_METRIC, _LAST_OF_METRIC)
    first = _blocks(connection, read_first, trials=list(attempts), below=SAMPLED, **of_metric)
    long = {row.trial_id for row in first if row.sequence == SAMPLED - 1 and row.attempt == attempts[row.trial_id]}
    found = _collected((row for row in first if row.trial_id not in long), attempts)
    if long:
        for trial_id, name, attempt, last in connection.execute(read_last, {"trials": list(long), **of_metric}):
            if attempt == attempts[trial_id]:
                values = {"of_trial": trial_id, "of_metric": name, "of_attempt": attempt, "places": _spread(last + 1)}
                found |= {trial_id: {**found.get(trial_id, {}), **_some(connection, values)[trial_id]}}
    return found


def _blocks(connection: Connection, statement: Prepared, **values: Any) -> list[_Block]:
    return [_Block._make(row) for row in statement.rows(connection, values)]


def _some(connection: Connection, values: dict[str, Any]) -> dict[int, dict[str, Curve]]:
    return _collected(connection.execute(_READ_SOME, values), {values["of_trial"]: values["of_attempt"]})


def _collected(rows: Iterable[Any], attempts: Mapping[int, int]) -> dict[int, dict[str, Curve]]:
    """Rows in the order of their curves as curves, those of the trials' given attempts."""
    collected: dict[int, dict[str, list[tuple[Steps, Values]]]] = {}
    for row in rows:
        if attempts[row.trial_id] == row.attempt:
            blocks = collected.setdefault(row.trial_id, {}).setdefault(row.metric, [])
            blocks.append(decode(row.points, row.first_step))
    return {
        trial_id: {metric: merge(blocks) for metric, blocks in metrics.items()}
        for trial_id, metrics in collected.items()
    }


def _spread(count: int) -> list[int]:
    """Which of so many blocks are read: a third of `SAMPLED` at either end, the others between."""
    if count <= SAMPLED:
        return list(range(count))
    part = SAMPLED // 3
    between = np.linspace(part, count - part - 1, SAMPLED - 2 * part).astype(int).tolist()
    return sorted({*range(part), *between, *range(count - part, count)})


def remove(connection: Connection, trial_id: int) -> None:
    """Delete every block of a trial."""
    connection.execute(delete(table).where(table.c.trial_id == trial_id))


def encode(steps: Steps, values: Values) -> bytes:
    """Points as bytes; the inverse is `decode`."""
    flags = 0
    columns = []
    if not _runs_on(steps):
        flags |= _EXPLICIT_STEPS
        columns.append(np.diff(steps, prepend=steps[0]).astype("<i8").tobytes())
    with np.errstate(over="ignore"):
        narrow = values.astype("<f4")
    if np.array_equal(narrow.astype(np.float64), values, equal_nan=True):
        flags |= _FLOAT32
        columns.append(narrow.tobytes())
    else:
        columns.append(values.astype("<f8").tobytes())
    return bytes([flags]) + zlib.compress(b"".join(columns), level=1)


def decode(points: bytes, first_step: int) -> tuple[Steps, Values]:
    """Steps and values of a block. ``first_step`` is the block's smallest step."""
    flags, data = points[0], zlib.decompress(points[1:])
    width = 4 if flags & _FLOAT32 else 8
    per_point = width + (8 if flags & _EXPLICIT_STEPS else 0)
    count = len(data) // per_point
    values = np.frombuffer(data, dtype=f"<f{width}", offset=len(data) - count * width).astype(np.float64)
    if not flags & _EXPLICIT_STEPS:
        return np.arange(first_step, first_step + count, dtype=np.int64), values
    steps = np.cumsum(np.frombuffer(data, dtype="<i8", count=count))
    return steps - steps.min() + first_step, values


def _runs_on(steps: Steps) -> bool:
    return bool(np.all(np.diff(steps) == 1))


def merge(blocks: Sequence[tuple[Steps, Values]]) -> Curve:
    """Points in order of arrival as one curve: sorted by step, the latest value of a step kept."""
    steps, values = blocks[0] if len(blocks) == 1 else map(np.concatenate, zip(*blocks, strict=True))
    if (steps[1:] > steps[:-1]).all():
        return Curve(steps, values)
    # np.unique keeps the first of equal steps: reversed, that is the latest.
    distinct, latest = np.unique(steps[::-1], return_index=True)
    return Curve(distinct, values[::-1][latest])


def as_intermediate_values(curve: Curve) -> dict[int, Any]:
    """A curve as Optuna's ``intermediate_values``."""
    return dict(zip(curve.steps.tolist(), curve.values.tolist(), strict=True))
