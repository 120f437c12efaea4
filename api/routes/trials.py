"""Trials: read them, and leave one out of what counts."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from starlette.responses import JSONResponse

from api.body import JsonRoute
from api.problems import documented
from api.schemas import Paging
from api.serving import OfDatabase, StudyAddress, TrialNumber
from tuner.analysis.verdict import Name
from tuner.errors import InvalidInput, ReadOnlyStudy, StudyNotFound, TrialNotFound
from tuner.errors import TrialState as WrongState
from tuner.limits import LARGEST_CURVE
from tuner.service import attempts, listing, trials
from tuner.service import exclusion as excluding
from tuner.strict import Strict, without_nul
from tuner.trial import Attempt, Curve, Trial, TrialState

router = APIRouter(prefix="/v1/studies/{study:segment}", tags=["trials"], route_class=JsonRoute)


def _split(names: list[str]) -> list[str]:
    """Names of a trial's fields, each alone: they come repeated, with commas, or both."""
    separate = [name.strip() for some in names for name in some.split(",")]
    unknown = [name for name in separate if name not in Trial.model_fields]
    if unknown:
        raise PydanticCustomError(
            "unknown_fields",
            "{unknown}: no field of a trial; there are {known}",
            {"unknown": ", ".join(map(repr, unknown)), "known": ", ".join(Trial.model_fields)},
        )
    return separate


ChosenFields = Annotated[
    list[str] | None,
    AfterValidator(lambda names: None if names is None else _split(names)),
    Field(description="Only these fields of a trial, with commas or repeated; without it, all."),
]


class TrialQuery(Paging):
    """Which trials, and what of them."""

    state: Annotated[list[TrialState] | None, Field(description="Only those in this state; may be repeated.")] = None
    updated_after: Annotated[
        AwareDatetime | None,
        Field(
            description="Only those written after this time (RFC 3339, with its zone). Who polls passes the `as_of` of "
            "the first page of the walk before: nothing that was written during the walk is missed."
        ),
    ] = None
    fields: ChosenFields = None
    sort: Annotated[
        str | None,
        AfterValidator(without_nul),
        Field(
            max_length=200,
            description=f"The column to sort by: {', '.join(listing.COLUMNS)} or `{listing.PARAMETER}NAME`; with `-` "
            "in front the greatest first. What has no finite value comes last.",
        ),
    ] = None
    verdict: Annotated[list[Name] | None, Field(description="Only those of this verdict; may be repeated.")] = None
    excluded: Annotated[bool | None, Field(description="Only those that are excluded, or that are not.")] = None
    learning_rate_from: Annotated[
        float | None, Field(allow_inf_nan=False, description="Only those of at least this learning rate.")
    ] = None
    learning_rate_to: Annotated[
        float | None, Field(allow_inf_nan=False, description="Only those of at most this learning rate.")
    ] = None

    @property
    def in_columns(self) -> bool:
        """Whether something is asked for that is read from all trials as columns: see `tuner.service.listing`."""
        asked = (self.sort, self.verdict, self.excluded, self.learning_rate_from, self.learning_rate_to)
        return any(one is not None for one in asked)

    @property
    def wanted(self) -> listing.Wanted:
        """The filter."""
        return listing.Wanted(
            states=self.state,
            verdicts=self.verdict,
            excluded=self.excluded,
            rate_from=self.learning_rate_from,
            rate_to=self.learning_rate_to,
        )


def _optional(schema: dict[str, Any]) -> None:
    del schema["required"]


class ChosenTrial(Trial):
    """A trial, or what `fields` chose of it."""

    model_config = ConfigDict(json_schema_extra=_optional)


class TrialList(BaseModel):
    """A page of trials, by number. ``as_of`` is when the latest of them was written: see `updated_after`.

    ``total``: how many trials all pages have; null in a plain walk by number, which counts none.
    """

    trials: list[ChosenTrial]
    next_page_token: str | None
    as_of: AwareDatetime | None
    total: int | None


class FieldsQuery(BaseModel, extra="forbid"):
    """What of a trial."""

    fields: ChosenFields = None


class AttemptList(BaseModel):
    """The attempts at a trial, in order."""

    attempts: list[Attempt]


