"""Use cases of studies: validate, create, read, list, change, pause, resume, stop, delete. One transaction each."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from tuner.definition import STUDY_NAME, Study, StudyDefinition, StudyRequest
from tuner.errors import (
    InvalidInput,
    KeyReused,
    NoResult,
    NoSingleBest,
    StudyChanged,
    StudyExists,
    StudyNotFound,
    StudyState,
)
from tuner.service import budget, idempotency, quotas
from tuner.service.idempotency import Key
from tuner.service.open_study import definition_of, open_study
from tuner.service.paging import place, place_token
from tuner.service.quotas import Quota
from tuner.service.range_tests import RangeTestPlan
from tuner.service.resolution import check_budget, judge, resolve_request
from tuner.storage import ranked, studies, study_list, trials
from tuner.storage.database import Connection, Database, now
from tuner.storage.studies import StudyRecord
from tuner.storage.study_list import PLACES, StudyOrder
from tuner.trial import Trial

LONGEST_STEM = 90
"""Characters of a name that leave room for a number."""


@dataclass(frozen=True)
class StudyPage:
    """Studies, and where the next page begins."""

    studies: list[Study]
    next_page_token: str | None


class Created(BaseModel):
    """A study that somebody wanted, and whether it was made for them."""

    study: Study
    created: bool


class ValidStudy(BaseModel):
    """A study that could be created: every default filled in. Nothing is stored, and no gradient was taken."""

    definition: StudyDefinition = Field(
        description="As it would be stored. Of a learning rate that is left to a range test, the range to be tested."
    )
    range_test: RangeTestPlan | None = Field(description="The range test that creating it would run.")
    exists: bool = Field(description="Whether the identical study exists: creating it would find that one.")


def validate(database: Database, request: StudyRequest) -> ValidStudy:
    """Say what `create` would make of a request, but for what only running its objective tells.

    Raises:
        InvalidInput: the definition names what no registry knows, or does not fit its objective.
        StudyExists: the name belongs to another definition.
    """
    definition, plan = judge(request)

    def work(connection: Connection) -> bool:
        try:
            record = studies.get_by_name(connection, definition.name)
        except StudyNotFound:
            return False
        asked = definition
        rate = record.definition and record.definition.search_space.get("learning_rate")
        if plan is not None and rate is not None:
            # What the test will find is not known yet; anything else is.
            asked = asked.model_copy(update={"search_space": {**asked.search_space, "learning_rate": rate}})
        _require_same(record, asked)
        return True

    return ValidStudy(definition=definition, range_test=plan, exists=database.read(work))


def create(
    database: Database,
    request: StudyDefinition | StudyRequest,
    key: Key | None = None,
    quota: Quota | None = None,
) -> tuple[Study, bool]:
    """Create the study, or find the identical one; whether it was created.

    A range test that is to find its learning rate is run for each request, and charged to the study that is created.
    The study counts for the token of the quota.

    Raises:
        InvalidInput: the definition names what no registry knows, or a range test gives no range.
        ObjectiveFailed: the objective raised or answered wrong shapes.
        StudyExists: the name belongs to another definition; the message names the fields that differ.
        TooManyStudies: the token has as many as it may.
        KeyReused: the key belongs to another request.
    """
    resolved, found = resolve_request(request)

    def work(connection: Connection) -> tuple[Study, bool]:
        kept = idempotency.find(connection, [key])
        if key is not None and key.value in kept:
            again = idempotency.again(kept[key.value], key, Created)
            if isinstance(again, KeyReused):
                raise again
            return again.study, again.created
        study, created = find_or_create(connection)
        idempotency.keep(connection, [(key, Created(study=study, created=created))], now(connection))
        return study, created

    def find_or_create(connection: Connection) -> tuple[Study, bool]:
        if quota is not None and quota.studies:
            quotas.hold(connection, [quota])
        try:
            record = studies.create(
                connection,
                name=resolved.name,
                definition=resolved,
                directions=[direction for _, direction in resolved.goal.aims],
                metrics=[name for name, _ in resolved.goal.aims],
                objective=None if resolved.objective is None else resolved.objective.name,
                moment=now(connection),
                token_id=quota and quota.token_id,
            )
        except StudyExists:
            record = studies.get(connection, resolved.name, lock=True)
            _require_same(record, resolved)
            return views(connection, [record])[0], False
        quotas.require_room(connection, quota)
        if found is not None:
            found.store(connection, record.id, record.created_at)
            record = studies.get_by_id(connection, record.id)
        return views(connection, [record])[0], True

    try:
        return database.write(work)
    except idempotency.KeyKnown:  # the same request came twice at once
        return database.write(work)


def get(database: Database, name: str) -> tuple[Study, int]:
    """One study, and the version of its definition and state."""

    def work(connection: Connection) -> tuple[Study, int]:
        record = studies.get(connection, name)
        return views(connection, [record])[0], record.version

    return database.read(work)


def page(
    database: Database,
    *,
    state: str | None = None,
    text: str | None = None,
    tag: str | None = None,
    order: StudyOrder = "-created",
    page_size: int = 50,
    page_token: str | None = None,
) -> StudyPage:
    """Studies by state, by a part of their name and by a tag, the newest first where no other order is wanted.

    What studies are ordered by goes on changing: who walks the list by `best` or `progress` while trials run may meet a
    study twice, or miss it.

    Raises:
        InvalidInput: the page token is none of ours, or of another order.
    """
    after = place(page_token, PLACES[order.removeprefix("-")])

    def work(connection: Connection) -> StudyPage:
        found = study_list.page(
            connection,
            now(connection),
            state=state,
            text=text,
            tag=tag,
            order=order,
            after=after,
            size=page_size + 1,
        )
        shown = found[:page_size]
        token = place_token(shown[-1].place) if len(found) > page_size else None
        return StudyPage(views(connection, [each.study for each in shown]), token)

    return database.read(work)


def unused_names(database: Database, wanted: Sequence[str]) -> dict[str, str]:
    """For each text a study's name like it that no study has: ``line-fit-2`` for ``line_fit`` where one is taken."""

    def work(connection: Connection) -> dict[str, str]:
        found = {}
        for text in wanted:
            stem = re.sub("[^a-z0-9._]+", "-", text.lower().replace("_", "-")).strip("._-")[:LONGEST_STEM] or "study"
            taken = studies.names_that_begin(connection, stem)
            numbered = (f"{stem}-{number}" for number in count(2))
            found[text] = stem if stem not in taken else next(name for name in numbered if name not in taken)
        return found

    return database.read(work)


