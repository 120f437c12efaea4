"""Numbers of transactions: in what order writes became visible, for those who ask what has changed since.

No clock and no counter of ours can say that where several transactions commit at once: the one that began first may
become visible last. PostgreSQL knows: of each snapshot it tells the oldest transaction that may not be in it. SQLite's
writers take turns, so there the numbers are counted up, and a snapshot holds all below the next one.
"""

from typing import Any

from sqlalchemy import BigInteger, Connection, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from tuner.storage.tables import deleted_study, study


class TransactionNumber(FunctionElement[int]):
    """SQL: the number of the transaction that runs it."""

    type = BigInteger()
    inherit_cache = True


_NEXT = (
    f"(SELECT coalesce(max(latest), 0) + 1 FROM (SELECT max(transaction_number) AS latest FROM {study.name} "  # noqa: S608
    f"UNION ALL SELECT max(transaction_number) FROM {deleted_study.name}))"
)


@compiles(TransactionNumber, "postgresql")
def _of_postgresql(_element: TransactionNumber, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"


@compiles(TransactionNumber, "sqlite")
def _of_sqlite(_element: TransactionNumber, _compiler: SQLCompiler, **_options: Any) -> str:
    return _NEXT


_HORIZON_OF_POSTGRESQL = text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")


def horizon(connection: Connection) -> int:
    """The lowest number that a transaction may have of which this snapshot shows nothing.

    What was written by any lower one is visible here; who asks later for all from this number on misses nothing.
    """
    if connection.dialect.name == "postgresql":
        return int(connection.execute(_HORIZON_OF_POSTGRESQL).scalar_one())
    return int(connection.execute(text(f"SELECT {_NEXT}")).scalar_one())
