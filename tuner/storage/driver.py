"""The driver's own cursor, for the few statements that every ask, report and tell runs.

SQLAlchemy makes such a statement, once. To run it and to wrap its rows takes SQLAlchemy longer than the database needs
for both, so that is left to the driver. Errors are raised as SQLAlchemy raises them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    TypeDecorator,
    Update,
    any_,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.visitors import replacement_traverse

from tuner.storage.tables import Json


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

    order: of its parameters, None where they go by name. constants: those that the statement itself brings. given: what
    makes of a parameter's value what the driver takes, where it is not the same. read: by a column's place, what makes
    its value of what the driver gives, where that is not the same. None is NULL in every column.
    """

    text: str
    order: tuple[str, ...] | None
    constants: Mapping[str, Any]
    given: Mapping[str, Callable[[Any], Any]]
    read: Sequence[tuple[int, Callable[[Any], Any]]]


def among(column: ColumnElement[int], parameter: str, dialect: str) -> ColumnElement[bool]:
    """A condition for `Prepared`: the column is one of the whole numbers of a list, which is one parameter."""
    if dialect == "sqlite":
        numbers = func.json_each(bindparam(parameter, type_=Json())).table_valued("value", name="given")
        return column.in_(select(numbers.c.value))
    return column == any_(bindparam(parameter, type_=ARRAY(BigInteger)))


class Prepared:
    """A statement with parameters. One that is a list goes into `among`."""

    def __init__(self, make: Callable[[str], Select[Any] | Update]) -> None:
        """``make`` gives the statement for a dialect of that name."""
        self._make = make
        self._made: dict[str, _Made] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[list[Any]]:
        """All rows, each with its columns' values as `Connection.execute` would give them."""
        found = [list(row) for row in self.execute(connection, values).fetchall()]
        read = self._made[connection.dialect.name].read
        for row in found:
            for place, make in read:
                if row[place] is not None:
                    row[place] = make(row[place])
        return found

    def execute(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Run it; the driver's cursor."""
        made = self._made.get(connection.dialect.name) or self._compile(connection.dialect)
        named = {**made.constants, **values}
        for name, make in made.given.items():
            named[name] = make(named[name])
        return run(connection, made.text, named if made.order is None else [named[name] for name in made.order])

    def _compile(self, dialect: Dialect) -> _Made:
        statement = self._make(dialect.name)
        # SQLite plans a statement anew at every run where a parameter could decide whether a partial index will do,
        # which takes longer than to run it: a state that is meant is part of the text.
        written: Any = replacement_traverse(statement, {}, _written_out)
        compiled: Any = written.compile(dialect=dialect)
        types: list[Any] = (
            [column.type for column in statement.selected_columns] if isinstance(statement, Select) else []
        )
        given = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
        self._made[dialect.name] = made = _Made(
            str(compiled),
            tuple(compiled.positiontup) if compiled.positional else None,
            compiled.params,
            {name: make for name, make in given.items() if make is not None},
            [(place, make) for place, kind in enumerate(types) if (make := _processor(kind, dialect)) is not None],
        )
        return made


def _written_out(element: Any, **_: Any) -> ColumnElement[Any] | None:
    """A state or another constant word, written out; None, which keeps what it is, for all else."""
    if isinstance(element, BindParameter) and isinstance(element.value, str) and element.value.isidentifier():
        return literal_column(f"'{element.value}'", element.type)
    return None


def _processor(kind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    # PostgreSQL's driver gives values of the types of its columns; ours are made of them.
    if dialect.name == "sqlite" or isinstance(kind, TypeDecorator):
        made: Callable[[Any], Any] | None = kind.dialect_impl(dialect).result_processor(dialect, None)
        return made
    return None
