"""How a descent moves, whatever its rate: what a trial's parameters say beside ``learning_rate`` and ``steps``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner.descent.rules import find_rule
from tuner.errors import FieldError, InvalidInput

DEFAULT_RULE = "gradient_descent"


@dataclass(frozen=True)
class Method:
    """An update rule, its settings (those left out are its defaults), and the size of a mini-batch, or None."""

    update_rule: str = DEFAULT_RULE
    settings: Mapping[str, float] = field(default_factory=dict)
    batch_size: int | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The same as a trial's parameters have it."""
        batches = {} if self.batch_size is None else {"batch_size": self.batch_size}
        return {"update_rule": self.update_rule, **self.settings, **batches}

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "Method":
        """What these parameters say, named as in a search space: ``update_rule``, ``momentum``, ``batch_size``, …

        Raises:
            InvalidInput: names each that the update rule does not have, or that is out of its bounds.
        """
        rule = find_rule(str(parameters.get("update_rule", DEFAULT_RULE)))
        own = {name: value for name, value in parameters.items() if name not in {"update_rule", "batch_size"}}
        problems = [
            FieldError(name, f"must be a number, is {value!r}")
            for name, value in own.items()
            if isinstance(value, bool) or not isinstance(value, int | float)
        ]
        batch_size = parameters.get("batch_size")
        if batch_size is not None and (isinstance(batch_size, bool) or not isinstance(batch_size, int)):
            problems.append(FieldError("batch_size", f"must be a whole number, is {batch_size!r}"))
        if not problems:
            problems = [
                FieldError(problem.field.removeprefix("settings."), problem.message) for problem in rule.problems(own)
            ]
        if problems:
            raise InvalidInput(*problems)
        return cls(rule.name, {name: float(value) for name, value in own.items()}, batch_size)

    @classmethod
    def of_trial(cls, parameters: Mapping[str, Any]) -> "Method":
        """What a trial's parameters say. A space of several update rules has settings of others: they are no part."""
        rule = find_rule(str(parameters.get("update_rule", DEFAULT_RULE)))
        known = {"update_rule", "batch_size", *rule.settings}
        return cls.of({name: value for name, value in parameters.items() if name in known})
