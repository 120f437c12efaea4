"""The tutorial study, whole, beside ``study.optimize``: how much of a study's time is the machinery around descent.

*Ours* creates the study in a fresh SQLite file and runs a worker in this process until it is completed: every trial
leased, told and stored with its whole curve. *Theirs* is Optuna with its own storage on a fresh SQLite file: the same
number of trials, the same space, the same sampler, tpe multivariate as ours. Its objective is our descent of one row,
of which it stores the last loss. Both files have their tables already.
"""

import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import optuna

from benchmarks.table import Measurement, seconds
from tuner.definition import StudyDefinition
from tuner.descent import Descent, Row
from tuner.objectives import create
from tuner.service import studies
from tuner.storage import migration
from tuner.storage.database import Database
from tuner.worker import Worker

_TRIALS = 200
_RATE = (1e-4, 1.0)
_STEPS = (1, 200)
_GOALS = {"random": 20, "tpe": 5}
_RUNS = 5


def measure() -> list[Measurement]:
    """Each sampler; the shortest of several runs, taken in turns."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return [_compare(sampler, goal) for sampler, goal in _GOALS.items()]


def _compare(sampler: str, goal: int) -> Measurement:
    ours, theirs = float("inf"), float("inf")
    with tempfile.TemporaryDirectory() as directory:
        for run in range(_RUNS):
            ours = min(ours, _ours(Path(directory) / f"ours-{run}.db", sampler))
            theirs = min(theirs, _theirs(Path(directory) / f"theirs-{run}.db", sampler))
    return Measurement(
        f"a study of {_TRIALS} trials on SQLite, line_fit, {sampler} sampler",
        seconds(ours),
        f"{seconds(theirs)} (study.optimize)",
        f"{theirs / ours:.1f}x faster",
        f">= {goal}x",
        theirs / ours >= goal,
    )


def _ours(path: Path, sampler: str) -> float:
    database = Database(f"sqlite:///{path}")
    migration.prepare(database)
    definition = StudyDefinition.model_validate(
        {
            "name": "line-fit",
            "objective": {"name": "line_fit", "settings": {"seed": 5}},
            "search_space": {
                "learning_rate": {"type": "float", "low": _RATE[0], "high": _RATE[1], "scale": "log"},
                "steps": {"type": "int", "low": _STEPS[0], "high": _STEPS[1]},
            },
            "sampler": {"name": sampler, "seed": 0},
            "budget": {"trials": _TRIALS},
        }
    )

    def run() -> None:
        studies.create(database, definition)
        with Worker(database, studies=[definition.name]) as worker:
            while worker.work_once():
                pass

    duration = _timed(run)
    finished, _ = studies.get(database, definition.name)
    assert finished.state == "completed"
    assert finished.trials["complete"] == _TRIALS
    database.close()
    return duration


def _theirs(path: Path, sampler: str) -> float:
    objective = create("line_fit", {"seed": 5})
    samplers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "random": lambda: optuna.samplers.RandomSampler(seed=0),
        "tpe": lambda: optuna.samplers.TPESampler(seed=0, multivariate=True),
    }
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")

    def loss(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", *_RATE, log=True)
        descent = Descent(objective, [Row(rate, trial.suggest_int("steps", *_STEPS))])
        descent.advance()
        return float(descent.loss_curve(0).values[-1])

    def run() -> None:
        study = optuna.create_study(storage=storage, sampler=samplers[sampler]())
        study.optimize(loss, n_trials=_TRIALS)
        assert len(study.get_trials(deepcopy=False)) == _TRIALS

    return _timed(run)


def _timed(work: Callable[[], None]) -> float:
    # Neither side pays for the other's litter.
    gc.collect()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
