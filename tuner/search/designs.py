"""Designs: points laid out beforehand, whatever the trials turn out to be."""

import threading
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tuner.errors import FieldError, InvalidInput
from tuner.search.sampler import Design, Point, along
from tuner.space import Choices, FloatRange, IntRange, SearchSpace
from tuner.strict import ParameterName
from tuner.trial import ParameterValue

LARGEST_GRID = 100_000
"""Points of a grid. The order of one takes a millisecond to draw, and 800 kB to remember, at this size."""

_SOBOL = threading.Lock()
"""SciPy fills its table of direction numbers on first use, unguarded."""

GridPoints = Annotated[int, Field(ge=1, le=LARGEST_GRID)]


class RandomDesign(Design):
    """Independent points, uniform on each parameter's scale."""

    def default_batch_size(self, space: SearchSpace) -> int:  # noqa: ARG002
        """Nothing is learned between points: any batch gives the same ones."""
        return 50

    def points(self, space: SearchSpace, seed: int, places: Sequence[int]) -> list[Point]:
        """One generator per place: a point does not depend on which others were asked with it."""
        return _points(space, [np.random.default_rng([seed, place]).random(len(space)) for place in places])


class QuasiRandomDesign(Design):
    """A low-discrepancy sequence: random search that leaves no holes and no clusters.

    Owen (1998), Scrambling Sobol' and Niederreiter-Xing points. Scrambled by the study's seed, which all who ask
    share; unscrambled, the sequence begins in the corner of all lower bounds, and is the same for every seed.
    """

    sequence: Annotated[Literal["sobol", "halton"], Field(description="Which one.")] = "sobol"
    scramble: Annotated[bool, Field(description="Shuffle it by the seed; otherwise every seed gives the same.")] = True

    def default_batch_size(self, space: SearchSpace) -> int:  # noqa: ARG002
        """Nothing is learned between points: any batch gives the same ones."""
        return 50

    def points(self, space: SearchSpace, seed: int, places: Sequence[int]) -> list[Point]:
        """The sequence's points at these places, one coordinate per parameter."""
        from scipy.stats import qmc  # noqa: PLC0415 (takes half a second to import)

        rng = np.random.default_rng(seed)
        with _SOBOL:
            kind = qmc.Sobol if self.sequence == "sobol" else qmc.Halton
            engine = kind(len(space), scramble=self.scramble, rng=rng)
        found: dict[int, np.ndarray] = {}
        for place in sorted(set(places)):
            # Sobol's engine does not bear a step of nothing.
            if place > engine.num_generated:
                if self.sequence == "sobol":
                    engine.fast_forward(place - engine.num_generated)
                else:
                    # A point of Halton's follows from its place alone; SciPy would compute all those before it.
                    engine.num_generated = place
            found[place] = engine.random(1)[0]
        return _points(space, [found[place] for place in places])


class GridDesign(Design):
    """Every combination of evenly spaced values, each exactly once, in random order.

    ``points`` says how many values each numeric parameter gets: one number for all, or some by name, the others 10.
    They are spaced evenly on the parameter's scale, bounds included; whole numbers that coincide count once.
    Categorical parameters bring all their choices. A trial that fails has had its point: it is not given out again.
    """

    points_per_parameter: GridPoints | dict[ParameterName, GridPoints] = Field(
        10,
        alias="points",
        description="Values of each parameter: a number for all of them, or an object of some by name.",
    )

    def default_batch_size(self, space: SearchSpace) -> int:  # noqa: ARG002
        """Nothing is learned between points: any batch gives the same ones."""
        return 50

    def check(self, space: SearchSpace) -> None:
        """A grid has an end, and names only parameters that have a range."""
        if isinstance(self.points_per_parameter, dict):
            numeric = [name for name, parameter in space.items() if not isinstance(parameter, Choices)]
            unknown = [name for name in self.points_per_parameter if name not in numeric]
            if unknown:
                raise InvalidInput(
                    *(
                        FieldError(f"settings.points.{name}", f"must be a numeric parameter: {numeric}")
                        for name in unknown
                    )
                )
        size = prod(self._most_values(name, parameter) for name, parameter in space.items())
        if size > LARGEST_GRID:
            raise InvalidInput.at(
                "settings.points", f"gives a grid of up to {size} points, more than {LARGEST_GRID}: ask for fewer each"
            )

    def size(self, space: SearchSpace) -> int:
        """The product of the values of each parameter."""
        return prod(len(values) for values in self._axes(space))

    def points(self, space: SearchSpace, seed: int, places: Sequence[int]) -> list[Point]:
        """The grid's points in the order that the seed draws."""
        axes = self._axes(space)
        shape = [len(values) for values in axes]
        order = _order(seed, prod(shape))
        return [
            {
                name: values[i]
                for name, values, i in zip(space, axes, np.unravel_index(order[place], shape), strict=True)
            }
            for place in places
        ]

    def _axes(self, space: SearchSpace) -> list[Sequence[ParameterValue]]:
        return [_axis(parameter, self._wanted(name)) for name, parameter in space.items()]

    def _wanted(self, name: str) -> int:
        wanted = self.points_per_parameter
        return wanted.get(name, 10) if isinstance(wanted, dict) else wanted

    def _most_values(self, name: str, parameter: FloatRange | IntRange | Choices) -> int:
        match parameter:
            case Choices(choices=choices):
                return len(choices)
            case IntRange(low=low, high=high):
                return min(self._wanted(name), high - low + 1)
            case FloatRange(low=low, high=high):
                return 1 if low == high else self._wanted(name)


@lru_cache(maxsize=16)
def _order(seed: int, size: int) -> np.ndarray:
    """A permutation, shape (size,), which the seed draws."""
    return np.random.default_rng(seed).permutation(size)


def _axis(parameter: FloatRange | IntRange | Choices, count: int) -> Sequence[ParameterValue]:
    """Evenly spaced values on the parameter's scale, ends included; the middle where there is one only."""
    if isinstance(parameter, Choices):
        return parameter.choices
    low, high = parameter.low, parameter.high
    space = np.geomspace if parameter.scale == "log" else np.linspace
    spaced = space(low, high, count) if count > 1 else space(low, high, 3)[1:2]
    if isinstance(parameter, IntRange):
        return sorted({min(max(round(value), low), high) for value in spaced.tolist()})
    return sorted(set(np.clip(spaced, low, high).tolist()))


def _points(space: SearchSpace, units: Sequence[np.ndarray]) -> list[Point]:
    """The points at these places of the unit cube, each (parameters,)."""
    parts = [(name, along(parameter)) for name, parameter in space.items()]
    return [{name: value(u) for (name, value), u in zip(parts, unit.tolist(), strict=True)} for unit in units]
