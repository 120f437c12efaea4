"""Where descents stand, so that they can be continued: one checkpoint a trial, the latest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from tuner.storage.tables import checkpoint as table


@dataclass(frozen=True)
class Stored:
    """A trial's checkpoint: the step it stands at, and its state as bytes (`tuner.descent` knows what is in them)."""

    trial_id: int
    step: int
    state: bytes


def write(connection: Connection, checkpoints: Sequence[Stored]) -> None:
    """Write checkpoints; each replaces the one that its trial had."""
    if not checkpoints:
        return
    forget(connection, [one.trial_id for one in checkpoints])
    connection.execute(
        insert(table), [{"trial_id": one.trial_id, "step": one.step, "state": one.state} for one in checkpoints]
    )


def read(connection: Connection, trial_ids: Sequence[int]) -> Mapping[int, Stored]:
    """The checkpoints of those of the trials that have one, by the trial's id."""
    wanted = select(table.c.trial_id, table.c.step, table.c.state).where(table.c.trial_id.in_(trial_ids))
    return {row.trial_id: Stored(*row) for row in connection.execute(wanted)}


def move(connection: Connection, source: int, target: int) -> None:
    """Give a trial the checkpoint of another one."""
    connection.execute(update(table).where(table.c.trial_id == source).values(trial_id=target))


def forget(connection: Connection, trial_ids: Sequence[int]) -> None:
    """Delete the checkpoints of these trials."""
    connection.execute(delete(table).where(table.c.trial_id.in_(trial_ids)))