def best(database: Database, name: str) -> Trial:
    """The best complete trial.

    Raises:
        NoResult: there is no complete trial with a finite value yet.
        NoSingleBest: the study's goal is a trade-off.
    """
    study, _ = get(database, name)
    goal = None if study.definition is None else study.definition.goal
    if goal is not None and goal.is_trade_off:
        raise NoSingleBest(f"study {name!r} is to {goal.words}: no trial is the best; read its front at …/pareto")
    if study.best is None and goal is not None and goal.target is not None:
        raise NoResult(f"no complete trial of study {name!r} has reached its target yet: it is to {goal.words}")
    if study.best is None:
        raise NoResult(f"study {name!r} has no complete trial with a finite value yet")
    return study.best


def change(
    database: Database, name: str, changes: Mapping[str, Any], *, expected_version: int | None = None
) -> tuple[Study, int]:
    """Change notes, tags or budget. A raised budget makes a completed study active again.

    Args:
        database: where the study is.
        name: which study.
        changes: any of ``notes``, ``tags`` and ``budget``, each replaced whole.
        expected_version: refuse when the study has changed since this version.

    Raises:
        InvalidInput: a value is out of form.
        ReadOnlyStudy: an Optuna program made the study.
        StudyChanged: it has changed since the expected version.
    """

    def work(connection: Connection) -> tuple[Study, int]:
        with open_study(connection, name) as study:
            record, moment = study.record, study.moment
            if expected_version is not None and record.version != expected_version:
                raise StudyChanged(
                    f"study {name!r} has changed: it is at version {record.version}, not {expected_version}"
                )
            document = {**study.definition.model_dump(mode="json"), **changes}
            try:
                definition = StudyDefinition.model_validate(document)
            except ValidationError as error:
                raise InvalidInput.from_validation(error.errors(), document) from None
            check_budget(definition)
            study.change(definition=definition, version=record.version + 1)
            if (
                "budget" in changes
                and record.state == "completed"
                and budget.exhausted(definition, record, moment) is None
            ):
                study.change(**_active_again(record, moment))
            study.complete_if_spent()
        return views(connection, [study.record])[0], study.record.version

    return database.write(work)


