"""Measurements on a study that are no trials: charged before they are made, settled by what they took.

A measurement runs outside any transaction, for seconds maybe. All that it may take is charged first, so that whoever
asks for trials meanwhile cannot spend it a second time; what it did not take is given back with its result. Should the
service die in between, the charge stays: what had been run until then is not known.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from tuner.errors import BudgetSpent, KeyReused
from tuner.service import budget, idempotency
from tuner.service.idempotency import Key, KeyKnown
from tuner.service.open_study import open_study
from tuner.storage import measurements
from tuner.storage.database import Connection, Database
from tuner.storage.measurements import Measurement

M = TypeVar("M", bound=BaseModel)


def measure(
    database: Database,
    name: str,
    kind: str,
    *,
    most: int,
    run: Callable[[], tuple[Any, int]],
    view: Callable[[Measurement], M],
    model: type[M],
    key: Key | None = None,
) -> M:
    """Make a measurement, store it, and charge the study what it took.

    Args:
        database: where the study is.
        name: of the study.
        kind: of the measurement.
        most: gradient evaluations that it may take.
        run: makes it: the result, as JSON can hold it, and what it took. Where it raises, nothing is charged.
        view: the answer that a stored measurement is.
        model: of that answer.
        key: under which the answer is kept. Two of the same at once both run; one is kept and charged.

    Raises:
        StudyNotFound, ReadOnlyStudy: there is no such study, or none of ours.
        BudgetSpent: the budget does not afford ``most``, or whoever holds the study may spend all of it.
        KeyReused: the key belongs to another request.
    """

    def begin(connection: Connection) -> M | None:
        kept = idempotency.find(connection, [key])
        if key is not None and key.value in kept:
            again = idempotency.again(kept[key.value], key, model)
            if isinstance(again, KeyReused):
                raise again
            return again
        with open_study(connection, name) as study:
            left = budget.allowance(study.definition, study.record).evaluations
            if left is not None and study.record.holder is not None:
                # Its holder was told what is left, and may spend it all before it asks again.
                raise BudgetSpent(f"a worker has all that the budget of study {name!r} leaves: pause it, or wait")
            if left is not None and left < most:
                raise BudgetSpent(
                    f"this may take {most} gradient evaluations; the budget of study {name!r} leaves {left}"
                )
            study.add(spent_evaluations=most)
        return None

    def give_back(connection: Connection) -> None:
        with open_study(connection, name) as study:
            study.add(spent_evaluations=-most)

    def settle(connection: Connection) -> M:
        with open_study(connection, name) as study:
            study.add(spent_evaluations=spent - most)
            stored = measurements.add(
                connection, study.record.id, kind, result, gradient_evaluations=spent, moment=study.moment
            )
            answer = view(stored)
            idempotency.keep(connection, [(key, answer)], study.moment)
            study.complete_if_spent()
        return answer

    answered = database.write(begin)
    if answered is not None:
        return answered
    try:
        result, spent = run()
    except BaseException:
        database.write(give_back)
        raise
    try:
        return database.write(settle)
    except KeyKnown:  # the same request came twice at once
        database.write(give_back)
        answered = database.write(begin)
        assert answered is not None  # noqa: S101 (it is kept for a day)
        return answered
