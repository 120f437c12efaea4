"""What several routes take: lists a page at a time, and text that the database can hold."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.serving import LARGEST_NUMBER
from tuner.limits import LARGEST_PAGE, LONGEST_REASON, LONGEST_WORKER_NAME
from tuner.strict import without_nul

Attempt = Annotated[int, Field(ge=1, le=LARGEST_NUMBER, description="Which lease of the trial this is about.")]
Number = Annotated[int, Field(ge=0, le=LARGEST_NUMBER, description="The trial's number.")]
WorkerName = Annotated[str, StringConstraints(max_length=LONGEST_WORKER_NAME), AfterValidator(without_nul)]
Reason = Annotated[str, StringConstraints(max_length=LONGEST_REASON), AfterValidator(without_nul)]


GO_ON = "Where to go on: the `next_page_token` of the page before."


class Paging(BaseModel):
    """Which page of a list. Query parameters are text, so types are not strict; names are."""

    model_config = ConfigDict(extra="forbid")

    page_size: Annotated[int, Field(ge=1, le=LARGEST_PAGE, description="How many at most.")] = 100
    page_token: Annotated[str | None, Field(max_length=20, description=GO_ON)] = None
