"""What a user writes for a study's parameters, goal and budget, as the service's definition has it.

Only what Python's notation means is decided here. Whether a range or a name can be is the service's to judge: it knows
more, and its refusals name the field.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, SupportsFloat

from tuner.errors import InvalidInput

Spec = Any
"""(low, high) · `log` (low, high) · a list of choices · a fixed number, text or truth value · what a definition has."""

LIMITS = ("trials", "gradient_evaluations", "seconds", "parallel_trials", "failed_trials")
"""What a budget may limit."""


@dataclass(frozen=True)
class Log:
    """A range that is searched on a log scale; see `log`."""

    low: float
    high: float


def log(low: float, high: float) -> Log:
    """A range searched on a log scale: ``momentum_decay=log(1e-4, 1e-1)``. Bounds are values, not exponents."""
    return Log(low, high)


def parameter(name: str, spec: Spec) -> dict[str, Any]:
    """One parameter of a search space.

    ``learning_rate=(low, high)`` is real and on a log scale; ``steps=(low, high)`` counts. Any other pair is whole
    numbers where both ends are, real otherwise, on a linear scale.

    Raises:
        InvalidInput: at ``search_space.<name>``; it is none of what `Spec` says.
    """
    match spec:
        case Mapping():
            return dict(spec)
        case Log(low, high):
            return _range(name, low, high, "log")
        case tuple():
            if len(spec) != 2:
                raise _wrong(name, f"a range is (low, high), not {spec!r}; choices are a list")
            return _range(name, *spec, "log" if name == "learning_rate" else "linear")
        case list():
            return {"type": "categorical", "choices": [_plain(name, choice) for choice in spec]}
        case "range-test":
            raise _wrong(name, "run client.range_test here, where it is trained, and give its range")
        case bool() | str():
            return {"type": "categorical", "choices": [spec]}
        case Real():
            return _range(name, spec, spec, "linear")
        case _:
            raise _wrong(name, f"is {type(spec).__name__}: give (low, high), log(low, high), a list or a fixed value")


def _range(name: str, low: Any, high: Any, scale: str) -> dict[str, Any]:
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, Real):
            raise _wrong(name, f"the ends of a range are numbers, {end!r} is none; choices are a list")
    ends: list[float]
    # Whoever writes 5e3 steps means a count, as whoever writes 1 for a learning rate means 1.0.
    counts = all(isinstance(end, Integral) or (name == "steps" and float(end).is_integer()) for end in (low, high))
    ends = [int(low), int(high)] if counts and name != "learning_rate" else [float(low), float(high)]
    return {
        "type": "int" if isinstance(ends[0], int) else "float",
        "low": ends[0],
        "high": ends[1],
        "scale": scale,
    }


def _plain(name: str, choice: Any) -> bool | int | float | str:
    """A choice as JSON has it; numbers of NumPy and others become Python's."""
    if isinstance(choice, bool | str):
        return choice
    if isinstance(choice, Integral):
        return int(choice)
    if isinstance(choice, SupportsFloat):
        return float(choice)
    raise _wrong(name, f"a choice is a number, a text or a truth value, not {type(choice).__name__}")


def _wrong(name: str, message: str) -> InvalidInput:
    return InvalidInput.at(f"search_space.{name}", message)


def goal(spec: str | Mapping[str, Any]) -> dict[str, Any]:
    """A goal in words, as the definition has it.

    ``"minimize loss"`` · ``"maximize accuracy"`` · ``"minimize steps until loss is at most 0.01"``, where all between
    metric and number may be left out · ``"minimize steps until accuracy is at least 0.95"`` ·
    ``"minimize loss and steps"`` · ``"maximize accuracy and minimize steps"``; a comma is an ``and``.

    Raises:
        InvalidInput: at ``goal``.
    """
    if isinstance(spec, Mapping):
        return dict(spec)
    match spec.replace(",", " and ").split():
        case ["minimize" | "maximize" as direction, metric]:
            return {direction: metric}
        case ["minimize", "steps", "until", metric, *between, value] if " ".join(between) in _BETWEEN:
            target = _number(value)
            return {
                "minimize": "steps",
                "until": {metric: {"at_least": target} if between[-1:] == ["least"] else target},
            }
        case ["minimize", metric, "and", "steps"] | ["minimize", "steps", "and", metric]:
            return {"minimize": [metric, "steps"]}
        case ["maximize", metric, "and", "minimize", "steps"] | ["minimize", "steps", "and", "maximize", metric]:
            return {"maximize": metric, "minimize": "steps"}
    known = '"minimize loss", "maximize accuracy", "minimize steps until loss 0.01", "minimize loss and steps"'
    raise InvalidInput.at("goal", f"is none: {spec!r}; goals look like {known}")


_BETWEEN = {"", "is at most", "at most", "is at least", "at least"}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput.at("goal", f"{text!r} is no number to be reached") from None


def metric_of(goal: Mapping[str, Any]) -> str:
    """The metric that a goal of a definition is about: what trials report and tell."""
    if "until" in goal:
        return str(next(iter(goal["until"])))
    if isinstance(goal.get("minimize"), list):
        return str(next(name for name in goal["minimize"] if name != "steps"))
    return str(goal.get("maximize") or goal["minimize"])


def arrival(goal: Mapping[str, Any]) -> Callable[[float], bool]:
    """Whether a finite value of its metric is all that a goal of a definition wants; of most goals none is."""
    if "until" not in goal:
        return lambda _: False
    [target] = goal["until"].values()
    if isinstance(target, Mapping):
        return lambda value: value >= target["at_least"]
    return lambda value: bool(value <= target)


def choice(spec: str | Mapping[str, Any]) -> dict[str, Any]:
    """A sampler or a pruner: its name alone, or with its settings."""
    return {"name": spec} if isinstance(spec, str) else dict(spec)


def definition(
    name: str,
    parameters: Mapping[str, Spec],
    limits: Mapping[str, float | None],
    *,
    goal_spec: str | Mapping[str, Any] | None,
    sampler: str | Mapping[str, Any] | None,
    pruner: str | Mapping[str, Any] | None,
    stop_diverging: bool | None,
    notes: str | None,
    tags: Sequence[str] | None,
) -> dict[str, Any]:
    """The definition of an external study, with what was said and nothing else."""
    said: dict[str, Any] = {"name": name}
    if parameters:
        said["search_space"] = {key: parameter(key, spec) for key, spec in parameters.items()}
    if goal_spec is not None:
        said["goal"] = goal(goal_spec)
    if sampler is not None:
        said["sampler"] = choice(sampler)
    if pruner is not None:
        said["pruner"] = choice(pruner)
    if stop_diverging is not None:
        said["stop_diverging"] = stop_diverging
    budget = {limit: value for limit, value in limits.items() if value is not None}
    if budget:
        said["budget"] = budget
    if notes is not None:
        said["notes"] = notes
    if tags is not None:
        said["tags"] = list(tags)
    return said
