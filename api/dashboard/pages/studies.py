"""Every study: found by name, state and tag, and steered from its row."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, BaseModel
from starlette.responses import HTMLResponse, Response

from api.dashboard.assets import compressed
from api.dashboard.figures.sparkline import sparkline
from api.dashboard.format import number as readable
from api.dashboard.rendering import render
from api.serving import OfDatabase
from tuner.definition import Study
from tuner.limits import LONGEST_NAME, LONGEST_TAG
from tuner.service import events, points, studies
from tuner.service.paging import LONGEST_TOKEN
from tuner.storage.database import Database
from tuner.storage.study_list import StudyOrder
from tuner.strict import without_nul

router = APIRouter(include_in_schema=False)

STUDIES_A_PAGE = 50

TUTORIAL = """{
  "name": "line-fit",
  "objective": {"name": "line_fit"},
  "search_space": {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
    "steps": {"type": "int", "low": 1, "high": 200}
  },
  "budget": {"trials": 100}
}"""
"""The first study that anybody makes."""


Column = Literal["created", "name", "best", "progress"]

TURNS: Mapping[Column, tuple[StudyOrder, StudyOrder]] = {
    "created": ("-created", "created"),
    "name": ("name", "-name"),
    "best": ("best", "-best"),
    "progress": ("-progress", "progress"),
}
"""How the page is sorted by a column: first the usual way, then the other way round."""

SAID: Mapping[StudyOrder, str] = {
    "best": "Best value first; studies of one goal stand together. Those without a single best come last.",
    "-best": "Weakest best value first; studies of one goal stand together. Those without a single best come last.",
    "progress": "Least spent first. Studies without a limit come last.",
    "-progress": "Most spent first. Studies without a limit come last.",
}
"""What an order means, where that is not plain to see."""


class Wanted(BaseModel):
    """Which studies the page shows: what its address says. An empty field of its form says nothing."""

    text: Annotated[str, Query(max_length=LONGEST_NAME), AfterValidator(without_nul)] = ""
    state: Literal["", "active", "paused", "stopped", "completed"] = ""
    tag: Annotated[str, Query(max_length=LONGEST_TAG), AfterValidator(without_nul)] = ""
    sort: StudyOrder = "-created"
    page_token: Annotated[str | None, Query(max_length=LONGEST_TOKEN)] = None

    @property
    def narrowed(self) -> bool:
        """Whether some studies are left out."""
        return bool(self.text or self.state or self.tag)

    def address(self, path: str = "/", **changes: str | None) -> str:
        """The address of the page with these changes, from its first page on where they do not say otherwise."""
        fields = {**self.model_dump(exclude={"page_token"}), **changes}
        said = {name: value for name, value in fields.items() if value and (name, value) != ("sort", "-created")}
        return f"{path}?{urlencode(said)}" if said else path

    @property
    def order(self) -> str:
        """What the page is sorted by, in words; empty where that is plain to see."""
        return SAID.get(self.sort, "")

    def sorted_by(self, column: Column) -> str | None:
        """How a column is sorted, in ARIA's words; None where the page is sorted by another."""
        if self.sort not in TURNS[column]:
            return None
        # The best of one goal is its smallest value, of another its largest.
        return "other" if column == "best" else "descending" if self.sort.startswith("-") else "ascending"

    def turned(self, column: Column) -> str:
        """The address of the page sorted by a column; where it is that the usual way, the other way round."""
        usual, other = TURNS[column]
        return self.address(sort=other if self.sort == usual else usual)


@router.get("/")
def studies_page(wanted: Annotated[Wanted, Query()], database: OfDatabase, request: Request) -> HTMLResponse:
    """A page of them."""
    # Before the studies are read, so that the page misses nothing that happens after.
    number = events.present(database)
    return _rendered("studies.html", wanted, database, request, number=number)


@router.get("/live")
def live(wanted: Annotated[Wanted, Query()], database: OfDatabase, request: Request) -> Response:
    """The same studies, for a page that is open."""
    fragment = _rendered("studies_regions.html", wanted, database, request)
    # It is fetched every second while trials run, and its rows are much alike.
    return compressed(request, bytes(fragment.body), fragment.headers["content-type"])


class Course(NamedTuple):
    """The best so far as a line, and in words."""

    path: str
    words: str


def _course(study: Study, improvements: Sequence[tuple[int, float]]) -> Course | None:
    path = sparkline(improvements, sum(study.trials.values()))
    if path is None:
        return None
    (_, first), (number, best) = improvements[0], improvements[-1]
    return Course(path, f"From {readable(first)} to {readable(best)}, by trial {number}")


def _rendered(
    template: str, wanted: Wanted, database: Database, request: Request, *, number: int | None = None
) -> HTMLResponse:
    page = studies.page(
        database,
        state=wanted.state or None,
        text=wanted.text or None,
        tag=wanted.tag or None,
        order=wanted.sort,
        page_size=STUDIES_A_PAGE,
        page_token=wanted.page_token,
    )
    improvements = points.improvements_of(database, [study.address for study in page.studies])
    return render(
        template,
        page=page,
        courses={study.address: _course(study, improvements.get(study.address, [])) for study in page.studies},
        wanted=wanted,
        number=number,
        tutorial=TUTORIAL,
        service=str(request.base_url).rstrip("/"),
        signed_in=hasattr(request.state, "bearer"),
    )
