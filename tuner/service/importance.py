"""How much each parameter has to do with whether a trial is among the best of its study."""

from functools import partial

from pydantic import BaseModel, ConfigDict, Field

from tuner.errors import NoResult
from tuner.search.importance import QUANTILE, importances
from tuner.service import trajectories
from tuner.service.trajectories import Survey
from tuner.storage import trials
from tuner.storage.database import Connection, Database
from tuner.storage.frozen import frozen_trial
from tuner.storage.known_trials import search_space
from tuner.trial import TrialState

FEWEST = 10
"""Complete trials below which nothing can be said: the best tenth would not be a single one."""


class Share(BaseModel):
    """A parameter, and its share of all importance, in [0, 1]."""

    name: str
    share: float


class Importance(BaseModel):
    """The parameters that are searched, the most important first.

    The shares add up to 1, or are all 0 where no trial is better than another. ``trials`` complete ones have been
    looked at, of ``finished`` trials.
    """

    model_config = ConfigDict(frozen=True)

    parameters: list[Share]
    quantile: float = Field(description="Which part of the trials counts as the best.")
    trials: int
    finished: int


def importance(database: Database, name: str) -> Importance:
    """The importance of a study's parameters, by PED-ANOVA (Watanabe et al. 2023), from its complete trials.

    Raises:
        StudyNotFound: there is none.
        NoResult: it has fewer than `FEWEST` complete trials that are not excluded.
    """
    seen = trajectories.survey(database, name)
    return database.read(partial(_importance, seen=seen))


def _importance(connection: Connection, *, seen: Survey) -> Importance:
    study = seen.study
    space = search_space(study)
    records = trials.get_many(connection, study.id, seen.numbers)
    complete = [record for record in records.values() if record.state == TrialState.COMPLETE]
    shown = [frozen_trial(record, study, space) for record in sorted(complete, key=lambda record: record.number)]
    told = [trial for trial in shown if trial.values is not None]
    if len(told) < FEWEST:
        raise NoResult(f"study {study.name!r} has {len(told)} complete trials to compare: it takes {FEWEST}")
    shares = importances(told, study.directions)
    return Importance(
        parameters=[Share(name=name, share=share) for name, share in shares.items()],
        quantile=QUANTILE,
        trials=len(told),
        finished=seen.finished,
    )
