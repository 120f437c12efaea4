"""The form for a new study: what the registries offer as its fields, and the server as the judge of what is written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from api.dashboard.fields import Field, fields
from api.dashboard.rendering import render
from api.routes.objectives import RegisteredObjective, everything
from api.serving import OfDatabase
from tuner.descent import RULES
from tuner.limits import LARGEST_BATCH, LONGEST_NAME
from tuner.search import SAMPLERS
from tuner.search.pruners import PRUNERS
from tuner.search.pruners.registry import PrunerType
from tuner.search.registry import SamplerType
from tuner.service import studies
from tuner.service.range_tests import RangeTestPlan

router = APIRouter(include_in_schema=False)

FIRST = "line_fit"
"""The objective that the form begins with, where nobody asks for another."""


def _settings(kinds: Iterable[SamplerType | PrunerType]) -> Mapping[str, list[Field]]:
    return {kind.name: list(fields(kind.settings.model_json_schema())) for kind in kinds}


SAMPLER_SETTINGS, PRUNER_SETTINGS = _settings(SAMPLERS.values()), _settings(PRUNERS.values())
"""The settings of each, by name."""


@dataclass(frozen=True)
class Offered:
    """An objective to choose, its settings as fields, and a name that no study has for one of it."""

    objective: RegisteredObjective
    settings: list[Field]
    name: str

    @property
    def metrics(self) -> list[str]:
        """What a goal may name; settings may add to it."""
        return self.objective.defaults.metrics if self.objective.defaults else ["loss"]


@router.get("/new")
def new_study_page(
    request: Request, database: OfDatabase, objective: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None
) -> HTMLResponse:
    """The form. ``objective`` chooses one; empty, the reader's own training."""
    known = everything()
    unused = studies.unused_names(database, [one.name for one in known])
    offered = [Offered(one, list(fields(one.settings)), unused[one.name]) for one in known]
    names = [one.objective.name for one in offered]
    chosen = FIRST if objective is None and FIRST in names else objective or ""
    return render(
        "new_study.html",
        offered=offered,
        chosen=chosen if chosen in names else "",
        samplers=SAMPLERS.values(),
        sampler_settings=SAMPLER_SETTINGS,
        pruners=PRUNERS.values(),
        pruner_settings=PRUNER_SETTINGS,
        rules=RULES.values(),
        largest_batch=LARGEST_BATCH,
        test=RangeTestPlan(),
        service=str(request.base_url).rstrip("/"),
        signed_in=hasattr(request.state, "bearer"),
    )