def _active_again(record: StudyRecord, moment: datetime) -> dict[str, Any]:
    """Take up a study that was over: its clock goes on where it stood."""
    idle = (moment - record.finished_at).total_seconds() if record.finished_at and record.started_at else 0.0
    return {
        "state": "active",
        "state_reason": None,
        "finished_at": None,
        "idle_seconds": record.idle_seconds + idle,
        "lost_holds": 0,
    }


def pause(database: Database, name: str) -> Study:
    """Give out no more trials; running ones finish.

    Raises:
        StudyState: the study is not active.
    """
    return _move(database, name, {"active"}, "paused", "paused by a user")


def resume(database: Database, name: str) -> Study:
    """Give out trials again.

    Raises:
        StudyState: the study is completed; raise its budget instead.
    """
    return _move(database, name, {"paused", "stopped"}, "active", None)


def stop(database: Database, name: str) -> Study:
    """End the study; running trials finish and are kept.

    Raises:
        StudyState: the study is completed.
    """
    return _move(database, name, {"active", "paused"}, "stopped", "stopped by a user")


def delete(database: Database, name: str) -> None:
    """Delete a study with its trials and curves.

    Raises:
        ReadOnlyStudy: an Optuna program made the study; it may delete it.
    """

    def work(connection: Connection) -> None:
        record = studies.get(connection, name, lock=True)
        definition_of(record)
        studies.remove(connection, record.id)

    database.write(work)


def _move(database: Database, name: str, sources: set[str], target: str, reason: str | None) -> Study:
    def work(connection: Connection) -> Study:
        with open_study(connection, name) as study:
            record, moment = study.record, study.moment
            if record.state in sources:
                study.change(version=record.version + 1)
                if target == "active":
                    study.change(**_active_again(record, moment))
                    study.complete_if_spent()
                else:
                    finished_at = moment if target == "stopped" else None
                    study.change(state=target, state_reason=reason, finished_at=finished_at)
            elif record.state != target:
                hint = ": raise its budget to go on" if record.state == "completed" else ""
                raise StudyState(f"study {name!r} is {record.state}{hint}")
        return views(connection, [study.record])[0]

    return database.write(work)


def _require_same(record: StudyRecord, resolved: StudyDefinition) -> None:
    asked = resolved.model_dump(mode="json")
    found = {} if record.definition is None else record.definition.model_dump(mode="json")
    # Compared as JSON: to Python, true is 1.
    different = sorted(field for field in asked if json.dumps(found.get(field)) != json.dumps(asked[field]))
    if different:
        raise StudyExists(
            f"a study named {record.name!r} exists with another definition: {', '.join(different)} "
            f"{'differs' if len(different) == 1 else 'differ'}; choose another name or delete it first"
        )


def address_of(study_id: int, name: str) -> str:
    """What addresses call a study: its name, or ``~{id}`` where an Optuna program chose one that does not fit."""
    return name if re.fullmatch(STUDY_NAME, name) else f"~{study_id}"


def views(connection: Connection, records: Sequence[StudyRecord]) -> list[Study]:
    """Studies as they are read."""
    counts = trials.counts(connection, records)
    moment = now(connection)
    views = []
    for record in records:
        best_trial = ranked.best_of(connection, record)
        views.append(
            Study(
                name=record.name,
                address=address_of(record.id, record.name),
                state=record.state,
                state_reason=record.state_reason,
                definition=record.definition,
                created_at=record.created_at,
                started_at=record.started_at,
                finished_at=record.finished_at,
                trials=counts[record.id],
                spent=budget.spent(record, moment),
                best=None if best_trial is None else best_trial.view(),
            )
        )
    return views
