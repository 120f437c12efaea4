"""Studies: validate, create, list, read, change, delete, and steer."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import AfterValidator, BaseModel, Field

from api.body import JsonRoute
from api.problems import documented
from api.schemas import GO_ON, Paging
from api.serving import OfDatabase, OfToken, RequestKey, StudyAddress
from tuner.definition import Budget, Study, StudyRequest
from tuner.errors import (
    InvalidInput,
    KeyReused,
    MissingExtra,
    NoResult,
    NoSingleBest,
    ObjectiveFailed,
    ReadOnlyStudy,
    StudyChanged,
    StudyExists,
    StudyNotFound,
    StudyState,
    TooManyStudies,
)
from tuner.limits import LONGEST_NAME, LONGEST_TAG, MOST_TAGS
from tuner.service import studies
from tuner.service.paging import LONGEST_TOKEN
from tuner.service.studies import ValidStudy
from tuner.storage.study_list import StudyOrder
from tuner.strict import Strict, Tag, Text, without_nul
from tuner.trial import Trial

router = APIRouter(prefix="/v1/studies", tags=["studies"], route_class=JsonRoute)

LOCATION = {"Location": {"description": "The address of what was created.", "schema": {"type": "string"}}}
ETAG = {"ETag": {"description": "The version of the definition and state.", "schema": {"type": "string"}}}


class StudyQuery(Paging):
    """Which studies."""

    state: Annotated[
        Literal["active", "paused", "stopped", "completed"] | None, Field(description="Only those in this state.")
    ] = None
    text: Annotated[
        Annotated[str, AfterValidator(without_nul)] | None,
        Field(max_length=LONGEST_NAME, description="Only those whose name contains it."),
    ] = None
    tag: Annotated[
        Annotated[str, AfterValidator(without_nul)] | None,
        Field(max_length=LONGEST_TAG, description="Only those that have this tag."),
    ] = None
    sort: Annotated[
        StudyOrder,
        Field(
            description="In which order; a minus turns it round. `best`: studies of one goal together, of each the "
            "best value first. `progress`: by the share that is spent of that limit of the budget which is nearest. "
            "Studies without a best value, or without a limit, come last either way."
        ),
    ] = "-created"
    page_token: Annotated[str | None, Field(max_length=LONGEST_TOKEN, description=GO_ON)] = None


class StudyList(BaseModel):
    """A page of studies."""

    studies: list[Study]
    next_page_token: str | None


class StudyChanges(Strict):
    """What may be changed of a study. What is left out stays; what is given replaces the whole of it."""

    notes: Text = ""
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS, default_factory=list)]
    budget: Budget = Budget()


@router.post(
    "",
    operation_id="create_study",
    summary="Create a study",
    status_code=201,
    responses={
        201: {"headers": LOCATION},
        200: {"description": "The identical study exists", "model": Study, "headers": LOCATION},
        **documented(InvalidInput, KeyReused, MissingExtra, ObjectiveFailed, StudyExists, TooManyStudies, body=True),
    },
)
def create(
    definition: StudyRequest, database: OfDatabase, response: Response, key: RequestKey, quota: OfToken
) -> Study:
    """Create a study, or find the identical one: then the answer is 200.

    `"learning_rate": "range-test"` finds the range by a range test, which is charged to the study.
    """
    study, created = studies.create(database, definition, key, quota)
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/v1/studies/{study.address}"
    return study


@router.post(
    ":validate",
    operation_id="validate_study",
    summary="Say what would be created",
    responses=documented(InvalidInput, MissingExtra, ObjectiveFailed, StudyExists, body=True),
)
def validate(definition: StudyRequest, database: OfDatabase) -> ValidStudy:
    """What creating a study would store, with every default filled in; or what is wrong with it, field by field.

    Nothing is stored and no gradient is taken: what a range test would find, or whether the objective's gradient is
    right, is not known so.
    """
    return studies.validate(database, definition)


@router.get("", operation_id="list_studies", summary="List studies", responses=documented(InvalidInput))
def page(query: Annotated[StudyQuery, Query()], database: OfDatabase) -> StudyList:
    """Studies, the newest first where no other order is asked for, a page at a time."""
    found = studies.page(
        database,
        state=query.state,
        text=query.text,
        tag=query.tag,
        order=query.sort,
        page_size=query.page_size,
        page_token=query.page_token,
    )
    return StudyList(studies=found.studies, next_page_token=found.next_page_token)


@router.get(
    "/{study:segment}",
    operation_id="get_study",
    summary="Read a study",
    responses={200: {"headers": ETAG}, **documented(StudyNotFound)},
)
def get(study: StudyAddress, database: OfDatabase, response: Response) -> Study:
    """One study with its definition, counts of trials, spending and best trial."""
    found, version = studies.get(database, study)
    response.headers["ETag"] = f'"{version}"'
    return found


@router.patch(
    "/{study:segment}",
    operation_id="change_study",
    summary="Change notes, tags or budget",
    responses={
        200: {"headers": ETAG},
        **documented(InvalidInput, StudyNotFound, ReadOnlyStudy, StudyChanged, body=True),
    },
)
def change(
    study: StudyAddress,
    changes: StudyChanges,
    database: OfDatabase,
    response: Response,
    if_match: Annotated[str | None, Header(description="Change only this version, an ETag.")] = None,
) -> Study:
    """Change a study. A raised budget makes a completed study active again."""
    expected = None if if_match is None else _expected_version(database, study, if_match)
    given = changes.model_dump(mode="json", exclude_unset=True)
    changed, version = studies.change(database, study, given, expected_version=expected)
    response.headers["ETag"] = f'"{version}"'
    return changed


def _expected_version(database: OfDatabase, study: str, if_match: str) -> int | None:
    """The version that a change is for. The use case checks it once more, in its transaction."""
    if if_match.strip() == "*":
        return None
    _, version = studies.get(database, study)
    if str(version) not in re.findall(r'(?:W/)?"([^"]*)"', if_match):
        raise StudyChanged(f"study {study!r} has changed: it is at version {version}, not {if_match}")
    return version


@router.delete(
    "/{study:segment}",
    operation_id="delete_study",
    summary="Delete a study with its trials and curves",
    status_code=204,
    response_class=Response,
    responses=documented(StudyNotFound, ReadOnlyStudy),
)
def delete(study: StudyAddress, database: OfDatabase) -> None:
    """Delete a study with its trials and curves. There is no way back."""
    studies.delete(database, study)


@router.post(
    "/{study:segment}:pause",
    operation_id="pause_study",
    summary="Give out no more trials for now",
    responses=documented(StudyNotFound, ReadOnlyStudy, StudyState),
)
def pause(study: StudyAddress, database: OfDatabase) -> Study:
    """Give out no more trials until it is resumed; running ones finish."""
    return studies.pause(database, study)


@router.post(
    "/{study:segment}:resume",
    operation_id="resume_study",
    summary="Give out trials again",
    responses=documented(StudyNotFound, ReadOnlyStudy, StudyState),
)
def resume(study: StudyAddress, database: OfDatabase) -> Study:
    """Take up a paused or stopped study."""
    return studies.resume(database, study)


@router.post(
    "/{study:segment}:stop",
    operation_id="stop_study",
    summary="End a study",
    responses=documented(StudyNotFound, ReadOnlyStudy, StudyState),
)
def stop(study: StudyAddress, database: OfDatabase) -> Study:
    """End a study before its budget is spent; running trials finish and are kept."""
    return studies.stop(database, study)


@router.get(
    "/{study:segment}/best",
    operation_id="get_best_trial",
    summary="Read the best trial",
    responses=documented(StudyNotFound, NoResult, NoSingleBest),
)
def best(study: StudyAddress, database: OfDatabase) -> Trial:
    """The complete trial with the best finite value of the study's goal.

    Where the goal is the fewest steps to a target, that is the one that got there first; `objective_value` says at
    which step. Where it is a trade-off there is no best one: see `pareto`.
    """
    return studies.best(database, study)
