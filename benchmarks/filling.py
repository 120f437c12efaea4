"""A study with a past: thousands of finished trials, written into the database before a server starts on it."""

import math
import random
from dataclasses import dataclass

from benchmarks.load import loss_at
from benchmarks.servers import study_definition
from tuner.definition import StudyDefinition
from tuner.service import studies
from tuner.service.open_study import open_study
from tuner.storage import trials
from tuner.storage.database import Connection, Database
from tuner.trial import ParameterValue, encode_float

ROWS = 2000
"""Trials in one transaction."""


@dataclass(frozen=True)
class Done:
    """A finished trial: its point in the search space of `study_definition`, its loss, and what was made of it."""

    parameters: dict[str, ParameterValue]
    loss: float
    verdict: str | None = None


def past(size: int) -> list[Done]:
    """As many finished trials, the same ones each time: points drawn as a random sampler draws them."""
    draw = random.Random(0)
    found = []
    for _ in range(size):
        parameters = {"learning_rate": 10.0 ** draw.uniform(-5.0, 0.0), "steps": draw.randint(1, 200)}
        found.append(Done(dict(parameters), loss_at(parameters)))
    return found


def create_with_past(url: str, name: str, done: list[Done]) -> str:
    """A tpe study that has run these trials, its columns as asks and tells leave them; its name."""
    database = Database(url)
    studies.create(database, StudyDefinition.model_validate(study_definition(name, "tpe")))
    for first in range(0, len(done), ROWS):
        some = done[first : first + ROWS]

        def work(connection: Connection, first: int = first, some: list[Done] = some) -> None:
            with open_study(connection, name) as study:
                rows = [
                    study.row(
                        number,
                        (one.parameters, {}),
                        state="complete",
                        attempt=1,
                        worker="the past",
                        values={"loss": encode_float(one.loss)},
                        objective_value=one.loss if math.isfinite(one.loss) else None,
                        verdict=one.verdict,
                        steps_run=one.parameters["steps"],
                        gradient_evaluations=int(one.parameters["steps"] or 0) + 1,
                        started_at=study.moment,
                        finished_at=study.moment,
                    )
                    for number, one in enumerate(some, start=first)
                ]
                trials.insert_many(connection, rows)
                study.change(started_at=study.record.started_at or study.moment, asked_at=study.moment)
                study.add(
                    next_number=len(rows),
                    started_trials=len(rows),
                    spent_evaluations=sum(row["gradient_evaluations"] for row in rows),
                )

        database.write(work)
    database.close()
    return name
