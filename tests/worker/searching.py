"""Trajectory searches for tests: studies that are searched so, and what is looked at of them."""

from pathlib import Path
from typing import Any

from tests.worker.running import (
    definition,
)
from tuner.descent import RULES, Descent, Row
from tuner.objectives import create
from tuner.service import studies
from tuner.storage import checkpoints
from tuner.storage import studies as studies_stored
from tuner.storage import trials as trials_stored
from tuner.storage.database import Connection, Database
from tuner.trial import Trial

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 10.0, "scale": "log"},
    "steps": {"type": "int", "low": 1, "high": 200},
}

BATCHES: dict[str, Any] = {**SPACE, "batch_size": {"type": "int", "low": 16, "high": 16}}


FEW: dict[str, Any] = {"trials": None, "gradient_evaluations": 300}
"""A budget for objectives that take their time."""


def search(database: Database, name: str = "s", objective: str = "line_fit", **changes: Any) -> None:
    studies.create(
        database,
        definition(name, objective, **{"sampler": {"name": "trajectory"}, "search_space": SPACE, **changes}),
    )


def counted(log: Path) -> int:
    return sum(map(int, log.read_text().split()))


def value_again(trial: Trial, objective: str, settings: dict[str, Any], metric: str = "loss") -> float:
    """The metric of a run of the trial's point, from the start, on its own."""
    parameters: dict[str, Any] = dict(trial.parameters)
    rule = RULES[parameters.get("update_rule", "gradient_descent")]
    descent = Descent(
        create(objective, settings),
        [Row.of(parameters, rule)],
        update_rule=rule.name,
        batch_size=parameters.get("batch_size"),
    )
    descent.advance()
    result = descent.result(0)
    curve = result.loss if metric == "loss" else result.validation
    assert curve is not None
    return float(curve.values[-1])


def checkpoints_of(database: Database, name: str) -> set[int]:
    """The numbers of the trials that have a checkpoint."""

    def work(connection: Connection) -> set[int]:
        study = studies_stored.get(connection, name)
        records = {record.id: record.number for record in trials_stored.page(connection, study.id)}
        return {records[trial_id] for trial_id in checkpoints.read(connection, list(records))}

    return database.read(work)
