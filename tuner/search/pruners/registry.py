"""The pruners by name, and how a user's choice of one becomes complete.

To add a pruner, write its class (`RungPruner` or `ReportPruner`) and give it a line in `PRUNERS`.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import ValidationError

from tuner.definition import PrunerChoice
from tuner.errors import InvalidInput
from tuner.search.pruners.halving import Asha, Hyperband
from tuner.search.pruners.patience import Patient
from tuner.search.pruners.percentile import Median, Percentile
from tuner.search.pruners.pruner import Pruner
from tuner.search.pruners.threshold import Threshold
from tuner.space import SearchSpace


@dataclass(frozen=True)
class PrunerType:
    """A registered pruner: its name, and the model whose fields are its settings."""

    name: str
    settings: type[Pruner]

    @property
    def summary(self) -> str:
        """One line for people who choose."""
        return (self.settings.__doc__ or "").partition("\n")[0]


PRUNERS: Mapping[str, PrunerType] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            PrunerType("median", Median),
            PrunerType("percentile", Percentile),
            PrunerType("asha", Asha),
            PrunerType("hyperband", Hyperband),
            PrunerType("patient", Patient),
            PrunerType("threshold", Threshold),
        )
    }
)


def resolve_pruner(choice: PrunerChoice, search_space: SearchSpace) -> PrunerChoice:
    """The choice with every default filled in, those of a pruner within it too.

    Raises:
        InvalidInput: at ``pruner.name`` or ``pruner.settings.<field>``.
    """
    pruner = pruner_of(choice)
    try:
        pruner = pruner.fitted(search_space)
        if isinstance(pruner, Patient) and pruner.pruner is not None:
            pruner = pruner.model_copy(update={"pruner": _resolve_nested(pruner.pruner, search_space)})
    except InvalidInput as error:
        raise error.within("pruner") from None
    return choice.model_copy(update={"settings": pruner.settings()})


def _resolve_nested(choice: PrunerChoice, search_space: SearchSpace) -> PrunerChoice:
    try:
        if choice.name == "patient":
            raise InvalidInput.at("pruner.name", "patient within patient: set the patience of one")
        return resolve_pruner(choice, search_space)
    except InvalidInput as error:
        raise error.within("settings") from None


def pruner_of(choice: PrunerChoice) -> Pruner:
    """The pruner that a choice names, with its settings.

    Raises:
        InvalidInput: as `resolve_pruner`.
    """
    kind = PRUNERS.get(choice.name)
    if kind is None:
        close = difflib.get_close_matches(choice.name, PRUNERS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InvalidInput.at("pruner.name", f"no pruner named {choice.name!r}: choose {', '.join(PRUNERS)}{hint}")
    try:
        return kind.settings.model_validate(choice.settings)
    except ValidationError as error:
        raise InvalidInput.from_validation(error.errors(), choice.settings).within("pruner.settings") from None
