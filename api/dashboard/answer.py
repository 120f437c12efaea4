"""What a study found, in the forms in which people carry it away: as parameters, as JSON, as a line of Python."""

import json
import keyword
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuner.definition import Study
from tuner.trial import ParameterValue, Trial, encode_float


@dataclass(frozen=True)
class Answer:
    """The best trial, and the parameters to train with."""

    trial: Trial
    parameters: Mapping[str, ParameterValue]

    @property
    def json(self) -> str:
        """The parameters as strict JSON."""
        encoded = {
            name: encode_float(value) if isinstance(value, float) else value for name, value in self.parameters.items()
        }
        return json.dumps(encoded, ensure_ascii=False)

    @property
    def python(self) -> str:
        """A line of Python: an assignment to the names, or to a dictionary where one of them is no name to Python."""
        values = [_literal(value) for value in self.parameters.values()]
        if all(name.isidentifier() and not keyword.iskeyword(name) for name in self.parameters):
            return f"{', '.join(self.parameters)} = {', '.join(values)}"
        pairs = ", ".join(f"{name!r}: {value}" for name, value in zip(self.parameters, values, strict=True))
        return f"parameters = {{{pairs}}}"


def answer_of(study: Study) -> Answer | None:
    """The study's answer, where it has a single one. Of the fewest steps to a target, the steps are those it took."""
    best = study.best
    if best is None or not best.parameters:
        return None
    parameters = dict(best.parameters)
    to_target = study.definition is not None and study.definition.goal.target is not None
    if to_target and best.objective_value is not None and "steps" in parameters:
        parameters["steps"] = int(best.objective_value)
    return Answer(best, parameters)


def _literal(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)
