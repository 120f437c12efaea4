"""Trajectory search as a sampler: what it can search, and a study's definition as its task."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from tuner.definition import StudyDefinition
from tuner.errors import FieldError, InvalidInput
from tuner.goal import Goal
from tuner.search.sampler import Planner, is_fixed
from tuner.search.trajectory.arms import race
from tuner.search.trajectory.planner import plan
from tuner.search.trajectory.proposals import hopeless, propose
from tuner.search.trajectory.proposed_arms import propose_arm
from tuner.search.trajectory.requests import Plan, Task
from tuner.search.trajectory.trained import Trained
from tuner.space import Choices, FloatRange, IntRange, Parameter, SearchSpace


class TrajectorySearch(Planner):
    """Follows rates from their measured limit down, continues the promising ones, and drops the others early."""

    trades_off: ClassVar[bool] = True

    def check(self, space: SearchSpace) -> None:
        """Refuse what is no search for a constant rate and a number of steps, whatever else is searched."""
        problems = []
        if not _is(space.get("learning_rate"), FloatRange):
            problems.append(FieldError("name", "trajectory searches a learning_rate of type float"))
        if not _is(space.get("steps"), IntRange):
            problems.append(FieldError("name", "trajectory searches steps of type int"))
        if problems:
            raise InvalidInput(*problems)

    def check_goal(self, goal: Goal, space: SearchSpace) -> None:
        """Refuse to look for the fewest steps where the fewest are not searched: rates are followed no longer.

        And for a front over further dimensions: arms are raced for one best.
        """
        if goal.target is not None and _bounds(space["steps"])[0] > 1:
            raise InvalidInput.at(
                "name", "trajectory finds the fewest steps from 1 on: let steps begin there, or choose tpe"
            )
        further = further_dimensions(space)
        if goal.is_trade_off and further:
            raise InvalidInput.at(
                "name", f"trajectory trades off rates and steps alone: fix {' and '.join(further)}, or choose nsga2"
            )

    def plan(self, task: Task) -> Plan:
        """The requests of a search."""
        return race(task, partial(propose_arm, task)) if task.further else plan(task)

    def propose(self, task: Task, trained: Sequence[Trained], count: int) -> list[tuple[float, int]]:
        """So many rates for clients to train, each with its steps."""
        return propose(task, trained, count)

    def hopeless(self, task: Task, trained: Sequence[Trained], number: int) -> str | None:
        """Why a trial under way is not worth going on with, in words; None where it is."""
        return hopeless(task, trained, number)


def task_of(definition: StudyDefinition, *, probes: bool) -> Task:
    """What a study's plan is to search, with what means; ``probes`` says whether the curvature can be measured."""
    space = definition.search_space
    rates, steps = _bounds(space["learning_rate"]), _bounds(space["steps"])
    return Task(
        low=float(rates[0]),
        high=float(rates[1]),
        fewest_steps=int(steps[0]),
        most_steps=int(steps[1]),
        evaluations=definition.budget.gradient_evaluations,
        trials=definition.budget.trials,
        target=definition.goal.target,
        front=definition.goal.is_trade_off,
        probes=probes,
        further=further_dimensions(space),
        seed=definition.sampler.seed,
    )


def proposal_task(definition: StudyDefinition) -> Task:
    """What clients are to search: as `task_of`, of values that are smaller the better, whatever the goal."""
    task = task_of(definition, probes=False)
    if task.target is not None and definition.goal.direction == "maximize":
        return replace(task, target=-task.target)
    return task


def further_dimensions(space: SearchSpace) -> SearchSpace:
    """What is searched beside rate and steps."""
    return {
        name: parameter
        for name, parameter in space.items()
        if name not in {"learning_rate", "steps"} and not is_fixed(parameter)
    }


def _is(parameter: Parameter | None, kind: type[FloatRange] | type[IntRange]) -> bool:
    return parameter is not None and (isinstance(parameter, kind) or is_fixed(parameter))


def _bounds(parameter: Parameter) -> tuple[float, float]:
    if isinstance(parameter, Choices):
        [choice] = parameter.choices
        assert isinstance(choice, int | float)  # noqa: S101 (a rate and a step count are numbers)
        return choice, choice
    return parameter.low, parameter.high
