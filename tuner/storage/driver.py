"""The driver's own cursor, for the few statements that every ask, report and tell runs.

SQLAlchemy makes such a statement, once. To run it and to wrap its rows takes SQLAlchemy longer than the database needs
for both, so that is left to the driver. Errors are raised as SQLAlchemy raises them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Select, TypeDecorator
from sqlalchemy.exc import DBAPIError


def run(connection: Connection, statement: str, values: Any, *, many: bool = False) -> Any:
    """Run a statement in the driver's terms; the cursor. ``many``: once for each of the values."""
    cursor = connection.connection.cursor()
    try:
        if many:
            cursor.executemany(statement, values)
        else:
            cursor.execute(statement, values)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_usual(connection, statement, error) from error
    return cursor


def _as_usual(connection: Connection, statement: str, error: Exception) -> BaseException:
    """A driver's error as SQLAlchemy raises it; a connection that is broken is not used again."""
    dialect: Any = connection.dialect
    lost = dialect.is_disconnect(error, connection.connection.driver_connection, None)
    if lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        statement, None, error, dialect.loaded_dbapi.Error, connection_invalidated=lost, dialect=dialect
    )


@dataclass(frozen=True)
class _Made:
    """A statement in one dialect.

    order: of its parameters, None where they go by name. constants: those that the statement itself brings.
    processors: what makes a column's value of what the driver gives.
    """

    text: str
    order: tuple[str, ...] | None
    constants: Mapping[str, Any]
    processors: list[Callable[[Any], Any] | None]


class Prepared:
    """A SELECT whose parameters are plain numbers and texts."""

    def __init__(self, make: Callable[[str], Select[Any]]) -> None:
        """``make`` gives the statement for a dialect of that name."""
        self._make = make
        self._made: dict[str, _Made] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows, each with its columns' values as `Connection.execute` would give them."""
        made = self._made.get(connection.dialect.name) or self._compile(connection.dialect)
        named = {**made.constants, **values}
        given = named if made.order is None else [named[name] for name in made.order]
        found = run(connection, made.text, given).fetchall()
        processors = made.processors
        return [
            tuple([value if make is None else make(value) for make, value in zip(processors, row, strict=True)])
            for row in found
        ]

    def _compile(self, dialect: Dialect) -> _Made:
        statement = self._make(dialect.name)
        compiled: Any = statement.compile(dialect=dialect)
        types: list[Any] = [column.type for column in statement.selected_columns]
        self._made[dialect.name] = made = _Made(
            str(compiled),
            tuple(compiled.positiontup) if compiled.positional else None,
            compiled.params,
            [_processor(kind, dialect) for kind in types],
        )
        return made


def _processor(kind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    # PostgreSQL's driver gives values of the types of its columns; ours are made of them.
    if dialect.name == "sqlite" or isinstance(kind, TypeDecorator):
        made: Callable[[Any], Any] | None = kind.dialect_impl(dialect).result_processor(dialect, None)
        return made
    return None
