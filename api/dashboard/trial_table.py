"""The table of a study's trials: what the address says of its filter, order and columns, and links that change one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from api.dashboard.format import opening, words
from tuner.analysis.verdict import Name
from tuner.definition import Study
from tuner.service.listing import PARAMETER, RATE, ListedTrials, Order, Wanted
from tuner.space import Choices
from tuner.strict import without_nul
from tuner.trial import Trial, TrialState

TRIALS_A_PAGE = 50

MOST_PARAMETERS = 6
"""Of a study's parameters, how many have a column where nobody has chosen any."""

NEWEST_FIRST = "-number"

_IfGiven = BeforeValidator(lambda given: given or None)
"""A field of a form that was left empty says nothing."""

_Rate = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, _IfGiven]


class TableQuery(BaseModel):
    """What a page with a table of trials is asked for; names are those of the public API."""

    sort: Annotated[str, AfterValidator(without_nul), Field(max_length=200)] = NEWEST_FIRST
    state: Annotated[TrialState | None, _IfGiven] = None
    verdict: Annotated[Name | None, _IfGiven] = None
    excluded: Annotated[bool | None, _IfGiven] = None
    learning_rate_from: _Rate = None
    learning_rate_to: _Rate = None
    columns: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=200)] = []
    page_token: Annotated[str | None, Field(max_length=20)] = None

    @property
    def wanted(self) -> Wanted:
        """The filter."""
        return Wanted(
            states=None if self.state is None else [self.state],
            verdicts=None if self.verdict is None else [self.verdict],
            excluded=self.excluded,
            rate_from=self.learning_rate_from,
            rate_to=self.learning_rate_to,
        )

    @property
    def filtered(self) -> bool:
        """Whether some trials may be left out."""
        return self.wanted != Wanted()


@dataclass(frozen=True)
class Column:
    """A column: its name in addresses, its heading, whether it is of numbers, how a first click sorts by it."""

    name: str
    label: str
    figures: bool
    first: Order | None = None

    @property
    def parameter(self) -> str | None:
        """The parameter that it shows."""
        return self.name.removeprefix(PARAMETER) if self.name.startswith(PARAMETER) else None

    @property
    def metric(self) -> str | None:
        """The metric that it shows, of those that are not the goal's."""
        return self.name.removeprefix(METRIC) if self.name.startswith(METRIC) else None


METRIC = "values."


@dataclass(frozen=True)
class TrialTable:
    """A page of the table, with all that its template says."""

    study: Study
    query: TableQuery
    page: ListedTrials
    columns: list[Column]
    available: list[Column]

    @property
    def trials(self) -> list[Trial]:
        """Its rows."""
        return self.page.trials

    @property
    def order(self) -> Order:
        """How they are sorted."""
        return Order.parse(self.query.sort)

    @property
    def has_rates(self) -> bool:
        """Whether there is a learning rate to filter by."""
        return any(column.parameter == RATE for column in self.available)

    @property
    def first(self) -> int:
        """The place of the first row, from 1."""
        return self.page.start + 1

    @property
    def last(self) -> int:
        """The place of the last row."""
        return self.page.start + len(self.page.trials)

    @property
    def previous(self) -> str | None:
        """The address of the page before."""
        start = self.page.start
        return None if not start else self.address(page_token=str(max(0, start - TRIALS_A_PAGE)))

    @property
    def next(self) -> str | None:
        """The address of the page after."""
        token = self.page.next_page_token
        return None if token is None else self.address(page_token=token)

    @property
    def everything(self) -> str:
        """The address of the table without a filter."""
        return self.address(
            page_token=None,
            state=None,
            verdict=None,
            excluded=None,
            learning_rate_from=None,
            learning_rate_to=None,
        )

    def sorted_by(self, column: Column) -> str:
        """The address of the table sorted by a column: as a first click does, and then the other way round."""
        assert column.first is not None  # noqa: S101 (the template asks)
        same = self.order == column.first
        order = replace(column.first, descending=not column.first.descending) if same else column.first
        return self.address(sort=str(order), page_token=None)

    def address(self, **changes: Any) -> str:
        """The address of the study's page with the table as it is, but for these changes."""
        asked = self.query.model_dump(mode="json", exclude_defaults=True) | changes
        if asked.get("page_token") == "0":
            del asked["page_token"]
        pairs = [(name, value) for name, value in asked.items() if value is not None]
        query = urlencode(pairs, doseq=True)
        return f"/studies/{self.study.address}{'?' if query else ''}{query}#trials"


def columns_of(study: Study, trials: Iterable[Trial], chosen: list[str]) -> tuple[list[Column], list[Column]]:
    """The columns to show, and all that there are for these trials of a study."""
    definition = study.definition
    trials = list(trials)
    space = {} if definition is None else definition.search_space
    goal = None if definition is None else definition.goal
    used = dict.fromkeys([*space, *(name for trial in trials for name in trial.parameters)])
    told = dict.fromkeys(name for trial in trials for name in trial.values or {})
    fixed = {} if definition is None else definition.fixed_parameters
    parameters = [_of_parameter(name, space.get(name), trials) for name in used]
    if goal is None:
        value = Column("value", "Value" if len(told) < 2 else "Values", figures=True, first=Order("value"))
    else:
        label = "Steps to target" if goal.target is not None else opening(words(goal.metric))
        rising = goal.target is None and goal.direction == "maximize"
        value = Column("value", label, figures=True, first=Order("value", descending=rising))
    metrics = [
        Column(METRIC + name, opening(words(name)), figures=True)
        for name in told
        if goal is not None and (goal.target is not None or name != goal.metric)
    ]
    state = Column("state", "Outcome", figures=False, first=Order("state"))
    verdict = Column("verdict", "Verdict", figures=False, first=Order("verdict"))
    others = [
        Column("steps_run", "Steps run", figures=True, first=Order("steps_run", descending=True)),
        Column(
            "gradient_evaluations",
            "Gradient evaluations",
            figures=True,
            first=Order("gradient_evaluations", descending=True),
        ),
        Column("duration", "Took", figures=True),
        Column("finished_at", "Finished", figures=False, first=Order("finished_at", descending=True)),
        Column("worker", "Worker", figures=False),
    ]
    available = [*parameters, value, *metrics, state, verdict, *others]
    shown = [column for column in available if column.name in chosen]
    searched = [column for column in parameters if column.parameter not in fixed] or parameters
    judged = [] if definition is None else [verdict]  # An Optuna program's trials have none.
    return shown or [*searched[:MOST_PARAMETERS], value, state, *judged], available


def _of_parameter(name: str, searched: Any, trials: list[Trial]) -> Column:
    values = [trial.parameters.get(name) for trial in trials]
    numbers = (
        any(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        if searched is None
        else not isinstance(searched, Choices)
    )
    order = Order(PARAMETER + name) if numbers else None
    return Column(PARAMETER + name, opening(words(name)), figures=numbers, first=order)
