"""Rate against steps: what every rate of a study was worth after every number of steps, from what is stored.

It takes no gradient evaluation. Where trials differ in further parameters, a cell is the best of them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tuner.analysis.surface import columns, step_counts, surface
from tuner.errors import InvalidInput
from tuner.goal import Direction
from tuner.service import trajectories
from tuner.storage.database import Database
from tuner.trial import WireFloat


class RateSurface(BaseModel):
    """A table of a metric: ``values[i][j]`` is that after ``steps[i]`` steps at ``rates[j]``, null where it is unknown.

    Steps and rates ascend. ``trials`` have been looked at, of ``finished`` ones: the complete and the pruned that are
    not excluded.
    """

    model_config = ConfigDict(frozen=True)

    metric: str
    direction: Direction
    parameter: str = Field(description="What `rates` are values of.")
    within: bool = Field(description="Whether a value is the best within so many steps, or that after exactly so many.")
    steps: list[int]
    rates: list[float]
    values: list[list[WireFloat | None]]
    trials: int
    finished: int


def rate_surface(
    database: Database, name: str, *, parameter: str = "learning_rate", resolution: int = 60, within: bool = False
) -> RateSurface:
    """The table of a study, at most ``resolution`` (≥ 2) rates by as many step counts.

    Args:
        database: where the study is.
        name: which study.
        parameter: the numeric parameter that stands for the rate.
        resolution: while there are at most so many different rates, each has a column; otherwise the range is cut into
            so many, and of the trials of one the best counts. Step counts are spread over their magnitudes.
        within: the best value within so many steps, instead of the value after them; then no cell is unknown that
            lies beyond the end of a trial.

    Raises:
        StudyNotFound: there is none.
        InvalidInput: at ``parameter``: trials have none of that name, or it is no number.
    """
    seen = trajectories.survey(database, name)
    rates = trajectories.values_of(database, seen, parameter)
    if not rates and seen.numbers:
        raise InvalidInput.at("parameter", f"no finished trial has a number {parameter!r}")
    centres, places = columns(np.array(list(rates.values()), dtype=float), resolution)
    column = dict(zip(rates, places.tolist(), strict=True))

    def found() -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
        for one in trajectories.read(database, seen):
            if one.number in column:
                yield column[one.number], one.steps, one.values

    table = surface(
        found(), centres, step_counts(seen.most_steps, resolution), rising=seen.direction == "maximize", within=within
    )
    shown: list[list[Any]] = [
        [value if known else None for value, known in zip(row, flags, strict=True)]
        for row, flags in zip(table.values.tolist(), table.known.tolist(), strict=True)
    ]
    return RateSurface(
        metric=seen.metric,
        direction=seen.direction,
        parameter=parameter,
        within=within,
        steps=table.steps.tolist() if rates else [],
        rates=table.rates.tolist(),
        values=shown if rates else [],
        trials=len(seen.numbers),
        finished=seen.finished,
    )
