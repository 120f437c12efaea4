"""A study's trials in Optuna's terms, remembered: finished trials never change, so they are read once.

An Optuna program is shown every trial of a study at every trial; the service's own samplers look at fewer
(``shown_trials``). What is read each time is the trials that had not finished when last seen, and the new ones; what is
remembered grows with the study, as Optuna's own lists do.
"""

import copy
from collections.abc import Container, Iterable, Sequence

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from sqlalchemy import Connection

from tuner.storage import curves, trials
from tuner.storage.frozen import distributions, frozen_trial
from tuner.storage.studies import StudyRecord
from tuner.storage.trials import TrialRecord

_ROWS_A_QUERY = 1000


class KnownTrials:
    """The trials of one study, as last read. Not for several threads at once.

    Trials become visible in the order of their numbers, because whoever creates one holds the study's row: all that
    is new has a higher number than all that is known.
    """

    def __init__(self) -> None:
        self.distributions: dict[str, BaseDistribution] = {}
        """The distribution of each parameter: the definition's, or the one that it was first seen with."""
        self._trials: dict[int, FrozenTrial] = {}
        self._unfinished: set[int] = set()

    def refresh(self, connection: Connection, study: StudyRecord) -> None:
        """Read what may have changed."""
        self.distributions |= search_space(study)
        changed: list[TrialRecord] = []
        unfinished = sorted(self._unfinished)
        for start in range(0, len(unfinished), _ROWS_A_QUERY):
            some = unfinished[start : start + _ROWS_A_QUERY]
            changed += trials.get_many(connection, study.id, some).values()
        newest = next(reversed(self._trials), -1)
        changed += trials.page(connection, study.id, after=newest)
        for trial in _frozen(connection, study, changed):
            self._trials[trial.number] = trial
            if trial.state.is_finished():
                self._unfinished.discard(trial.number)
            else:
                self._unfinished.add(trial.number)
            for name, distribution in trial.distributions.items():
                self.distributions.setdefault(name, distribution)

    def select(self, states: Container[OptunaState], *, deepcopy: bool) -> list[FrozenTrial]:
        """The trials of those states, by number."""
        selected = [trial for trial in self._trials.values() if trial.state in states]
        return copy.deepcopy(selected) if deepcopy else selected


def read_trials(connection: Connection, study: StudyRecord, states: Sequence[str]) -> list[FrozenTrial]:
    """The trials of those states, read anew, by number."""
    return list(_frozen(connection, study, trials.page(connection, study.id, states=states)))


def search_space(study: StudyRecord) -> dict[str, BaseDistribution]:
    """The distributions of a study's definition; none where it has no definition."""
    if study.definition is None:
        return {}
    return distributions(study.definition.search_space)


def _frozen(connection: Connection, study: StudyRecord, records: Sequence[TrialRecord]) -> Iterable[FrozenTrial]:
    space = search_space(study)
    metric = study.curve_metric
    for start in range(0, len(records), _ROWS_A_QUERY):
        some = records[start : start + _ROWS_A_QUERY]
        attempts = [(record.id, record.attempt) for record in some]
        found = curves.read_many(connection, attempts)
        for record in some:
            yield frozen_trial(record, study, space, found.get(record.id, {}).get(metric))
