"""A trial's parameters, read as attributes and items: ``trial.learning_rate``, ``trial["weight-decay"]``."""

from collections.abc import Mapping
from typing import Any

ParameterValue = bool | int | float | str | None


class Parameterised:
    """Something with ``parameters``, whose names read like attributes of its own."""

    number: int
    parameters: Mapping[str, ParameterValue]

    @property
    def learning_rate(self) -> float:
        """The parameter of that name."""
        return float(self._named("learning_rate"))

    @property
    def steps(self) -> int:
        """The parameter of that name: how many updates to make."""
        return int(self._named("steps"))

    def __getitem__(self, name: str) -> Any:
        return self.parameters[name]

    def __getattr__(self, name: str) -> Any:
        # Where nothing is set yet (an object that is being copied), ``parameters`` is looked for here, too.
        if name.startswith("_") or name == "parameters":
            raise AttributeError(name)
        return self._named(name)

    def _named(self, name: str) -> Any:
        try:
            return self.parameters[name]
        except KeyError:
            raise AttributeError(f"trial {self.number} has no parameter {name!r}") from None
