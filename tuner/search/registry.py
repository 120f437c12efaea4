"""The samplers by name, and how a user's choice of one becomes complete.

To add a sampler, write its class (`Design` or `Learner`) and give it a line in `SAMPLERS`.
"""

import difflib
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType

from pydantic import ValidationError

from tuner.definition import FloatRange, Goal, SamplerChoice, SearchSpace
from tuner.errors import InvalidInput, MissingExtra
from tuner.search.designs import GridDesign, QuasiRandomDesign, RandomDesign
from tuner.search.learners import CovarianceAdaptation, GaussianProcess, GeneticAlgorithm, TreeParzen
from tuner.search.sampler import Design, Learner, is_fixed

NARROWEST = 1e-9
"""The least width of a real range: relative to its larger end, on a log scale also in absolute terms."""


@dataclass(frozen=True)
class SamplerType:
    """A registered sampler: its name, and the model whose fields are its settings."""

    name: str
    settings: type[Design] | type[Learner]

    @property
    def summary(self) -> str:
        """One line for people who choose."""
        return (self.settings.__doc__ or "").partition("\n")[0]

    @property
    def learns(self) -> bool:
        """Whether it looks at the trials so far; the history of one that does not may be left empty."""
        return issubclass(self.settings, Learner)

    @property
    def missing(self) -> str | None:
        """The extra that has to be installed first, or None."""
        package = self.settings.package
        return self.settings.extra if package is not None and find_spec(package) is None else None


SAMPLERS: Mapping[str, SamplerType] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
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


def resolve_sampler(choice: SamplerChoice, search_space: SearchSpace, goal: Goal) -> SamplerChoice:
    """The choice with every default filled in: its settings and its batch size.

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
    except InvalidInput as error:
        raise error.within("sampler") from None
    return choice.model_copy(
        update={
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


def sampler_of(choice: SamplerChoice) -> Design | Learner:
    """The sampler that a choice names, with its settings.

    Raises:
        InvalidInput, MissingExtra: as `resolve_sampler`.
    """
    kind = SAMPLERS.get(choice.name)
    if kind is None:
        close = difflib.get_close_matches(choice.name, SAMPLERS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InvalidInput.at("sampler.name", f"no sampler named {choice.name!r}: choose {', '.join(SAMPLERS)}{hint}")
    if kind.missing is not None:
        raise MissingExtra.at("sampler.name", f"{kind.name} needs an extra: pip install 'tuner[{kind.missing}]'")
    try:
        return kind.settings.model_validate(choice.settings)
    except ValidationError as error:
        raise InvalidInput.from_validation(error.errors(), choice.settings).within("sampler.settings") from None
