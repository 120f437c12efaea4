"""The front of a study: for every number of steps the best value that any trial had after at most so many.

It is answered from the stored trajectories: a trial takes part with all its lengths, and not only with its last step.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tuner.analysis.front import front
from tuner.goal import Direction
from tuner.service import trajectories
from tuner.storage.database import Database
from tuner.trial import ParameterValue


class FrontPoint(BaseModel):
    """A run that no other beats: this trial's, over so many steps."""

    model_config = ConfigDict(frozen=True)

    number: int = Field(description="The trial's number.")
    steps: int = Field(description="After how many steps; the trial may have run on.")
    value: float = Field(description="The metric then.")
    parameters: dict[str, ParameterValue] = Field(description="The trial's; its `steps` are those it was to run.")


class Pareto(BaseModel):
    """The front, by ascending steps: the values get strictly better. ``points_in_all`` where fewer are shown.

    ``trials`` have been looked at, of ``finished`` ones: the complete and the pruned that are not excluded.
    """

    model_config = ConfigDict(frozen=True)

    metric: str
    direction: Direction
    points: list[FrontPoint]
    points_in_all: int
    trials: int
    finished: int


def pareto(database: Database, name: str, *, max_points: int = 100) -> Pareto:
    """The front of the study's metric against steps, shown by at most ``max_points`` (≥ 2), both ends among them.

    Any study has one, whatever its goal. Points are those that are stored: of a training client's trial, the steps that
    it reported, and its last.

    Raises:
        StudyNotFound: there is none.
    """
    seen = trajectories.survey(database, name)
    parameters: dict[int, dict[str, ParameterValue]] = {}

    def curves() -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
        for one in trajectories.read(database, seen):
            parameters[one.number] = dict(one.parameters)
            yield one.number, one.steps, one.values

    found = front(curves(), rising=seen.direction == "maximize")
    shown = found.thinned(max_points)
    return Pareto(
        metric=seen.metric,
        direction=seen.direction,
        points=[
            FrontPoint(number=number, steps=steps, value=value, parameters=parameters[number])
            for number, steps, value in zip(
                shown.owners.tolist(), shown.steps.tolist(), shown.values.tolist(), strict=True
            )
        ],
        points_in_all=len(found.steps),
        trials=len(seen.numbers),
        finished=seen.finished,
    )
