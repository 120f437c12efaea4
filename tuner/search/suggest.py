"""A batch of points from a definition, a history and the numbers of the trials: the same three, the same points.

Random numbers come from the study's seed and the trial's number alone (``tuner/search/seeds.py``), whoever asks, in
whatever process, after whatever restart.
"""

from collections.abc import Sequence

from tuner.definition import StudyDefinition
from tuner.search.registry import sampler_of
from tuner.search.sampler import Design, History, Learner, Planner, Suggestion, Suggestions, plain
from tuner.search.sight import Trials
from tuner.search.trajectory.sampler import proposal_task

PLACE = "search:place"
"""The study's attribute that says how many points of a design that ends have been given out."""


def look(definition: StudyDefinition, trials: Trials) -> History:
    """What the definition's sampler may know of the study: as much of it as the sampler looks at.

    Raises:
        InvalidInput: as `suggest`.
    """
    match sampler_of(definition.sampler):
        case Design() | Planner():
            return History([], trials.system_attrs)
        case Learner() as learner:
            sight = learner.look(trials)
            return History(sight.trials, trials.system_attrs, sight.columns, sight.weights)


def suggest(definition: StudyDefinition, history: History, numbers: Sequence[int]) -> Suggestions:
    """Choose points for trials of these numbers.

    Each later one of the batch sees the earlier ones as running. ``history.trials`` is not looked at where the sampler
    does not learn (``SAMPLERS[name].learns``). A planner chooses points only for clients to train: of a registered
    objective it follows rates itself.

    Raises:
        InvalidInput: the definition's sampler is none, as in `resolve_sampler`.
    """
    match sampler_of(definition.sampler):
        case Design() as design:
            return _laid_out(design, definition, history, numbers)
        case Learner() as learner:
            return learner.choose(definition, history, numbers)
        case Planner() as planner:
            return _proposed(planner, definition, history, numbers)


def _proposed(planner: Planner, definition: StudyDefinition, history: History, numbers: Sequence[int]) -> Suggestions:
    if definition.objective is not None:
        return Suggestions([], {}, exhausted=False)
    proposals = planner.propose(proposal_task(definition), history.trained, len(numbers))
    points = [{"learning_rate": rate, "steps": steps, **definition.fixed_parameters} for rate, steps in proposals]
    return Suggestions([Suggestion(plain(definition.search_space, point), {}) for point in points], {}, exhausted=False)


def _laid_out(design: Design, definition: StudyDefinition, history: History, numbers: Sequence[int]) -> Suggestions:
    space, seed = definition.search_space, definition.sampler.seed
    size = design.size(space)
    if size is None:
        points = design.points(space, seed, numbers)
        return Suggestions([Suggestion(point, {}) for point in points], {}, exhausted=False)
    # By place and not by number: points that users enqueue take numbers too.
    first = int(history.system_attrs.get(PLACE, 0))
    after = min(first + len(numbers), size)
    points = design.points(space, seed, range(first, after))
    return Suggestions([Suggestion(point, {}) for point in points], {PLACE: after}, exhausted=after >= size)
