"""A page of the studies: those that are wanted, in some order.

A place in a list is told by what the study there is ordered by, its id last, and not by the study itself: before the
next page is read it may have been deleted, or have moved elsewhere.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    CTE,
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Select,
    Text,
    case,
    cast,
    exists,
    extract,
    func,
    literal,
    select,
    tuple_,
)

from tuner.storage.studies import StudyRecord
from tuner.storage.tables import UtcTime
from tuner.storage.tables import study as table
from tuner.storage.tables import trial as trial_table

StudyOrder = Literal["-created", "created", "name", "-name", "best", "-best", "progress", "-progress"]
"""How a list of studies is ordered; a minus turns it round.

``best``: studies of one goal together, of each the best value first. ``progress``: by the share that is spent of that
limit of the budget which is nearest, the smallest first. What has no such thing comes last, whichever way; of equal
studies the newest comes first.
"""

Place = Sequence[int | float | str]
"""A place in a list: what it is ordered by, there."""

PLACES: Mapping[str, tuple[type, ...]] = {
    "created": (int,),
    "name": (str, int),
    "best": (int, str, float, int),
    "progress": (int, float, int),
}
"""What a place is made of, by order."""

LONGEST_TEXT = 100
"""Characters of a text that are ordered by, so that a place is short: names of Optuna programs' studies have no end."""


class Listed(NamedTuple):
    """A study, and where it stands in the list."""

    study: StudyRecord
    place: Place


def page(
    connection: Connection,
    moment: datetime,
    *,
    size: int,
    state: str | None = None,
    text: str | None = None,
    tag: str | None = None,
    order: StudyOrder = "-created",
    after: Place | None = None,
) -> list[Listed]:
    """Up to ``size`` studies in that order, those that come after a place. Progress is that of the ``moment``."""
    dialect = connection.dialect.name
    statement, keys, backwards = _ordered(order, dialect, moment)
    statement = statement.add_columns(*(key.label(f"key_{number}") for number, key in enumerate(keys)))
    statement = statement.order_by(*(key.desc() if backwards else key for key in keys)).limit(size)
    if state is not None:
        statement = statement.where(table.c.state == state)
    if text is not None:
        statement = statement.where(func.lower(table.c.name).contains(text.lower(), autoescape=True))
    if tag is not None:
        statement = statement.where(_has_tag(tag, dialect))
    if after is not None:
        here, there = tuple_(*keys), tuple_(*map(_literal, after))
        statement = statement.where(here < there if backwards else here > there)
    width = len(table.c)
    return [Listed(StudyRecord._make(row[:width]), row[width:]) for row in connection.execute(statement)]


def _literal(part: float | str) -> ColumnElement[Any]:
    return literal(part, BigInteger()) if isinstance(part, int) else literal(part)


def _ordered(
    order: StudyOrder, dialect: str, moment: datetime
) -> tuple[Select[Any], Sequence[ColumnElement[Any]], bool]:
    """All studies, what the order goes by, and whether backwards: only names and ages are turned round as a whole."""
    by, sign = order.removeprefix("-"), -1 if order.startswith("-") else 1
    if by == "created":
        return select(table), [table.c.id], sign < 0
    if by == "name":
        return select(table), [func.substr(table.c.name, 1, LONGEST_TEXT), table.c.id], sign < 0
    ranked = _ranked(_best() if by == "best" else _progress(dialect, moment))
    value = ranked.c.value
    keys: list[ColumnElement[Any]] = [
        case((value.is_(None), 1), else_=0),
        func.coalesce(sign * value, 0.0),
        -table.c.id,
    ]
    if by == "best":
        goal = func.substr(cast(table.c.directions, Text) + cast(table.c.metrics, Text), 1, LONGEST_TEXT)
        keys.insert(1, case((value.is_(None), ""), else_=goal))
    return select(table).join(ranked, ranked.c.id == table.c.id), keys, False


def _ranked(value: ColumnElement[float]) -> CTE:
    """A value of every study, which is looked up or computed once, however often it is named."""
    return select(table.c.id, value.label("value")).cte("ranked").prefix_with("MATERIALIZED")


def _best() -> ColumnElement[float]:
    """The best value of a study that has one goal, smaller the better. It is found by an index, as `ranked.best` is."""
    value = trial_table.c.objective_value
    best = (
        select(value)
        .where(
            trial_table.c.study_id == table.c.id,
            trial_table.c.state == "complete",
            value.is_not(None),
            ~trial_table.c.excluded,
        )
        .limit(1)
    )
    return case(
        (table.c.directions == ["minimize"], best.order_by(value).scalar_subquery()),
        (table.c.directions == ["maximize"], -best.order_by(value.desc()).scalar_subquery()),
    )


def _progress(dialect: str, moment: datetime) -> ColumnElement[float]:
    """The greatest share of a limit that is spent, at most 1; NULL where there is no limit."""
    limits = [
        (table.c.started_trials, "trials"),
        (table.c.spent_evaluations, "gradient_evaluations"),
        (_seconds(dialect, moment), "seconds"),
    ]
    shares = [func.coalesce(cast(spent, Double) / _limit(name, dialect), -1.0) for spent, name in limits]
    greatest = (func.max if dialect == "sqlite" else func.greatest)(*shares)
    return case((greatest < 0, None), (greatest > 1, 1.0), else_=greatest)


def _limit(name: str, dialect: str) -> ColumnElement[float]:
    if dialect == "sqlite":
        return cast(func.json_extract(table.c.definition, f"$.budget.{name}"), Double)
    return cast(func.json_extract_path_text(_document(), "budget", name), Double)


def _seconds(dialect: str, moment: datetime) -> ColumnElement[float]:
    """As `service.budget` counts them; NULL where the study has not begun."""
    end = func.coalesce(table.c.finished_at, literal(moment, UtcTime()))
    if dialect == "sqlite":
        elapsed = (func.julianday(end) - func.julianday(table.c.started_at)) * 86_400.0
    else:
        elapsed = cast(extract("epoch", end - table.c.started_at), Double)
    return elapsed - table.c.idle_seconds


def _has_tag(tag: str, dialect: str) -> ColumnElement[bool]:
    if dialect == "sqlite":
        tags = func.json_each(table.c.definition, "$.tags").table_valued("value")
    else:
        tags = func.json_array_elements_text(_document()["tags"]).table_valued("value")
    return exists(select(tags.c.value).where(tags.c.value == tag))


def _document() -> ColumnElement[Any]:
    # A definition is text: what it says is for the database to read.
    return cast(cast(table.c.definition, Text), JSON)
