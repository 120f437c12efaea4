"""How an ask's time grows with the study: the median ask of one trial with 1,000 and with 100,000 finished trials.

The use case itself on an SQLite file, without HTTP: choose a point, lease it, commit. The two studies are asked in
turns, so that whatever else the machine does meets both. Between asks the trial is told, as a training client would.
Optuna's own sampler is asked beside them for one more trial of the same studies, held in memory.
"""

import datetime
import math
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmarks.table import Measurement, seconds
from tuner.definition import StudyDefinition
from tuner.service import studies
from tuner.service.ask import ask
from tuner.service.tell import Ending, tell
from tuner.storage import migration, trials
from tuner.storage import studies as study_rows
from tuner.storage.database import Connection, Database, now
from tuner.storage.frozen import distributions

_SHORT, _LONG = 1_000, 100_000
_ASKS = 200
_OPTUNAS_ASKS = 10
_ROWS_AT_ONCE = 10_000
_MOST = 2.0
_SEED = 0

_NOON = datetime.datetime(2026, 1, 1, 12)  # noqa: DTZ001 (Optuna's times are naive)
_Point = tuple[float, int]
_DEFINITION = {
    "search_space": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 10.0, "scale": "log"},
        "steps": {"type": "int", "low": 1, "high": 200},
    },
    "budget": {"trials": None, "gradient_evaluations": 10**15},
}


def measure() -> list[Measurement]:
    """Each sampler that learns and needs no extra; with tpe, Optuna's own beside it."""
    return [_row(sampler) for sampler in ("tpe", "cmaes", "nsga2")]


def _row(sampler: str) -> Measurement:
    with tempfile.TemporaryDirectory() as directory:
        database = Database(f"sqlite:///{Path(directory) / 'tuner.db'}")
        migration.upgrade(database)
        for count in (_SHORT, _LONG):
            _create(database, sampler, count)
        times: dict[int, list[float]] = {_SHORT: [], _LONG: []}
        for _ in range(_ASKS):
            for count, durations in times.items():
                durations.append(_ask_and_tell(database, f"of-{count}"))
        database.close()
    short, long = median(times[_SHORT]), median(times[_LONG])
    theirs = "" if sampler != "tpe" else f"Optuna in memory: {_optunas(_SHORT)} and {_optunas(_LONG)}"
    return Measurement(
        f"median ask with {_SHORT:,} and with {_LONG:,} finished trials, {sampler}",
        f"{seconds(short)} and {seconds(long)}",
        theirs,
        f"{long / short:.2f}x",
        f"<= {_MOST:g}x",
        long <= _MOST * short,
    )


def _create(database: Database, sampler: str, count: int) -> None:
    """A study with so many complete trials, at random points."""
    name = f"of-{count}"
    document = {"name": name, "sampler": {"name": sampler, "seed": _SEED}, **_DEFINITION}
    studies.create(database, StudyDefinition.model_validate(document))

    def fill(connection: Connection) -> None:
        study = study_rows.get(connection, name, lock=True)
        moment = now(connection)
        points, losses = _history(count)
        for first in range(0, count, _ROWS_AT_ONCE):
            trials.create(
                connection,
                [
                    {
                        "study_id": study.id,
                        "number": number,
                        "state": "complete",
                        "parameters": {"learning_rate": rate, "steps": steps},
                        "values": {"loss": loss},
                        "objective_value": loss,
                        "attempt": 1,
                        "created_at": moment,
                        "started_at": moment,
                        "finished_at": moment,
                        "updated_at": moment,
                        "user_attrs": {},
                        "system_attrs": {},
                    }
                    for number in range(first, min(first + _ROWS_AT_ONCE, count))
                    for (rate, steps), loss in ((points[number], losses[number]),)
                ],
            )
        study_rows.change(connection, study.id, next_number=count, started_trials=count)

    database.write(fill)


def _history(count: int) -> tuple[list[_Point], list[float]]:
    """Random points, and losses that a descent on a quadratic would have, with some noise; a third diverged."""
    rng = np.random.default_rng(_SEED)
    rates = 10 ** rng.uniform(-4, 1, count)
    steps = rng.integers(1, 201, count)
    with np.errstate(over="ignore"):
        losses = np.minimum((1 - rates) ** (2.0 * steps), 1e30) * rng.lognormal(0, 0.1, count)
    return list(zip(rates.tolist(), steps.tolist(), strict=True)), losses.tolist()


def _ask_and_tell(database: Database, name: str) -> float:
    """Seconds that the ask took."""
    began = time.perf_counter()
    [lease] = ask(database, name).trials
    took = time.perf_counter() - began
    loss = abs(math.log10(float(str(lease.parameters["learning_rate"]))) + 0.5)
    tell(database, name, [Ending(number=lease.number, attempt=1, state="complete", values={"loss": loss})])
    return took


def _optunas(count: int) -> str:
    """The median time of an ask of Optuna's tpe, the study in memory."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = distributions(StudyDefinition.model_validate({"name": "of", **_DEFINITION}).search_space)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=_SEED, multivariate=True))
    points, losses = _history(count)
    study.add_trials(
        [
            FrozenTrial(
                number=number,
                trial_id=number,
                state=TrialState.COMPLETE,
                value=loss,
                datetime_start=_NOON,
                datetime_complete=_NOON,
                params={"learning_rate": rate, "steps": steps},
                distributions=space,
                user_attrs={},
                system_attrs={},
                intermediate_values={},
            )
            for number, ((rate, steps), loss) in enumerate(zip(points, losses, strict=True))
        ]
    )
    times = []
    for _ in range(_OPTUNAS_ASKS):
        began = time.perf_counter()
        trial = study.ask(fixed_distributions=space)
        times.append(time.perf_counter() - began)
        study.tell(trial, 0.5)
    return seconds(median(times))
