"""A definition, resolved: every name looked up in its registry, every default filled in.

The form of a definition is judged by ``tuner/definition.py``; here is judged what it names. What comes out is what is
stored and compared, so that a study means the same after a default changes.
"""

from collections.abc import Iterator

from tuner import objectives
from tuner.definition import LARGEST_STEPS, Choices, IntRange, Parameter, StudyDefinition
from tuner.descent import RULES
from tuner.errors import FieldError, InvalidInput, ObjectiveNotFound
from tuner.objectives import Objective, Stochastic, Validated
from tuner.search import resolve_sampler

LARGEST_RATE = 1e12


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
    sampler = resolve_sampler(definition.sampler, definition.search_space)
    return definition.model_copy(update={"objective": choice, "sampler": sampler})


def _check_registered(definition: StudyDefinition, objective: Objective) -> None:
    problems = [*_space_problems(definition, objective), *_goal_problems(definition, objective)]
    if problems:
        raise InvalidInput(*problems)


def _goal_problems(definition: StudyDefinition, objective: Objective) -> Iterator[FieldError]:
    goal = definition.goal
    field = f"goal.{goal.direction}"
    metrics = ["loss", "validation_loss"] if isinstance(objective, Validated) else ["loss"]
    if goal.metric not in metrics:
        yield FieldError(field, f"this objective measures {' and '.join(metrics)}, not {goal.metric!r}")
    elif goal.direction == "maximize":
        yield FieldError(field, "a loss is minimised")


def _space_problems(definition: StudyDefinition, objective: Objective) -> Iterator[FieldError]:
    space = definition.search_space
    for name in ("learning_rate", "steps"):
        if name not in space:
            yield FieldError(f"search_space.{name}", "is required with a registered objective")
    rules = _rules(definition)
    unknown_rules = [rule for rule in rules if rule not in RULES]
    if unknown_rules:
        yield FieldError("search_space.update_rule", f"{unknown_rules[0]!r} is none of {', '.join(RULES)}")
        return
    settings = {name: setting for rule in rules for name, setting in RULES[rule].settings.items()}
    for name, parameter in space.items():
        field = f"search_space.{name}"
        match name:
            case "learning_rate":
                yield from _outside(field, parameter, 0, LARGEST_RATE, open_below=True)
            case "steps":
                yield from _outside(field, parameter, 1, LARGEST_STEPS, whole=True)
            case "batch_size":
                if not isinstance(objective, Stochastic):
                    yield FieldError(field, "this objective has no mini-batches")
                yield from _outside(field, parameter, 1, LARGEST_STEPS, whole=True)
            case "update_rule":
                pass
            case _ if name in settings:
                yield from _outside(field, parameter, settings[name].low, settings[name].high)
            case _:
                known = ["learning_rate", "steps", "batch_size", "update_rule", *settings]
                yield FieldError(field, f"is no parameter of this descent; it has {', '.join(known)}")


def _rules(definition: StudyDefinition) -> list[str]:
    """The update rules that the study may use."""
    match definition.search_space.get("update_rule"):
        case None:
            return ["gradient_descent"]
        case Choices(choices=choices):
            return [str(choice) for choice in choices]
        case _:
            return ["a number"]


def _outside(
    field: str, parameter: Parameter, low: float, high: float, *, open_below: bool = False, whole: bool = False
) -> Iterator[FieldError]:
    """Whether a parameter's values leave the range that the descent can work with."""
    if isinstance(parameter, Choices):
        values = [("choices", choice) for choice in parameter.choices]
    else:
        values = [("low", parameter.low), ("high", parameter.high)]
        if whole and not isinstance(parameter, IntRange):
            yield FieldError(f"{field}.type", "must be int: it counts")
            return
    for end, value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or (whole and not isinstance(value, int)):
            yield FieldError(f"{field}.{end}", f"must be {'a whole number' if whole else 'a number'}, is {value!r}")
        elif value < low or (open_below and value <= low):
            yield FieldError(f"{field}.{end}", f"must be {'greater than' if open_below else 'at least'} {low:g}")
        elif value > high:
            yield FieldError(f"{field}.{end}", f"must be at most {high:g}")
