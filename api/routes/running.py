"""What training clients do with trials: enqueue, ask, report, tell, hold and give back leases."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field

from api.problems import Refused, documented, status_of_code
from api.routes.studies import LOCATION
from api.schemas import Attempt, Number, Reason, WorkerName
from api.serving import StudyAddress, TrialNumber, Writing
from api.writing import WritingRoute
from tuner.errors import (
    AlreadyTold,
    FieldError,
    InvalidInput,
    KeyReused,
    LeaseLost,
    ReadOnlyStudy,
    StudyNotFound,
    TooManyOpenTrials,
    TrialNotFound,
    TrialState,
)
from tuner.limits import LARGEST_BATCH, LARGEST_CLIENT_STEPS, LONGEST_LEASE, MOST_METRICS, MOST_POINTS
from tuner.service.ask import Ask
from tuner.service.leases import Release
from tuner.service.report import NewPoints, Report, Reported
from tuner.service.tell import Ending, Tell, TellMany
from tuner.service.trials import Enqueue
from tuner.strict import MetricName, Strict
from tuner.trial import Asked, Trial, WireFloat

router = APIRouter(prefix="/v1/studies/{study:segment}", tags=["trials"], route_class=WritingRoute)


class ChosenPoint(Strict):
    """A point to run: a value for each parameter of the search space."""

    parameters: dict[str, Any]


class AskRequest(Strict):
    """How many trials, for whom, and for how long."""

    count: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] = 1
    worker: Annotated[WorkerName | None, Field(description="Shown beside the trial.")] = None
    lease_seconds: Annotated[
        float, Field(ge=1, le=LONGEST_LEASE, description="After which an unrenewed trial is given to somebody else.")
    ] = 60


ONE_TRIAL = AskRequest()


class Result(Strict):
    """How one attempt at a trial ended. ``values`` are the metrics at its last step; not finite ones are strings."""

    attempt: Attempt
    state: Literal["complete", "failed", "pruned"]
    values: Annotated[dict[MetricName, WireFloat], Field(max_length=MOST_METRICS, default_factory=dict)]
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

    attempt: Attempt


class Points(Strict):
    """New points of a trial's curves, in columns: a metric's i-th value is the one after ``steps[i]`` updates.

    Steps come in any order; of a step that comes again the latest value counts. Null: not measured at that step.
    """

    attempt: Attempt
    steps: Annotated[
        list[Annotated[int, Field(ge=0, le=LARGEST_CLIENT_STEPS)]],
        Field(max_length=MOST_POINTS, description="Updates made, for each point; 0 is the start."),
    ]
    values: Annotated[dict[MetricName, list[WireFloat | None]], Field(max_length=MOST_METRICS)]

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


@router.post(
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


@router.post(
    "/trials:ask",
    operation_id="ask_trials",
    summary="Ask for trials to run",
    response_model=Asked,
    responses=documented(
        InvalidInput,
        KeyReused,
        StudyNotFound,
        ReadOnlyStudy,
        TooManyOpenTrials,
        body=True,
        refusals={503: ["draining"]},
    ),
)
async def ask(study: StudyAddress, write: Writing, request: AskRequest = ONE_TRIAL) -> Response:
    """Lease trials to run. None is an ordinary answer: the study's state says why, and when to ask again.

    A token that holds running trials already may be given fewer than it asks for; at its limit it is refused.
    """
    if write.service.draining.is_set():
        raise Refused(503, "draining", "The service is about to stop; ask again.", headers={"Retry-After": "1"})
    return _answer(await write(study, Ask(request.count, request.worker, request.lease_seconds, write.quota)))


@router.post(
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


@router.post(
    "/trials/{number:segment}:report",
    operation_id="report_trial",
    summary="Report the curves of a running trial",
    response_model=Reported,
    responses=documented(
        InvalidInput, KeyReused, StudyNotFound, TrialNotFound, ReadOnlyStudy, LeaseLost, TrialState, body=True
    ),
)
async def report(study: StudyAddress, number: TrialNumber, points: Points, write: Writing) -> Response:
    """Add points to a trial's curves, thousands at a time if you like; the lease begins anew. Says whether to go on."""
    return _answer(await write(study, points.report(number)))


@router.post(
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


@router.post(
    "/trials/{number:segment}:heartbeat",
    operation_id="renew_trial",
    summary="Renew a lease",
    response_model=Renewal,
    responses=documented(InvalidInput, StudyNotFound, TrialNotFound, ReadOnlyStudy, LeaseLost, TrialState, body=True),
)
async def heartbeat(study: StudyAddress, number: TrialNumber, held: HeldAttempt, write: Writing) -> Response:
    """Say that a trial is still being run: its lease begins anew."""
    renewed: Any = await write(study, Report(number, held.attempt))
    return _answer(Renewal(lease_expires_at=renewed.lease_expires_at))


@router.post(
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
