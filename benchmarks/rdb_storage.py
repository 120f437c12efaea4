"""What the service is measured against: Optuna in this process with its own ``RDBStorage``, one trial after another."""

import time

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1.0, log=True),
    "steps": IntDistribution(1, 200),
}
"""The search space of `benchmarks.servers.study_definition`."""


def trials_per_second(url: str, seconds: float) -> float:
    """Ask + tell with a random sampler, on an empty database."""
    study = _study(url)
    _run(study)
    began = time.perf_counter()
    done = 0
    while time.perf_counter() - began < seconds:
        _run(study)
        done += 1
    return done / (time.perf_counter() - began)


def points_per_second(url: str, seconds: float) -> float:
    """``trial.report`` alone, a hundred points a trial; asking and telling are not counted."""
    study = _study(url)
    spent, points = 0.0, 0
    while spent < seconds:
        trial = study.ask(SPACE)
        began = time.perf_counter()
        for step in range(100):
            trial.report(1.0 / (1 + step), step)
        spent += time.perf_counter() - began
        points += 100
        study.tell(trial, 0.5)
    return points / spent


def _study(url: str) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(storage=optuna.storages.RDBStorage(url), sampler=optuna.samplers.RandomSampler(seed=0))


def _run(study: optuna.Study) -> None:
    study.tell(study.ask(SPACE), 0.5)