class Exclusion(Strict):
    """Whether a trial is excluded; false takes it back."""

    excluded: bool = True


EXCLUDED = Exclusion()


class Curves(BaseModel):
    """The curves of a trial by metric."""

    curves: dict[str, Curve]


class CurveQuery(BaseModel, extra="forbid"):
    """How finely to show a curve."""

    max_points: Annotated[
        int, Field(ge=10, le=LARGEST_CURVE, description="Points of each curve at most; extremes and ends are kept.")
    ] = 1000


@router.post(
    "/trials/{number:segment}:exclude",
    operation_id="exclude_trial",
    summary="Exclude a trial",
    responses=documented(InvalidInput, StudyNotFound, TrialNotFound, ReadOnlyStudy, WrongState, body=True),
)
def exclude(study: StudyAddress, number: TrialNumber, database: OfDatabase, exclusion: Exclusion = EXCLUDED) -> Trial:
    """Keep a finished trial, but out of `best` and of what the sampler learns from; or take that back."""
    return excluding.exclude(database, study, number, excluded=exclusion.excluded)


@router.get(
    "/trials",
    operation_id="list_trials",
    summary="List trials",
    response_model=TrialList,
    responses=documented(InvalidInput, StudyNotFound),
)
def page(study: StudyAddress, query: Annotated[TrialQuery, Query()], database: OfDatabase) -> Response:
    """Trials by number, or in the order of `sort`, a page at a time. Curves are read one by one.

    A list that is sorted, or filtered by more than the state, is as it is when its page is read: who walks it while
    trials are written may meet one twice or miss one. `updated_after` is for the walk by number.
    """
    found: trials.TrialPage
    if not query.in_columns:
        found = trials.page(
            database,
            study,
            states=query.state,
            updated_after=query.updated_after,
            page_size=query.page_size,
            page_token=query.page_token,
        )
    elif query.updated_after is not None:
        raise InvalidInput.at("updated_after", "goes with the plain walk by number: without sort and other filters")
    else:
        found = listing.listed(
            database,
            study,
            wanted=query.wanted,
            order=listing.BY_NUMBER if query.sort is None else listing.Order.parse(query.sort),
            page_size=query.page_size,
            page_token=query.page_token,
        )
    shown = _included(query.fields)
    document = {
        "trials": [trial.model_dump(mode="json", include=shown) for trial in found.trials],
        "next_page_token": found.next_page_token,
        # With a Z: a plus sign is a space to whoever passes it on in a query as it is.
        "as_of": None if found.as_of is None else found.as_of.isoformat().replace("+00:00", "Z"),
        "total": found.total if isinstance(found, listing.ListedTrials) else None,
    }
    return JSONResponse(document)


def _included(fields: list[str] | None) -> set[str]:
    return set(Trial.model_fields if fields is None else fields)


@router.get(
    "/trials/{number:segment}",
    operation_id="get_trial",
    summary="Read a trial",
    response_model=ChosenTrial,
    responses=documented(InvalidInput, StudyNotFound, TrialNotFound),
)
def get(
    study: StudyAddress, number: TrialNumber, query: Annotated[FieldsQuery, Query()], database: OfDatabase
) -> Response:
    """One trial."""
    trial = trials.get(database, study, number)
    return JSONResponse(trial.model_dump(mode="json", include=_included(query.fields)))


@router.get(
    "/trials/{number:segment}/attempts",
    operation_id="list_attempts",
    summary="List the attempts at a trial",
    responses=documented(StudyNotFound, TrialNotFound),
)
def list_attempts(study: StudyAddress, number: TrialNumber, database: OfDatabase) -> AttemptList:
    """Who ran a trial, when, and how each attempt ended."""
    return AttemptList(attempts=attempts.attempts(database, study, number))


@router.get(
    "/trials/{number:segment}/curve",
    operation_id="get_curve",
    summary="Read a trial's curves",
    responses=documented(InvalidInput, StudyNotFound, TrialNotFound),
)
def curve(
    study: StudyAddress, number: TrialNumber, query: Annotated[CurveQuery, Query()], database: OfDatabase
) -> Curves:
    """Each metric along the trial, shown by a few points. Those of the latest attempt."""
    return Curves(curves=trials.curve(database, study, number, max_points=query.max_points))
