"""Thresholds: values that no trial should have."""

import math
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tuner.limits import LARGEST_FLOAT
from tuner.search.pruners.progress import Progress
from tuner.search.pruners.pruner import ReportPruner, Step, number

Limit = Annotated[float, Field(ge=-LARGEST_FLOAT, le=LARGEST_FLOAT)]


class Threshold(ReportPruner):
    """Stop a trial whose latest value is below lower, above upper, or no number at all.

    Before ``n_warmup_steps`` nothing is stopped.
    """

    lower: Annotated[Limit | None, Field(description="A value below it stops a trial.")] = None
    upper: Annotated[Limit | None, Field(description="A value above it stops a trial.")] = None
    n_warmup_steps: Annotated[Step, Field(description="Steps before which none is stopped.")] = 0

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.lower is None and self.upper is None:
            raise _about("upper", "give lower, upper or both")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise _about("lower", f"must not be greater than upper ({self.lower:g} > {self.upper:g})")
        return self

    def decide(self, progress: Progress) -> str | None:
        """Look at the value of the highest step, unless the report only filled in earlier ones."""
        if progress.steps.size == 0 or progress.steps[-1] < max(progress.after, self.n_warmup_steps):
            return None
        value, step = float(progress.values[-1]), int(progress.steps[-1])
        if math.isnan(value):
            return f"not a number at step {step}"
        if self.upper is not None and value > self.upper:
            return f"above {number(self.upper)} at step {step}: {number(value)}"
        if self.lower is not None and value < self.lower:
            return f"below {number(self.lower)} at step {step}: {number(value)}"
        return None


def _about(field: str, message: str) -> PydanticCustomError:
    return PydanticCustomError("value_error", "{message}", {"message": message, "field": field})
