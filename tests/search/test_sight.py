"""What learners look at: little of a long study, and enough of it."""

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import default_weights
from optuna.trial import FrozenTrial, TrialState

from tests.search.loop import define, descent_loss, run, trial
from tuner.definition import StudyDefinition
from tuner.search import History, Suggestions, look, suggest
from tuner.search.learners import MOST_RUNNING, GaussianProcess, TreeParzen
from tuner.search.seeds import trial_seed
from tuner.search.sight import Listed, spread
from tuner.search.tree_parzen import rising_weights
from tuner.storage.frozen import distributions


class TestASpread:
    @pytest.mark.parametrize("next_number", [0, 1, 7, 8])
    def test_is_all_while_all_are_few(self, next_number: int) -> None:
        assert list(spread(next_number, 8)) == list(range(next_number))

    @pytest.mark.parametrize("next_number", [9, 100, 513, 4097, 100_000, 2_000_000])
    @pytest.mark.parametrize("most", [8, 512])
    def test_has_one_of_each_block_of_a_power_of_two(self, next_number: int, most: int) -> None:
        block = 2 ** max(0, math.ceil(math.log2(next_number / most)))
        numbers = np.array(spread(next_number, most))
        whole = next_number // block
        assert (numbers // block)[:whole].tolist() == list(range(whole))
        assert whole <= len(numbers) <= min(most, whole + 1)
        assert numbers[-1] < next_number

    def test_of_a_longer_study_is_part_of_that_of_the_shorter_one(self) -> None:
        before: set[int] = set()
        for next_number in range(1, 3000):
            numbers = set(spread(next_number, 16))
            assert {number for number in numbers if number < next_number - 1} <= before
            before = numbers

    @pytest.mark.parametrize("workers", [2, 3, 4, 8])
    def test_has_no_rhythm(self, workers: int) -> None:
        counts = np.bincount(np.array(spread(100_000, 512)) % workers, minlength=workers)
        # Of a binomial distribution, five standard deviations.
        share = 1 / workers
        assert np.abs(counts - counts.sum() * share).max() < 5 * math.sqrt(counts.sum() * share * (1 - share))


def random_study(definition: StudyDefinition, size: int, seed: int = 0) -> list[FrozenTrial]:
    """Trials at random points, in all states, some with equal values or the worst there is."""
    worst = math.inf if definition.goal.direction == "minimize" else -math.inf
    draw = random.Random(seed)
    points = suggest(define("random", seed=seed), History([], {}), range(size)).trials
    found = []
    for number, point in enumerate(points):
        state = draw.choices(list(TrialState), [2, 8, 1, 1, 0.3])[0]
        value = draw.choice([worst, 1.0, draw.random(), draw.random()]) if state == TrialState.COMPLETE else None
        found.append(trial(definition, number, point, value, state))
    return found


class TestTreeParzen:
    @pytest.mark.parametrize("direction", ["minimize", "maximize"])
    def test_sees_every_good_trial_of_a_long_study_and_few_others(self, direction: str) -> None:
        definition = define("tpe", direction=direction)
        trials = random_study(definition, 5000)
        shown = look(definition, Listed(trials, {}, direction)).trials
        assert [one.number for one in shown] == sorted({one.number for one in shown})
        assert len(shown) <= TreeParzen.spread + TreeParzen.best + TreeParzen.latest + MOST_RUNNING
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        assert {one.state for one in shown} == set(states)
        sign = 1 if direction == "minimize" else -1
        values = sorted(sign * one.value for one in trials if one.value is not None and math.isfinite(one.value))
        assert sorted(sign * one.value for one in shown if one.value is not None)[:25] == values[:25]
        on_spread = {number for number in spread(5000, TreeParzen.spread) if trials[number].state in states}
        assert on_spread <= {one.number for one in shown}

    @pytest.mark.parametrize("multivariate", [True, False])
    def test_chooses_what_optuna_does_while_the_study_is_no_longer_than_its_sight(self, multivariate: bool) -> None:
        definition = define("tpe", seed=4, settings={"multivariate": multivariate})
        trials = random_study(definition, TreeParzen.latest)
        trials = [one for one in trials if one.state != TrialState.WAITING]
        for one in trials:
            if one.state == TrialState.RUNNING:
                one.datetime_complete = None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        # Optuna renumbers what is added.
        for number, one in enumerate(trials):
            one.number = number
        known = look(definition, Listed(trials, {}, "minimize"))
        study = optuna.create_study(sampler=TPESampler(seed=trial_seed(4, len(trials)), multivariate=multivariate))
        study.add_trials(trials)
        theirs = study.ask(fixed_distributions=distributions(definition.search_space))
        assert suggest(definition, known, [len(trials)]).trials[0].parameters == theirs.params

    def test_goes_by_the_constraints_of_an_optuna_program(self) -> None:
        definition = define("tpe", seed=4)
        trials, _ = run(define("random"), descent_loss, 60)
        for one in trials[::3]:
            one.system_attrs["constraints"] = [1.0]
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=TPESampler(seed=trial_seed(4, 60), multivariate=True))
        study.add_trials(trials)
        theirs = study.ask(fixed_distributions=distributions(definition.search_space))
        assert suggest(definition, History(trials, {}), [60]).trials[0].parameters == theirs.params

    @pytest.mark.parametrize("failing", [0.0, 0.5])
    def test_of_a_long_study_what_is_shown_stands_for_all_that_counts(self, failing: float) -> None:
        draw = random.Random(0)
        trials, _ = run(define("random"), descent_loss, 20_000, batch=1000)
        for one in trials:
            if draw.random() < failing:
                one.state, one.values = TrialState.FAIL, None
        known = look(define("tpe"), Listed(trials, {}, "minimize"))
        counting = sum(one.state == TrialState.COMPLETE for one in trials)
        assert known.weights is not None
        assert known.weights.sum() == pytest.approx(counting, rel=0.15)
        latest = {one.number for one in trials[-TreeParzen.latest :]}
        best = {one.number for one in sorted(trials, key=lambda one: one.value or math.inf)[:20]}
        for one, weight in zip(known.trials, known.weights, strict=True):
            assert one.number not in latest | best or weight == 1
        rest = rising_weights(known.weights)
        density = rest / rest.sum()
        # Optuna's weights rise evenly with age: of the earlier half of the study, a quarter.
        earlier = sum(density[i] for i, one in enumerate(known.trials) if one.number < 10_000)
        assert earlier == pytest.approx(0.25, abs=0.04)

    @pytest.mark.parametrize("count", [0, 1, 25, 27, 100, 1000])
    def test_weighs_trials_as_optuna_does_where_each_stands_for_itself(self, count: int) -> None:
        assert rising_weights(np.ones(count)) == pytest.approx(default_weights(count))

    def test_is_past_its_startup_as_soon_as_the_study_is(self) -> None:
        definition = define("tpe", settings={"n_startup_trials": 700})
        trials, _ = run(define("random"), descent_loss, 3000, batch=1000)
        finite = sum(math.isfinite(one.value or 0.0) for one in trials)
        assert finite > 700
        assert len(look(definition, Listed(trials, {}, "minimize")).trials) >= 700


