"""Writing many rows at once, as fast as the driver allows.

What every ask, report and tell writes goes through here. A statement is made once, and the rows reach the driver
without being wrapped one by one. SQLite, in this process, runs it for each row; a server gets all rows as one JSON
document, in one statement and one round trip: numbers keep their last bit, since both sides write and read the
shortest decimal that names a double.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, LargeBinary, Table
from sqlalchemy.dialects import postgresql

from tuner.storage import driver
from tuner.storage.tables import UtcTime

Row = Mapping[str, Any]
_Processor = Callable[[Any], Any] | None


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, all with the same columns."""
    if rows:
        statement = _insert(table, tuple(rows[0]), connection.dialect.name)
        _execute(connection, table, statement, tuple(rows[0]), rows)


def update(connection: Connection, table: Table, rows: Sequence[Row], *, by: tuple[str, ...]) -> None:
    """Set columns of rows that are found by the columns ``by``; each row names all of them, the same ones in each."""
    if rows:
        changed = tuple(name for name in rows[0] if name not in by)
        statement = _update(table, changed, by, connection.dialect.name)
        _execute(connection, table, statement, (*changed, *by), rows)


@cache
def _insert(table: Table, columns: tuple[str, ...], dialect: str) -> str:
    places = ", ".join("?" * len(columns))
    rows = f"VALUES ({places})" if dialect == "sqlite" else f"SELECT * FROM {_new(table, columns)}"  # noqa: S608
    names = ", ".join(f'"{name}"' for name in columns)
    return f'INSERT INTO "{table.name}" ({names}) {rows}'


@cache
def _update(table: Table, changed: tuple[str, ...], by: tuple[str, ...], dialect: str) -> str:
    if dialect == "sqlite":
        values = ", ".join(f'"{name}" = ?' for name in changed)
        found = " AND ".join(f'"{name}" = ?' for name in by)
        return f'UPDATE "{table.name}" SET {values} WHERE {found}'  # noqa: S608 (names of our own)
    values = ", ".join(f'"{name}" = "new"."{name}"' for name in changed)
    found = " AND ".join(f'"{table.name}"."{name}" = "new"."{name}"' for name in by)
    return f'UPDATE "{table.name}" SET {values} FROM {_new(table, (*changed, *by))} WHERE {found}'  # noqa: S608


def _type(table: Table, name: str) -> str:
    dialect: Any = postgresql.dialect
    return str(table.c[name].type.compile(dialect=dialect()))


def _new(table: Table, columns: tuple[str, ...]) -> str:
    """The rows that come as one JSON document, as a table named ``new``."""
    types = ", ".join(f'"{name}" {_type(table, name)}' for name in columns)
    return f'json_to_recordset(%s::json) AS "new" ({types})'


def _execute(
    connection: Connection, table: Table, statement: str, columns: tuple[str, ...], rows: Sequence[Row]
) -> None:
    processors = _processors(table, columns, connection.dialect)
    by_column = [
        _processed(processor, [row[name] for row in rows]) for name, processor in zip(columns, processors, strict=True)
    ]
    made = zip(*by_column, strict=True)
    if connection.dialect.name == "sqlite":
        driver.run(connection, statement, list(made), many=True)
    else:
        document = json.dumps([dict(zip(columns, values, strict=True)) for values in made], allow_nan=False)
        driver.run(connection, statement, (document,))


@cache
def _processors(table: Table, columns: tuple[str, ...], dialect: Dialect) -> tuple[_Processor, ...]:
    """What makes of a column's values what the driver, or a JSON document, takes."""
    return tuple(_processor(table, name, dialect) for name in columns)


def _processor(table: Table, name: str, dialect: Dialect) -> _Processor:
    kind: Any = table.c[name].type
    usual: _Processor = kind.dialect_impl(dialect).bind_processor(dialect)
    if dialect.name == "sqlite":
        return usual
    if isinstance(kind, LargeBinary):
        return _hexadecimal
    return _isoformat if isinstance(kind, UtcTime) else usual


def _hexadecimal(value: bytes | None) -> str | None:
    return None if value is None else f"\\x{value.hex()}"


def _isoformat(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _processed(processor: _Processor, values: list[Any]) -> list[Any]:
    if processor is None:
        return values
    # Rows of one write share their times and their empty documents.
    before, made = values[0], processor(values[0])
    found = []
    for value in values:
        if value is not before:
            before, made = value, processor(value)
        found.append(made)
    return found
