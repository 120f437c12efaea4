"""A study whole, as a table and as a document: sent as it is read, page by page."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.responses import StreamingResponse

from api.problems import documented
from api.serving import OfDatabase, StudyAddress
from tuner.errors import InvalidInput, StudyNotFound
from tuner.service import export

router = APIRouter(prefix="/v1/studies/{study:segment}", tags=["studies"])


@router.get(
    "/trials.csv",
    operation_id="get_trials_table",
    summary="Download the trials as CSV",
    response_class=Response,
    responses={
        200: {"description": "A row a trial", "content": {"text/csv": {"schema": {"type": "string"}}}},
        **documented(StudyNotFound),
    },
)
def table(study: StudyAddress, database: OfDatabase) -> Response:
    """One row a trial, by number (RFC 4180, UTF-8), with a column for each parameter and each value.

    Numbers that are not finite are `NaN`, `Infinity` and `-Infinity`; text that a spreadsheet would take for a formula
    gets an apostrophe in front. A trial is as it was when its page of 1,000 was read.
    """
    return _download(export.as_table(database, study), "text/csv", f"{study.lstrip('~')}.csv")


@router.get(
    "/export",
    operation_id="export_study",
    summary="Download the study as JSON",
    response_class=Response,
    responses={
        200: {
            "description": "The study, format `tuner.study/1`",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **documented(InvalidInput, StudyNotFound),
    },
)
def document(
    study: StudyAddress,
    database: OfDatabase,
    curves: Annotated[bool, Query(description="Whether the trials' curves are in it, whole.")] = True,
) -> Response:
    """The study with its definition, its trials, their attempts, and the curves of their latest attempts.

    `{"format": "tuner.study/1", "exported_at", "study": {…}, "trials": [{…, "attempts": […], "curves": {"loss":
    {"steps": […], "values": […]}}}]}`: the parts are those that their own addresses answer. A trial is as it was when
    its page of 1,000 was read.
    """
    pieces = export.as_document(database, study, with_curves=curves)
    return _download(pieces, "application/json", f"{study.lstrip('~')}.json")


def _download(pieces: Iterator[bytes], media_type: str, filename: str) -> StreamingResponse:
    return StreamingResponse(
        pieces, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{filename}"'}
    )
