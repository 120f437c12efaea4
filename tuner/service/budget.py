"""What a study may still spend: pure arithmetic over its budget and its row.

The unit of cost is the gradient evaluation. A registered descent of n steps takes n + 1 of them, the last for the loss
at step n; a training client's n steps are n gradients. An ask reserves a trial's evaluations, its result settles them:
so parallel askers together never pass the limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuner.definition import Spent, StudyDefinition
from tuner.space import Choices, IntRange
from tuner.storage.studies import StudyRecord


@dataclass(frozen=True)
class Allowance:
    """What may be begun now: so many trials, of so many gradient evaluations together. None is no limit."""

    trials: int | None
    evaluations: int | None

    def after(self, evaluations: int) -> "Allowance | None":
        """What is left when one more trial of that cost is begun; None where it may not be."""
        if self.trials == 0 or (self.evaluations is not None and evaluations > self.evaluations):
            return None
        return Allowance(
            None if self.trials is None else self.trials - 1,
            None if self.evaluations is None else self.evaluations - evaluations,
        )


NOTHING = Allowance(0, 0)


def cost(definition: StudyDefinition, parameters: dict[str, Any]) -> int:
    """Gradient evaluations that a trial at this point takes, run to its last step."""
    steps = parameters.get("steps")
    if not isinstance(steps, int):
        return 0
    return cost_of_steps(definition, steps)


def cost_of_steps(definition: StudyDefinition, steps: int) -> int:
    """Gradient evaluations of a run of so many steps."""
    return steps + 1 if definition.objective is not None else steps


def allowance(definition: StudyDefinition, study: StudyRecord) -> Allowance:
    """What the budget still allows."""
    budget = definition.budget
    left = None if budget.trials is None else max(0, budget.trials - study.started_trials)
    evaluations = budget.gradient_evaluations
    if evaluations is not None:
        evaluations = max(0, evaluations - study.spent_evaluations - study.reserved_evaluations)
    return Allowance(left, evaluations)


def clip(definition: StudyDefinition, parameters: dict[str, Any], evaluations: int | None) -> dict[str, Any] | None:
    """The point with its steps shortened to what the evaluations allow; None where not even the fewest are left."""
    if evaluations is None or cost(definition, parameters) <= evaluations:
        return parameters
    affordable = evaluations - cost_of_steps(definition, 0)
    match definition.search_space["steps"]:
        case IntRange(low=low) if affordable >= low:
            return {**parameters, "steps": affordable}
        case Choices(choices=choices):
            fitting = [choice for choice in choices if isinstance(choice, int) and choice <= affordable]
            return {**parameters, "steps": max(fitting)} if fitting else None
        case _:
            return None


@dataclass(frozen=True)
class Stretch:
    """Steps of a descent that somebody wants: so many, after ``opening`` evaluations where it is not known yet."""

    steps: int
    opening: int


def shortened(stretches: Sequence[Stretch], evaluations: int | None) -> list[int]:
    """How many steps of each stretch the evaluations allow, those that matter most first; 0 where it is not to begin.

    All are shortened alike, to the same number of steps; what is then left over goes to the first, one step each. Who
    could not make a single step does not begin: the last ones first.
    """
    if evaluations is None:
        return [stretch.steps for stretch in stretches]
    begun = len(stretches)
    while begun and _cost(stretches[:begun], 1) > evaluations:
        begun -= 1
    low, high = 0, max((stretch.steps for stretch in stretches[:begun]), default=0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _cost(stretches[:begun], middle) <= evaluations else (low, middle - 1)
    left_over = evaluations - _cost(stretches[:begun], low)
    allowed = []
    for stretch in stretches[:begun]:
        further = int(stretch.steps > low and left_over > 0)
        allowed.append(min(stretch.steps, low) + further)
        left_over -= further
    return allowed + [0] * (len(stretches) - begun)


def _cost(stretches: Sequence[Stretch], steps: int) -> int:
    return sum(stretch.opening + min(stretch.steps, steps) for stretch in stretches)


def exhausted(definition: StudyDefinition, study: StudyRecord, moment: datetime) -> str | None:
    """Which limit is reached, in words; None while trials may still be started.

    Evaluations that running trials have reserved do not count here: a run that ends early gives the rest back.
    """
    budget = definition.budget
    if budget.trials is not None and study.started_trials >= budget.trials:
        return f"the budget of {budget.trials} trials is spent"
    ended = ends_all(definition, study, moment)
    if ended is not None:
        return ended
    if budget.gradient_evaluations is not None:
        left = budget.gradient_evaluations - study.spent_evaluations
        if left < least_cost(definition):
            return f"the budget of {budget.gradient_evaluations} gradient evaluations is spent"
    return None


def ends_all(definition: StudyDefinition, study: StudyRecord, moment: datetime) -> str | None:
    """Which limit is reached that also ends what has begun and could be followed further; None while none is."""
    budget = definition.budget
    if budget.failed_trials is not None and study.failed_trials >= budget.failed_trials:
        return f"{study.failed_trials} trials failed"
    if budget.seconds is not None and seconds(study, moment) >= budget.seconds:
        return f"the budget of {budget.seconds:g} seconds is spent"
    if budget.gradient_evaluations is not None and study.spent_evaluations >= budget.gradient_evaluations:
        return f"the budget of {budget.gradient_evaluations} gradient evaluations is spent"
    return None


def seconds(study: StudyRecord, moment: datetime) -> float:
    """Wall time since the first trial started, without the time in which the study was over."""
    if study.started_at is None:
        return 0.0
    return ((study.finished_at or moment) - study.started_at).total_seconds() - study.idle_seconds


def least_cost(definition: StudyDefinition) -> int:
    """Gradient evaluations of the cheapest trial of the search space."""
    match definition.search_space.get("steps"):
        case IntRange(low=low):
            return cost_of_steps(definition, low)
        case Choices(choices=choices):
            return cost_of_steps(definition, min(choice for choice in choices if isinstance(choice, int)))
        case _:
            return 1


def spent(study: StudyRecord, moment: datetime) -> Spent:
    """What the study has spent until that moment, as it is read."""
    return Spent(
        trials=study.started_trials,
        gradient_evaluations=study.spent_evaluations,
        seconds=seconds(study, moment),
        failed_trials=study.failed_trials,
    )
