"""The driver's own cursor, for the few statements that every ask, report and tell runs.

SQLAlchemy makes such a statement, once. To run it and to wrap its rows takes SQLAlchemy longer than the database needs
for both, so that is left to the driver. Errors are raised as SQLAlchemy raises them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Select, TypeDecorator, Update
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
    given: what makes of a parameter's value what the driver takes, where it is not the same. processors: what makes a
    column's value of what the driver gives.
    """

    text: str
    order: tuple[str, ...] | None
    constants: Mapping[str, Any]
    given: Mapping[str, Callable[[Any], Any]]
    processors: list[Callable[[Any], Any] | None]


class Prepared:
    """A statement with parameters, none of them a list."""

    def __init__(self, make: Callable[[str], Select[Any] | Update]) -> None:
        """``make`` gives the statement for a dialect of that name."""
        self._make = make
        self._made: dict[str, _Made] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows, each with its columns' values as `Connection.execute` would give them."""
        found = self.execute(connection, values).fetchall()
        processors = self._made[connection.dialect.name].processors
        return [
            tuple([value if make is None else make(value) for make, value in zip(processors, row, strict=True)])
            for row in found
        ]

    def execute(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Run it; the driver's cursor."""
        made = self._made.get(connection.dialect.name) or self._compile(connection.dialect)
        named = {**made.constants, **values}
        for name, make in made.given.items():
            named[name] = make(named[name])
        return run(connection, made.text, named if made.order is None else [named[name] for name in made.order])

    def _compile(self, dialect: Dialect) -> _Made:
        statement = self._make(dialect.name)
        compiled: Any = statement.compile(dialect=dialect)
        types: list[Any] = (
            [column.type for column in statement.selected_columns] if isinstance(statement, Select) else []
        )
        given = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
        self._made[dialect.name] = made = _Made(
            str(compiled),
            tuple(compiled.positiontup) if compiled.positional else None,
            compiled.params,
            {name: make for name, make in given.items() if make is not None},
            [_processor(kind, dialect) for kind in types],
        )
        return made


def _processor(kind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    # PostgreSQL's driver gives values of the types of its columns; ours are made of them.
    if dialect.name == "sqlite" or isinstance(kind, TypeDecorator):
        made: Callable[[Any], Any] | None = kind.dialect_impl(dialect).result_processor(dialect, None)
        return made
    return None
