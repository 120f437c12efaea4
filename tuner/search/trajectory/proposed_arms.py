"""The arms of a race, as tpe proposes them: combinations of further dimensions like those that do well."""

from collections.abc import Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from tuner.definition import SamplerChoice, StudyDefinition
from tuner.descent import RULES
from tuner.search.learners import TreeParzen
from tuner.search.sampler import History, along
from tuner.search.trajectory.arms import Tried
from tuner.search.trajectory.requests import Arm, Task
from tuner.storage.frozen import distributions
from tuner.trial import ParameterValue

TOLD = 6
"""Arms whose places tpe is told, at the least; before there are so many they are drawn at random."""


def propose_arm(task: Task, number: int, tried: Sequence[Tried]) -> Arm:
    """The arm of a proposal's number, by tpe, which is told the places of arms that have got to the same rung.

    It is the furthest rung that `TOLD` arms have got to: what they come to late counts more than what they begin with.
    """
    space = dict(task.further)
    rung = max((rung for rung in _rungs(tried) if len(_at(tried, rung)) >= TOLD), default=0)
    compared = _at(tried, rung)
    places = {one.arm: place for place, one in enumerate(sorted(compared, key=lambda one: one.worths[rung]))}
    trials = [
        FrozenTrial(
            number=earlier,
            trial_id=earlier,
            state=TrialState.COMPLETE,
            value=float(places[one.arm]),
            datetime_start=None,
            datetime_complete=None,
            params=dict(one.arm),
            distributions=distributions(space),
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        for earlier, one in enumerate(compared)
    ]
    arms = StudyDefinition(name="arms", search_space=space, sampler=SamplerChoice(seed=task.seed))
    [found] = TreeParzen(n_startup_trials=TOLD).choose(arms, History(trials, {}), [number]).trials
    return _as_one(task, found.parameters)


def _as_one(task: Task, point: Mapping[str, ParameterValue]) -> Arm:
    """The arm of a point. Points that differ in settings that their update rule does not have are one arm."""
    rule = RULES.get(str(point.get("update_rule")))
    if rule is None:
        return tuple(point.items())
    others = {name for other in RULES.values() for name in other.settings} - rule.settings.keys()
    return tuple((name, along(task.further[name])(0.0) if name in others else value) for name, value in point.items())


def _rungs(tried: Sequence[Tried]) -> range:
    return range(max((len(one.worths) for one in tried), default=0))


def _at(tried: Sequence[Tried], rung: int) -> list[Tried]:
    """Those that have got to a rung."""
    return [one for one in tried if len(one.worths) > rung]
