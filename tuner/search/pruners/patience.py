"""Patience: a trial that no longer improves, by its own curve, whatever others do."""

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from tuner.definition import PrunerChoice
from tuner.limits import LARGEST_FLOAT
from tuner.search.pruners.progress import Progress
from tuner.search.pruners.pruner import Pruner, StepCount, number


@dataclass(frozen=True)
class Reference:
    """The last improvement that counted: its value, smaller the better, and its step."""

    value: float
    step: int


class Patient(Pruner):
    """Stop what has not improved by min_delta for patience steps, and, where another pruner is given, it agrees.

    Improvement is what it is to Keras' ``EarlyStopping``: a value better than the last improvement by more than
    ``min_delta``. As in Optuna's ``PatientPruner``, another pruner's word counts once patience is over.
    """

    patience: Annotated[StepCount, Field(description="Steps without an improvement that a trial may take.")]
    min_delta: Annotated[
        float, Field(ge=0, le=LARGEST_FLOAT, description="What is better by no more than this is no improvement.")
    ] = 0.0
    pruner: Annotated[PrunerChoice | None, Field(description="Another pruner, with its name, that must agree.")] = None

    def improved(self, reference: Reference | None, progress: Progress) -> Reference | None:
        """The last improvement after a report: the one before it, or one of its points; None where none was finite."""
        value, step = (reference.value, reference.step) if reference is not None else (math.inf, -1)
        bests = progress.best_so_far
        if bests.size == 0 or not bests[-1] < value - self.min_delta:
            return reference
        for new, at in zip(bests.tolist(), progress.steps.tolist(), strict=True):
            if new < value - self.min_delta:
                value, step = new, at
        return Reference(value, step)

    def decide(self, reference: Reference | None, progress: Progress) -> str | None:
        """Why its patience is over, in words, or None. A trial without a finite value counts from step 0."""
        since = 0 if reference is None else reference.step
        if progress.upto - since < self.patience:
            return None
        better = f"better by more than {number(self.min_delta)}" if self.min_delta else "better"
        found = "no finite value" if reference is None else f"{number(progress.sign * reference.value)} at step {since}"
        return f"nothing {better} in {progress.upto - since} steps: {found}, now at step {progress.upto}"
