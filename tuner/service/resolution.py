"""A definition, resolved: every name looked up in its registry, every default filled in.

The form of a definition is judged by ``tuner/definition.py``; here is judged what it names. What comes out is what is
stored and compared, so that a study means the same after a default changes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tuner import objectives
from tuner.definition import StudyDefinition, StudyRequest
from tuner.descent import RULES, RuleSetting
from tuner.errors import FieldError, InvalidInput, ObjectiveNotFound
from tuner.goal import STEPS
from tuner.limits import LARGEST_CLIENT_STEPS, LARGEST_RATE, LARGEST_STEPS
from tuner.objectives import Objective, Stochastic, Validated
from tuner.search import default_sampler, plans, resolve_sampler
from tuner.search.pruners import resolve_pruner
from tuner.search.sampler import is_fixed
from tuner.service import budget
from tuner.service.range_tests import FoundRange, RangeTestPlan, find_range, plan_of
from tuner.space import Choices, IntRange, Parameter


@dataclass(frozen=True)
class Domain:
    """The values of a parameter that a descent can work with, and how to say so."""

    allows: Callable[[float], bool]
    message: str
    whole: bool = False


RATES = Domain(lambda rate: 0 < rate <= LARGEST_RATE, f"must be greater than 0 and at most {LARGEST_RATE:g}")
COUNTS = Domain(
    lambda count: 1 <= count <= LARGEST_STEPS, f"must be at least 1 and at most {LARGEST_STEPS}", whole=True
)
CLIENT_STEPS = Domain(
    lambda count: 1 <= count <= LARGEST_CLIENT_STEPS,
    f"must be at least 1 and at most {LARGEST_CLIENT_STEPS}",
    whole=True,
)


def resolve_request(request: StudyDefinition | StudyRequest) -> tuple[StudyDefinition, FoundRange | None]:
    """The definition that was asked for, resolved, and what a range test found for it, if one was to.

    Raises:
        InvalidInput: as `judge`, and where the range test gives no range.
        ObjectiveFailed: the objective raised or answered wrong shapes.
    """
    definition, plan = judge(request)
    if plan is None:
        return definition, None
    found = find_range(definition, plan)
    return definition.with_learning_rate(found.low, found.high), found


def judge(request: StudyDefinition | StudyRequest) -> tuple[StudyDefinition, RangeTestPlan | None]:
    """What was asked for, resolved before a gradient is spent, and the range test that is to find its learning rate.

    Until that is run the learning rate's range is the one to be tested.

    Raises:
        InvalidInput: as `resolve`, and where no range test can be run or the budget does not afford it.
    """
    if isinstance(request, StudyDefinition):
        return resolve(request), None
    tested = request.tested
    if tested is None:
        return resolve(request.definition), None
    if request.objective is None:
        raise InvalidInput.at(
            "search_space.learning_rate", "can be left to a range test only where the objective is registered"
        )
    plan = plan_of(tested)
    definition = resolve(request.with_learning_rate(plan.low, max(plan.low, plan.high)))
    limit = definition.budget.gradient_evaluations
    if limit is not None and limit < plan.steps + 1 + budget.least_cost(definition):
        raise InvalidInput.at(
            "budget.gradient_evaluations",
            f"does not afford the range test, which may take {plan.steps + 1}, and one trial",
        )
    return definition, plan


def resolve(definition: StudyDefinition) -> StudyDefinition:
    """The definition with every default filled in.

    Raises:
        InvalidInput: names each field that no registry knows or that does not fit the objective.
    """
    choice = definition.objective
    if choice is not None:
        try:
            settings = objectives.resolve_settings(choice.name, choice.settings)
            objective = objectives.create(choice.name, settings)
        except ObjectiveNotFound as error:
            raise InvalidInput.at("objective.name", str(error)) from None
        except InvalidInput as error:
            raise error.within("objective") from None
        _check_registered(definition, objective)
        choice = choice.model_copy(update={"settings": settings})
    elif plans(definition.sampler):
        problems = list(_proposed_problems(definition))
        if problems:
            raise InvalidInput(*problems)
    elif "steps" in definition.search_space:
        # A client's parameters are its own affair, but steps are what its gradient evaluations are counted by.
        problems = list(_outside("search_space.steps", definition.search_space["steps"], CLIENT_STEPS))
        if problems:
            raise InvalidInput(*problems)
    name = definition.sampler.name or default_sampler(definition)
    definition = definition.model_copy(update={"sampler": definition.sampler.model_copy(update={"name": name})})
    check_budget(definition)
    sampler = resolve_sampler(definition.sampler, definition.search_space, definition.goal)
    pruner = definition.pruner and resolve_pruner(definition.pruner, definition.search_space)
    return definition.model_copy(update={"objective": choice, "sampler": sampler, "pruner": pruner})


def check_budget(definition: StudyDefinition) -> None:
    """Check that a budget has to do with what is searched, and how.

    Raises:
        InvalidInput: no trial would spend any of the gradient evaluations, they do not afford a single one, or a
            planner's rates are not to run at once.
    """
    if definition.objective is not None and plans(definition.sampler) and definition.budget.parallel_trials is not None:
        name = definition.sampler.name
        raise InvalidInput.at(
            "budget.parallel_trials", f"is nothing for {name}: one worker follows as many rates at once as pay"
        )
    field, limit = "budget.gradient_evaluations", definition.budget.gradient_evaluations
    if limit is None:
        return
    if "steps" not in definition.search_space:
        raise InvalidInput.at(field, "is counted by steps, and the search space has none: limit the trials instead")
    least = budget.least_cost(definition)
    if limit < least:
        raise InvalidInput.at(field, f"does not afford one trial: the cheapest takes {least}")


def _check_registered(definition: StudyDefinition, objective: Objective) -> None:
    problems = [*_space_problems(definition, objective), *_goal_problems(definition, objective)]
    if definition.pruner is not None:
        # Workers descend many rates at once; which report comes first would decide which trials there are.
        problems.append(
            FieldError("pruner", "is for external studies: what it stops depends on timing, these trials must not")
        )
    if problems:
        raise InvalidInput(*problems)


def _proposed_problems(definition: StudyDefinition) -> Iterator[FieldError]:
    """What of a study without objective its planner cannot propose rates for."""
    name = definition.sampler.name
    for parameter, domain in (("learning_rate", RATES), ("steps", CLIENT_STEPS)):
        if parameter in definition.search_space:
            yield from _outside(f"search_space.{parameter}", definition.search_space[parameter], domain)
        else:
            yield FieldError(f"search_space.{parameter}", f"is required: it is what {name} searches")
    for parameter, searched in definition.search_space.items():
        if parameter not in {"learning_rate", "steps"} and not is_fixed(searched):
            yield FieldError(
                f"search_space.{parameter}", f"{name} proposes learning rates and steps: fix it, or choose tpe"
            )
    if definition.goal.is_trade_off:
        yield FieldError(
            "goal", f"{name} proposes rates for one metric, with until or without: choose tpe for a trade-off"
        )


def _goal_problems(definition: StudyDefinition, objective: Objective) -> Iterator[FieldError]:
    goal = definition.goal
    field = f"goal.{goal.field}"
    metrics = ["loss", "validation_loss"] if isinstance(objective, Validated) else ["loss"]
    if goal.metric == STEPS:
        yield FieldError("goal.until", f'is missing: {{"minimize": "{STEPS}", "until": {{"loss": 0.01}}}}')
    elif goal.metric not in metrics:
        yield FieldError(field, f"this objective measures {' and '.join(metrics)}, not {goal.metric!r}")
    elif goal.direction == "maximize":
        yield FieldError(field, "a loss is minimised" if goal.target is None else "a loss is to fall: give the number")


def _space_problems(definition: StudyDefinition, objective: Objective) -> Iterator[FieldError]:
    space = definition.search_space
    for name in ("learning_rate", "steps"):
        if name not in space:
            yield FieldError(f"search_space.{name}", "is required with a registered objective")
    rules = _rules(definition)
    unknown = [rule for rule in rules if rule not in RULES]
    if unknown:
        yield FieldError("search_space.update_rule", f"{unknown[0]!r} is none of {', '.join(RULES)}")
        return
    domains = {
        "learning_rate": RATES,
        "steps": COUNTS,
        "batch_size": COUNTS,
        **{name: _of(setting) for rule in rules for name, setting in RULES[rule].settings.items()},
    }
    for name, parameter in space.items():
        field = f"search_space.{name}"
        if name in domains:
            yield from _outside(field, parameter, domains[name])
        elif name != "update_rule":
            known = ", ".join([*domains, "update_rule"])
            yield FieldError(field, f"is no parameter of this descent; it has {known}")
    if "batch_size" in space and not isinstance(objective, Stochastic):
        yield FieldError("search_space.batch_size", "this objective has no mini-batches")


def _rules(definition: StudyDefinition) -> list[str]:
    """The update rules that the study may use."""
    match definition.search_space.get("update_rule"):
        case None:
            return ["gradient_descent"]
        case Choices(choices=choices):
            return [str(choice) for choice in choices]
        case _:
            return ["a number"]


def _of(setting: RuleSetting) -> Domain:
    return Domain(setting.allows, f"must be at least {setting.low:g} and below {setting.high:g}")


def _outside(field: str, parameter: Parameter, domain: Domain) -> Iterator[FieldError]:
    """What of a parameter's range the descent cannot work with."""
    if isinstance(parameter, Choices):
        values = [("choices", choice) for choice in parameter.choices]
    elif domain.whole and not isinstance(parameter, IntRange):
        yield FieldError(f"{field}.type", "must be int: it counts")
        return
    else:
        values = [("low", parameter.low), ("high", parameter.high)]
    kind = int if domain.whole else int | float
    for end, value in values:
        if isinstance(value, bool) or not isinstance(value, kind):
            yield FieldError(f"{field}.{end}", f"must be a {'whole ' if domain.whole else ''}number, is {value!r}")
        elif not domain.allows(value):
            yield FieldError(f"{field}.{end}", f"{domain.message}, is {value!r}")
