"""Writes to studies, many of them in one transaction.

A request that asks, reports, tells, gives back or enqueues is a `Write`. Those that come at once are carried out
together, study by study: each study is opened once, and all reports on it are one batch of statements, all results
another. A write that is refused changes nothing, and the others do not notice.

A write may carry a key (the ``Idempotency-Key`` of HTTP). Its answer is kept under it in the same transaction, and the
same request under the same key is answered from there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from tuner.errors import ReadOnlyStudy, StudyNotFound, TunerError
from tuner.service import idempotency, quotas
from tuner.service.ask import Ask, take_asks
from tuner.service.idempotency import Key
from tuner.service.leases import Release, give_back
from tuner.service.open_study import OpenStudy, open_study
from tuner.service.report import Report, Reported, take_reports
from tuner.service.tell import Judgements, Tell, TellMany, settle_all
from tuner.service.trials import Enqueue, add_chosen
from tuner.storage.database import Connection, Database
from tuner.trial import Asked, Trial

Action = Report | Tell | TellMany | Release | Enqueue | Ask
Answer = BaseModel | TunerError


@dataclass(frozen=True)
class Write:
    """What somebody wants to do to a study."""

    study: str
    action: Action
    key: Key | None = None


@dataclass(frozen=True)
class _Kind:
    """Actions of some types: how all that came at once are carried out, and what they answer."""

    answers: dict[type, type[BaseModel]]
    carry_out: Callable[[OpenStudy, Sequence[Any]], Sequence[Answer]]


# In this order: what is known is written down before a lease is given up, and all of it before the sampler looks.
_KINDS = (
    _Kind({Report: Reported}, take_reports),
    _Kind({Tell: Trial, TellMany: Judgements}, settle_all),
    _Kind({Release: Trial}, give_back),
    _Kind({Enqueue: Trial}, add_chosen),
    _Kind({Ask: Asked}, take_asks),
)

_ANSWERS = {action: answer for kind in _KINDS for action, answer in kind.answers.items()}


def commit(database: Database, writes: Sequence[Write]) -> list[Answer]:
    """Carry out writes in one transaction: the answer to each, in their order.

    Keys are new as a rule, so nobody looks for them first: one that is not makes the transaction fail, and it is done
    again by the book.

    Raises:
        TunerError: what no single write is to blame for, or a single one where there are no others.
    """
    try:
        return database.write(partial(carry_out, writes=writes, look_first=False))
    except idempotency.KeyKnown:
        return database.write(partial(carry_out, writes=writes, look_first=True))


def carry_out(connection: Connection, writes: Sequence[Write], *, look_first: bool = True) -> list[Answer]:
    """`commit` within a transaction.

    Raises:
        KeyKnown: a key is, and was not looked for.
    """
    places: dict[str, list[int]] = {}
    for place, write in enumerate(writes):
        places.setdefault(write.study, []).append(place)
    found: dict[int, Answer] = {}
    quotas.hold(connection, [ask.limited for write in writes if isinstance(ask := write.action, Ask) and ask.limited])
    # One order of locks among all that hold several studies.
    for name in sorted(places):
        try:
            of_study = [writes[place] for place in places[name]]
            answers: Sequence[Answer] = _of_study(connection, name, of_study, look_first=look_first)
        except (StudyNotFound, ReadOnlyStudy) as error:
            answers = [error] * len(places[name])
        found |= dict(zip(places[name], answers, strict=True))
    return [found[place] for place in range(len(writes))]


def _of_study(connection: Connection, name: str, writes: Sequence[Write], *, look_first: bool) -> list[Answer]:
    with open_study(connection, name) as study:
        # Under the study's lock: whoever carries the same key to the same study has committed, or has to wait.
        kept = idempotency.find(connection, [write.key for write in writes]) if look_first else {}
        found: dict[int, Answer] = {}
        first: dict[str, int] = {}
        for place, write in enumerate(writes):
            if write.key is not None and write.key.value in kept:
                found[place] = idempotency.again(kept[write.key.value], write.key, _ANSWERS[type(write.action)])
            elif write.key is not None:
                first.setdefault(write.key.value, place)
        # A key that came twice at once is carried out once.
        new = [
            place
            for place, write in enumerate(writes)
            if place not in found and (write.key is None or first[write.key.value] == place)
        ]
        for kind in _KINDS:
            some = [place for place in new if type(writes[place].action) in kind.answers]
            if some:
                answers = kind.carry_out(study, [writes[place].action for place in some])
                found |= dict(zip(some, answers, strict=True))
        for place, write in enumerate(writes):
            if place not in found and write.key is not None:
                before = first[write.key.value]
                found[place] = found[before] if write.key == writes[before].key else idempotency.reused(write.key)
        keyed = [(write.key, found[place]) for place in new if (write := writes[place]).key is not None]
        if not look_first:
            # What is refused now may have been carried out, and answered, before.
            idempotency.require_unknown(connection, [key for key, answer in keyed if isinstance(answer, TunerError)])
        idempotency.keep(connection, keyed, study.moment)
        return [found[place] for place in range(len(writes))]
