"""The samplers by name, and how a user's choice of one becomes complete.

To add a sampler, write its class (`Design`, `Learner` or `Planner`) and give it a line in `SAMPLERS`.
"""

import difflib
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType

from pydantic import ValidationError

from tuner.definition import SamplerChoice, StudyDefinition
from tuner.errors import InvalidInput, MissingExtra
from tuner.goal import Goal
from tuner.search.designs import GridDesign, QuasiRandomDesign, RandomDesign
from tuner.search.learners import CovarianceAdaptation, GaussianProcess, GeneticAlgorithm, TreeParzen
from tuner.search.sampler import Design, Learner, Planner, is_fixed
from tuner.search.trajectory.sampler import TrajectorySearch, further_dimensions
from tuner.space import FloatRange, SearchSpace

FALLBACK = "tpe"
"""The sampler where none is named, and no plan would hold."""

NARROWEST = 1e-9
"""The least width of a real range: relative to its larger end, on a log scale also in absolute terms."""


@dataclass(frozen=True)
class SamplerType:
    """A registered sampler: its name, and the model whose fields are its settings."""

    name: str
    settings: type[Design] | type[Learner] | type[Planner]

    @property
    def summary(self) -> str:
        """One line for people who choose."""
        return (self.settings.__doc__ or "").partition("\n")[0]

    @property
    def learns(self) -> bool:
        """Whether it looks at the trials so far; the history of one that does not may be left empty."""
        return issubclass(self.settings, Learner)

    @property
    def plans(self) -> bool:
        """Whether it follows rates by itself, instead of choosing points."""
        return issubclass(self.settings, Planner)

    @property
    def missing(self) -> str | None:
        """The extra that has to be installed first, or None."""
        package = self.settings.package
        return self.settings.extra if package is not None and find_spec(package) is None else None


SAMPLERS: Mapping[str, SamplerType] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            SamplerType("trajectory", TrajectorySearch),
            SamplerType("tpe", TreeParzen),
            SamplerType("cmaes", CovarianceAdaptation),
            SamplerType("random", RandomDesign),
            SamplerType("grid", GridDesign),
            SamplerType("qmc", QuasiRandomDesign),
            SamplerType("nsga2", GeneticAlgorithm),
            SamplerType("gp", GaussianProcess),
        )
    }
)


def default_sampler(definition: StudyDefinition) -> str:
    """The sampler of a study that names none.

    A trajectory search where its assumptions hold: the service runs the descents, and what is searched is a constant
    rate, a number of steps, and how to descend. By mini-batches of different sizes losses of a step are not comparable,
    whatever they cost. Who limits how many run at once, or gives settings of a sampler, means the fallback.
    """
    choice = definition.sampler
    if definition.objective is None or definition.budget.parallel_trials is not None:
        return FALLBACK
    if choice.settings or choice.batch_size is not None or "batch_size" in further_dimensions(definition.search_space):
        return FALLBACK
    try:
        TrajectorySearch().check(definition.search_space)
        TrajectorySearch().check_goal(definition.goal, definition.search_space)
    except InvalidInput:
        return FALLBACK
    return "trajectory"


def resolve_sampler(choice: SamplerChoice, search_space: SearchSpace, goal: Goal) -> SamplerChoice:
    """The choice with every default filled in: its name, its settings and its batch size.

    Raises:
        InvalidInput: at ``sampler.name`` (unknown, or not able to search this space or for this goal),
            ``sampler.settings.<field>``, or ``search_space.<name>.high`` (a range that is none in float64).
        MissingExtra: at ``sampler.name``, where it needs a package that is not installed.
    """
    sampler = sampler_of(choice)
    if goal.is_trade_off and not sampler.trades_off:
        able = ", ".join(name for name, kind in SAMPLERS.items() if kind.settings.trades_off)
        raise InvalidInput.at(
            "sampler.name", f"{choice.name} searches for one best trial, and a trade-off has none: choose {able}"
        )
    _check_widths(search_space)
    try:
        sampler.check(search_space)
        sampler.check_goal(goal, search_space)
    except InvalidInput as error:
        raise error.within("sampler") from None
    if isinstance(sampler, Planner) and choice.batch_size is not None:
        raise InvalidInput.at("sampler.batch_size", f"{choice.name} decides itself how many rates run at once")
    return choice.model_copy(
        update={
            "name": choice.name or FALLBACK,
            "settings": sampler.model_dump(by_alias=True),
            "batch_size": choice.batch_size or sampler.default_batch_size(search_space),
        }
    )


def _check_widths(space: SearchSpace) -> None:
    """Refuse ranges of a few neighbouring floats: the densities over them that tpe needs are not numbers."""
    for name, parameter in space.items():
        if isinstance(parameter, FloatRange) and not is_fixed(parameter):
            if parameter.scale == "log":
                low, high = math.log(parameter.low), math.log(parameter.high)
                size = max(abs(low), abs(high), 1.0)
            else:
                low, high = parameter.low, parameter.high
                size = max(abs(low), abs(high))
            if high - low < max(NARROWEST * size, sys.float_info.min):
                raise InvalidInput.at(
                    f"search_space.{name}.high", "is too close to low to be searched: low = high fixes it"
                )


def sampler_of(choice: SamplerChoice) -> Design | Learner | Planner:
    """The sampler that a choice names, with its settings.

    Raises:
        InvalidInput, MissingExtra: as `resolve_sampler`.
    """
    name = choice.name or FALLBACK
    kind = SAMPLERS.get(name)
    if kind is None:
        close = difflib.get_close_matches(name, SAMPLERS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InvalidInput.at("sampler.name", f"no sampler named {name!r}: choose {', '.join(SAMPLERS)}{hint}")
    if kind.missing is not None:
        raise MissingExtra.at("sampler.name", f"{kind.name} needs an extra: pip install 'tuner[{kind.missing}]'")
    try:
        return kind.settings.model_validate(choice.settings)
    except ValidationError as error:
        raise InvalidInput.from_validation(error.errors(), choice.settings).within("sampler.settings") from None


def planner_of(definition: StudyDefinition) -> Planner | None:
    """The planner that searches a study; None where a sampler chooses its points."""
    return None if definition.objective is None else _planner(definition.sampler)


def proposer_of(definition: StudyDefinition) -> Planner | None:
    """The planner that proposes rates to a study's clients; None where a sampler chooses its points."""
    return None if definition.objective is not None else _planner(definition.sampler)


def _planner(choice: SamplerChoice) -> Planner | None:
    if not plans(choice):
        return None
    sampler = sampler_of(choice)
    return sampler if isinstance(sampler, Planner) else None


def plans(choice: SamplerChoice) -> bool:
    """Whether a choice, right or wrong, names a planner."""
    kind = SAMPLERS.get(choice.name or FALLBACK)
    return kind is not None and kind.plans
