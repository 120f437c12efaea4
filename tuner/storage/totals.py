"""Sums over the whole database, for whoever watches over the service."""

from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select

from tuner.storage.tables import attempt, study, trial


@dataclass(frozen=True)
class Totals:
    """Studies and trials by state; leases that ran out; gradient evaluations spent. Of what is stored now."""

    studies: dict[str, int]
    trials: dict[str, int]
    lost_leases: int
    gradient_evaluations: int


def totals(connection: Connection) -> Totals:
    """The sums."""
    lost = select(func.count()).select_from(attempt).where(attempt.c.end == "lost")
    return Totals(
        studies=_by_state(connection, study),
        trials=_by_state(connection, trial),
        lost_leases=connection.execute(lost).scalar_one(),
        gradient_evaluations=int(connection.execute(select(func.sum(study.c.spent_evaluations))).scalar() or 0),
    )


def _by_state(connection: Connection, table: Table) -> dict[str, int]:
    counted = connection.execute(select(table.c.state, func.count()).group_by(table.c.state))
    return {state: count for state, count in counted}  # noqa: C416 (rows are no pairs to a type checker)
