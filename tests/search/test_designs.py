"""Designs against independent statements of what they are."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare, kstest
from scipy.stats.qmc import discrepancy

from tests.search.loop import RATE_AND_STEPS, define, points
from tuner.definition import StudyDefinition
from tuner.search import History, suggest

UNIT_SQUARE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "y": {"type": "float", "low": 0.0, "high": 1.0},
}


def column(name: str, found: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [point[name] for point in found]


@pytest.mark.parametrize("name", ["random", "qmc"])
class TestDistributions:
    """Whatever fills the space fills it evenly, on each parameter's scale."""

    def test_a_float_on_a_log_scale_is_log_uniform(self, name: str) -> None:
        rates = column("learning_rate", points(define(name), range(2000)))
        logs = (np.log10(rates) + 4) / 5
        assert kstest(logs, "uniform").pvalue > 0.01

    def test_a_float_on_a_linear_scale_is_uniform(self, name: str) -> None:
        values = column("x", points(define(name, {"x": {"type": "float", "low": -3.0, "high": 7.0}}), range(2000)))
        assert kstest(values, "uniform", args=(-3, 10)).pvalue > 0.01

    def test_a_whole_number_takes_each_value_as_often(self, name: str) -> None:
        counts = Counter(column("n", points(define(name, {"n": {"type": "int", "low": 3, "high": 7}}), range(2000))))
        assert chisquare([counts[n] for n in range(3, 8)]).pvalue > 0.01

    def test_a_whole_number_on_a_log_scale_is_a_rounded_log_uniform_one(self, name: str) -> None:
        space = {"n": {"type": "int", "low": 1, "high": 6, "scale": "log"}}
        counts = Counter(column("n", points(define(name, space), range(2000))))
        shares = [math.log((n + 0.5) / (n - 0.5)) / math.log(6.5 / 0.5) for n in range(1, 7)]
        assert chisquare([counts[n] for n in range(1, 7)], [2000 * share for share in shares]).pvalue > 0.01

    def test_choices_come_equally_often(self, name: str) -> None:
        space = {"c": {"type": "categorical", "choices": ["a", "b", "c"]}}
        counts = Counter(column("c", points(define(name, space), range(1500))))
        assert chisquare([counts[c] for c in "abc"]).pvalue > 0.01

    def test_a_point_depends_on_its_number_alone(self, name: str) -> None:
        definition = define(name)
        assert points(definition, [7, 3, 100]) == [points(definition, [number])[0] for number in (7, 3, 100)]


def test_random_parameters_are_independent_of_each_other_and_of_the_trial_before() -> None:
    unit = np.array([[point["x"], point["y"]] for point in points(define("random", UNIT_SQUARE), range(4000))])
    lagged = np.corrcoef(np.column_stack([unit[1:], unit[:-1]]).T)
    assert np.abs(lagged - np.eye(4)).max() < 4 / math.sqrt(4000)


@pytest.mark.parametrize("sequence", ["sobol", "halton"])
@pytest.mark.parametrize("seed", [0, 1, 2**53 - 1])
def test_a_quasi_random_sequence_leaves_smaller_holes_than_random_points(sequence: str, seed: int) -> None:
    def of(sampler: str, settings: dict[str, Any]) -> float:
        definition = define(sampler, UNIT_SQUARE, seed=seed, settings=settings)
        # Asked in uneven batches: each number has its own place in the one sequence.
        found = [point for first in range(0, 64, 7) for point in points(definition, range(first, min(first + 7, 64)))]
        return float(discrepancy([[point["x"], point["y"]] for point in found]))

    assert of("qmc", {"sequence": sequence}) < 0.2 * of("random", {})


def test_a_scrambled_sobol_sequence_puts_one_point_in_every_cell() -> None:
    found: list[dict[str, Any]] = points(define("qmc", UNIT_SQUARE, seed=5), range(64))
    cells = {(int(point["x"] * 8), int(point["y"] * 8)) for point in found}
    assert len(cells) == 64


def test_an_unscrambled_sequence_is_the_same_for_every_seed_and_begins_at_the_lower_bounds() -> None:
    first = points(define("qmc", settings={"scramble": False}, seed=1), range(5))
    assert first == points(define("qmc", settings={"scramble": False}, seed=2), range(5))
    assert first[0] == {"learning_rate": pytest.approx(1e-4), "steps": 1}


class TestGrid:
    def walk(self, definition: StudyDefinition, batch: int, skip: int = 0) -> list[tuple[Any, ...]]:
        """Every point until the grid says that it is exhausted; ``skip`` numbers go to others between batches."""
        attributes: dict[str, Any] = {}
        found: list[tuple[Any, ...]] = []
        number = 0
        while True:
            suggestions = suggest(definition, History([], attributes), range(number, number + batch))
            attributes |= suggestions.system_attrs
            found += [tuple(suggestion.parameters.values()) for suggestion in suggestions.trials]
            number += batch + skip
            if suggestions.exhausted:
                assert suggest(definition, History([], attributes), [number]).trials == []
                return found

    @pytest.mark.parametrize(("batch", "skip"), [(1, 0), (4, 0), (5, 3), (100, 0)])
    def test_every_point_of_the_product_comes_exactly_once(self, batch: int, skip: int) -> None:
        space = {
            "learning_rate": {"type": "float", "low": 1e-3, "high": 1.0, "scale": "log"},
            "steps": {"type": "int", "low": 1, "high": 3},
            "update_rule": {"type": "categorical", "choices": ["adam", "heavy_ball"]},
        }
        found = self.walk(define("grid", space, settings={"points": 4}), batch, skip)
        rates = sorted({point[0] for point in found})
        assert rates == pytest.approx([1e-3, 1e-2, 1e-1, 1.0])
        assert Counter(found) == Counter(itertools.product(rates, [1, 2, 3], ["adam", "heavy_ball"]))

    def test_the_bounds_are_on_the_grid_exactly(self) -> None:
        space = {
            "a": {"type": "float", "low": 0.1, "high": 0.7},
            "b": {"type": "float", "low": 1.3e-5, "high": 0.3, "scale": "log"},
            "n": {"type": "int", "low": 1, "high": 200, "scale": "log"},
        }
        found = self.walk(define("grid", space), 1000)
        for place, name in enumerate(space):
            values = {point[place] for point in found}
            assert (min(values), max(values)) == (space[name]["low"], space[name]["high"])

    def test_whole_numbers_that_coincide_count_once(self) -> None:
        definition = define(
            "grid", {"n": {"type": "int", "low": 1, "high": 20, "scale": "log"}}, settings={"points": 9}
        )
        assert sorted(self.walk(definition, 3)) == [(1,), (2,), (3,), (4,), (7,), (9,), (14,), (20,)]

    def test_points_can_be_given_by_parameter(self) -> None:
        found = self.walk(define("grid", settings={"points": {"learning_rate": 3, "steps": 1}}), 10)
        assert sorted(found) == [
            (pytest.approx(1e-4), 100),
            (pytest.approx(10**-1.5), 100),
            (pytest.approx(10.0), 100),
        ]

    def test_the_order_is_the_seeds(self) -> None:
        one, other = (self.walk(define("grid", RATE_AND_STEPS, seed=seed), 10) for seed in (0, 1))
        assert one != other
        assert sorted(one) == sorted(other)

    def test_a_fixed_space_has_one_point(self) -> None:
        assert self.walk(define("grid", {"n": {"type": "int", "low": 5, "high": 5}}), 3) == [(5,)]
