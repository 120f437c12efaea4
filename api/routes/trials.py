"""Trials: enqueue, ask, tell, hold and give back leases, read."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from starlette.responses import JSONResponse

from api.body import JsonRoute
from api.problems import Refused, documented, status_of_code
from api.routes.studies import LOCATION
from api.schemas import Attempt as AttemptNumber
from api.schemas import Number, Paging, Reason, WorkerName
from api.serving import OfDatabase, StudyAddress, TrialNumber, Writing
from api.writing import WritingRoute
from tuner.definition import LARGEST_BATCH, LARGEST_CLIENT_STEPS, MetricName, Strict
from tuner.errors import (
    AlreadyTold,
    FieldError,
    InvalidInput,
    KeyReused,
    LeaseLost,
    ReadOnlyStudy,
    StudyNotFound,
    TrialNotFound,
)
from tuner.errors import TrialState as WrongState
from tuner.service import attempts, trials
from tuner.service import exclusion as excluding
from tuner.service.ask import Ask
from tuner.service.leases import Release
from tuner.service.report import NewPoints, Report, Reported
from tuner.service.tell import Ending, Tell, TellMany
from tuner.service.trials import Enqueue
from tuner.trial import Asked, Attempt, Curve, Trial, TrialState, WireFloat

PREFIX = "/v1/studies/{study:segment}"

router = APIRouter(prefix=PREFIX, tags=["trials"], route_class=JsonRoute)

writes = APIRouter(prefix=PREFIX, tags=["trials"], route_class=WritingRoute)
"""What is written through `Writer`."""


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


def _optional(schema: dict[str, Any]) -> None:
    del schema["required"]


class ChosenTrial(Trial):
    """A trial, or what `fields` chose of it."""

    model_config = ConfigDict(json_schema_extra=_optional)


class TrialList(BaseModel):
    """A page of trials, by number. ``as_of`` is when the latest of them was written: see `updated_after`."""

    trials: list[ChosenTrial]
    next_page_token: str | None
    as_of: AwareDatetime | None


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


class ChosenPoint(Strict):
    """A point to run: a value for each parameter of the search space."""

    parameters: dict[str, Any]


class AskRequest(Strict):
    """How many trials, for whom, and for how long."""

    count: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] = 1
    worker: Annotated[WorkerName | None, Field(description="Shown beside the trial.")] = None
    lease_seconds: Annotated[
        float, Field(ge=1, le=86_400, description="After which an unrenewed trial is given to somebody else.")
    ] = 60


ONE_TRIAL = AskRequest()

MOST_POINTS = 100_000
"""Points in one report, over all its columns."""


class Result(Strict):
    """How one attempt at a trial ended. ``values`` are the metrics at its last step; not finite ones are strings."""

    attempt: AttemptNumber
    state: Literal["complete", "failed", "pruned"]
    values: Annotated[dict[MetricName, WireFloat], Field(max_length=100, default_factory=dict)]
    reason: Annotated[Reason | None, Field(description="Why it failed or was pruned, in words.")] = None

    def ending(self, number: int) -> Ending:
        """The result of the trial of that number."""
        return Ending(number=number, attempt=self.attempt, state=self.state, values=self.values, reason=self.reason)


class NumberedResult(Result):
    """The result of one of several trials."""

    number: Number


class Results(Strict):
    """The results of several trials."""

    results: Annotated[list[NumberedResult], Field(min_length=1, max_length=LARGEST_BATCH)]


class Judgement(BaseModel):
    """What became of one result: the status and code that it would have been answered with alone."""

    number: int
    status: int
    code: str | None = Field(description="Why it was refused; null where it was taken.")
    detail: str | None


class Judgements(BaseModel):
    """What became of each result, in the order of the request."""

    results: list[Judgement]


class HeldAttempt(Strict):
    """The lease that a request is about."""

    attempt: AttemptNumber


class Points(Strict):
    """New points of a trial's curves, in columns: a metric's i-th value is the one after ``steps[i]`` updates.

    Steps come in any order; of a step that comes again the latest value counts. Null: not measured at that step.
    """

    attempt: AttemptNumber
    steps: Annotated[
        list[Annotated[int, Field(ge=0, le=LARGEST_CLIENT_STEPS)]],
        Field(max_length=MOST_POINTS, description="Updates made, for each point; 0 is the start."),
    ]
    values: Annotated[dict[MetricName, list[WireFloat | None]], Field(max_length=100)]

    def report(self, number: int) -> Report:
        """The report on the trial of that number.

        Raises:
            InvalidInput: a column has another length than the steps, or there are too many points.
        """
        if len(self.steps) * len(self.values) > MOST_POINTS:
            raise InvalidInput.at("values", f"more than {MOST_POINTS} points: send them in several reports")
        wrong = [
            FieldError(f"values.{metric}", f"has {len(column)} values for {len(self.steps)} steps")
            for metric, column in self.values.items()
            if len(column) != len(self.steps)
        ]
        if wrong:
            raise InvalidInput(*wrong)
        columns = [_points(metric, self.steps, column) for metric, column in self.values.items()]
        return Report(number, self.attempt, columns)


def _points(metric: str, steps: list[int], column: list[float | None]) -> NewPoints:
    measured = [(step, value) for step, value in zip(steps, column, strict=True) if value is not None]
    if len(measured) == len(steps):
        return NewPoints(metric, steps, column)
    return NewPoints(metric, [step for step, _ in measured], [value for _, value in measured])


class Renewal(BaseModel):
    """A renewed lease."""

    lease_expires_at: AwareDatetime


class Curves(BaseModel):
    """The curves of a trial by metric."""

    curves: dict[str, Curve]


class CurveQuery(BaseModel, extra="forbid"):
    """How finely to show a curve."""

    max_points: Annotated[
        int, Field(ge=10, le=100_000, description="Points of each curve at most; extremes and ends are kept.")
    ] = 1000


@writes.post(
    "/trials",
    operation_id="enqueue_trial",
    summary="Enqueue a chosen point",
    status_code=201,
    response_model=Trial,
    responses={
        201: {"headers": LOCATION},
        **documented(InvalidInput, KeyReused, StudyNotFound, ReadOnlyStudy, body=True),
    },
)
async def enqueue(study: StudyAddress, point: ChosenPoint, write: Writing) -> Response:
    """Add a point of your own. It waits until somebody asks, and counts against the budget from then on."""
    trial: Any = await write(study, Enqueue(point.parameters))
    return _answer(trial, 201, Location=f"/v1/studies/{study}/trials/{trial.number}")


@writes.post(
    "/trials:ask",
    operation_id="ask_trials",
    summary="Ask for trials to run",
    response_model=Asked,
    responses=documented(InvalidInput, KeyReused, StudyNotFound, ReadOnlyStudy, body=True),
)
async def ask(study: StudyAddress, write: Writing, request: AskRequest = ONE_TRIAL) -> Response:
    """Lease trials to run. None is an ordinary answer: the study's state says why, and when to ask again."""
    if write.service.draining.is_set():
        raise Refused(503, "draining", "The service is about to stop; ask again.", headers={"Retry-After": "1"})
    return _answer(await write(study, Ask(request.count, request.worker, request.lease_seconds)))


