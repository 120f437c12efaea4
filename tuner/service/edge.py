"""Use case: how far a trial's learning rate sits from the limit above which descent is unstable."""

from typing import NamedTuple

from tuner.definition import Study
from tuner.service import points, stability
from tuner.storage.database import Database
from tuner.trial import Trial

METHOD = {"update_rule", "momentum"}
"""Parameters that move the limit: where a study searches one, what holds of one trial holds of no other."""


class Edge(NamedTuple):
    """A rate beside its limit. ``source`` says how the limit is known."""

    rate: float
    limit: float
    source: str

    @property
    def ratio(self) -> float:
        """Below 1 descent is stable there."""
        return self.rate / self.limit


def edge_of(database: Database, study: Study, trial: Trial, *, thorough: bool = True) -> Edge | None:
    """Where a trial sits, by what was measured, or what its own curve tells, or that of another; None where none does.

    To look for another trial that tells takes all of them as columns, which takes a second for the first look at a
    hundred thousand; ``thorough`` says whether to.

    Raises:
        StudyNotFound: there is no such study.
    """
    rate = trial.parameters.get("learning_rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        return None
    if study.definition is not None and study.definition.objective is not None:
        # A page of one trial: the one after the number before.
        before = str(trial.number - 1) if trial.number else None
        [sat] = stability.read(database, study.address, page_size=1, page_token=before).trials
        if sat.limit is not None:
            return Edge(float(rate), sat.limit, "measured at the start")
    own = (trial.evidence or {}).get("limit")
    if own:
        return Edge(float(rate), own, "as it diverged" if trial.verdict == "diverged" else "measured at the start")
    definition = study.definition
    if (
        not thorough
        or definition is None
        or METHOD & (definition.search_space.keys() - definition.fixed_parameters.keys())
    ):
        return None
    found = points.read(database, study.address).limit
    return None if found is None else Edge(float(rate), found.rate, found.source)