def test_a_gaussian_process_sees_a_few_hundred_trials_the_best_among_them() -> None:
    sampler = GaussianProcess()
    trials = random_study(define("tpe"), 5000)
    shown = sampler.look(Listed(trials, {}, "minimize")).trials
    assert 100 < len(shown) <= sampler.best + sampler.spread + MOST_RUNNING
    best = min((one for one in trials if one.value is not None), key=lambda one: (one.value, one.number))
    assert best in shown


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cmaes", {"popsize": 4}),
        ("cmaes", {"popsize": 4, "n_startup_trials": 40}),
        ("nsga2", {"population_size": 4}),
        ("nsga2", {"population_size": 10}),
    ],
)
@pytest.mark.parametrize("workers", [1, 7, 24])
def test_generations_are_those_that_come_of_seeing_everything(
    name: str, settings: Mapping[str, Any], workers: int
) -> None:
    """A long study of several workers: trials overtake each other, some fail, some wait for long, one batch is wide."""
    definition = define(name, settings=settings, seed=5)
    draw = random.Random(workers)
    known = Listed([], {}, "minimize")
    everything: dict[int, FrozenTrial] = {}
    attributes: dict[str, Any] = {}
    running: list[int] = []
    while len(everything) < 400:
        number = len(everything)
        numbers = range(number, number + (40 if number == 200 else 1))
        found = suggest(definition, look(definition, known), numbers)
        finished = [one for one in everything.values() if one.state != TrialState.FAIL]
        whole = suggest(definition, History(finished, attributes), numbers)
        assert points_and_generations(found) == points_and_generations(whole)

        attributes |= whole.system_attrs
        known.system_attrs = found.applied_to(known.system_attrs)
        for number, suggestion in zip(numbers, found.trials, strict=True):
            everything[number] = trial(definition, number, suggestion, state=TrialState.RUNNING)
            known.add(everything[number])
            running.append(number)
        while len(running) >= workers:
            number = running.pop(draw.randrange(min(len(running), 1 + workers // 2)))
            failed = draw.random() < 0.1
            one = everything[number]
            one.state = TrialState.FAIL if failed else TrialState.COMPLETE
            one.values = None if failed else [descent_loss(one.params)]

    shown = look(definition, known).trials
    assert len(shown) < 200
    generation = {"cmaes": "cma:generation", "nsga2": "NSGAIISampler:generation"}[name]
    assert max(one.system_attrs.get(generation, 0) for one in shown) > 8


def points_and_generations(found: Suggestions) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What was chosen; without the state of CMA-ES itself, in which cmaes keeps an array that it has not filled in."""
    return [
        (one.parameters, {name: value for name, value in one.system_attrs.items() if not name.startswith("cma:opt")})
        for one in found.trials
    ]


class TestGeneticAlgorithm:
    def study(self, trials: int) -> tuple[StudyDefinition, Listed, list[FrozenTrial]]:
        definition = define("nsga2", settings={"population_size": 4})
        known = Listed([], {}, "minimize")
        all_trials = []
        for first in range(0, trials, 4):
            found = suggest(definition, look(definition, known), range(first, first + 4))
            known.system_attrs = found.applied_to(known.system_attrs)
            for number, suggestion in zip(range(first, first + 4), found.trials, strict=True):
                all_trials.append(trial(definition, number, suggestion, descent_loss(suggestion.parameters)))
                known.add(all_trials[-1])
        return definition, known, all_trials

    def test_notes_on_the_study_do_not_pile_up(self) -> None:
        _, known, _ = self.study(200)
        assert sorted(known.system_attrs) == [f"NSGAIISampler:parent:{generation}" for generation in (47, 48, 49)]

    @pytest.mark.parametrize("left", [0, 3, 40, 1000, 1990])
    def test_goes_on_when_its_latest_generations_are_excluded(self, left: int) -> None:
        definition, known, trials = self.study(2000)
        excluded = Listed(trials[:left], known.system_attrs, "minimize")
        found = suggest(definition, look(definition, excluded), range(2000, 2010))
        assert len(found.trials) == 10