@writes.post(
    "/trials:tell",
    operation_id="tell_trials",
    summary="Tell the results of several trials",
    response_model=Judgements,
    responses=documented(InvalidInput, KeyReused, StudyNotFound, ReadOnlyStudy, body=True),
)
async def tell_many(study: StudyAddress, told: Results, write: Writing) -> Response:
    """Tell several results at once. Each is judged on its own: the answer is 200 even where some are refused."""
    endings = [result.ending(result.number) for result in told.results]
    judged: Any = await write(study, TellMany(endings))
    return _answer(
        Judgements(
            results=[
                Judgement(number=one.number, status=status_of_code(one.code), code=one.code, detail=one.detail)
                for one in judged.results
            ]
        )
    )


@writes.post(
    "/trials/{number:segment}:report",
    operation_id="report_trial",
    summary="Report the curves of a running trial",
    response_model=Reported,
    responses=documented(
        InvalidInput, KeyReused, StudyNotFound, TrialNotFound, ReadOnlyStudy, LeaseLost, WrongState, body=True
    ),
)
async def report(study: StudyAddress, number: TrialNumber, points: Points, write: Writing) -> Response:
    """Add points to a trial's curves, thousands at a time if you like; the lease begins anew. Says whether to go on."""
    return _answer(await write(study, points.report(number)))


@writes.post(
    "/trials/{number:segment}:tell",
    operation_id="tell_trial",
    summary="Tell the result of a trial",
    response_model=Trial,
    responses=documented(
        InvalidInput, KeyReused, StudyNotFound, TrialNotFound, ReadOnlyStudy, LeaseLost, AlreadyTold, body=True
    ),
)
async def tell(study: StudyAddress, number: TrialNumber, result: Result, write: Writing) -> Response:
    """Settle a trial, exactly once. The identical result again is 200; another is 409 `already_told`."""
    return _answer(await write(study, Tell(result.ending(number))))


@writes.post(
    "/trials/{number:segment}:heartbeat",
    operation_id="renew_trial",
    summary="Renew a lease",
    response_model=Renewal,
    responses=documented(InvalidInput, StudyNotFound, TrialNotFound, ReadOnlyStudy, LeaseLost, WrongState, body=True),
)
async def heartbeat(study: StudyAddress, number: TrialNumber, held: HeldAttempt, write: Writing) -> Response:
    """Say that a trial is still being run: its lease begins anew."""
    renewed: Any = await write(study, Report(number, held.attempt))
    return _answer(Renewal(lease_expires_at=renewed.lease_expires_at))


@writes.post(
    "/trials/{number:segment}:release",
    operation_id="release_trial",
    summary="Give a trial back",
    response_model=Trial,
    responses=documented(InvalidInput, StudyNotFound, TrialNotFound, ReadOnlyStudy, LeaseLost, body=True),
)
async def release(study: StudyAddress, number: TrialNumber, held: HeldAttempt, write: Writing) -> Response:
    """Give a running trial back, to be run by somebody else, without charging it a lost lease."""
    return _answer(await write(study, Release(number, held.attempt)))


def _answer(document: BaseModel, status: int = 200, **headers: str) -> Response:
    """A document as it is: what we made ourselves need not be validated again."""
    return Response(document.model_dump_json(), status, headers, media_type="application/json")


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
    """Trials by number, a page at a time. Curves are read one by one."""
    found = trials.page(
        database,
        study,
        states=query.state,
        updated_after=query.updated_after,
        page_size=query.page_size,
        page_token=query.page_token,
    )
    shown = _included(query.fields)
    document = {
        "trials": [trial.model_dump(mode="json", include=shown) for trial in found.trials],
        "next_page_token": found.next_page_token,
        # With a Z: a plus sign is a space to whoever passes it on in a query as it is.
        "as_of": None if found.as_of is None else found.as_of.isoformat().replace("+00:00", "Z"),
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
