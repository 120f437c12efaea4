"""Use case: how far a trial's learning rate sits from the limit above which descent is unstable."""

import math
from typing import NamedTuple

from tuner.analysis.verdict import Name
from tuner.definition import Study
from tuner.service import points, stability
from tuner.storage.database import Database
from tuner.trial import Trial

CAME_DOWN = {Name.CONVERGED, Name.IMPROVING, Name.OVERFITTING}
"""Verdicts on runs whose loss has fallen, and stayed down."""

UNSEEN = 1e6
"""How many times a deviation may grow unseen: it begins as small as rounding is at single precision."""

METHOD = {"update_rule", "momentum"}
"""Parameters that move the limit: where a study searches one, what holds of one trial holds of no other."""


class Edge(NamedTuple):
    """A rate beside its limit. ``source`` says how the limit is known.

    ``left_behind``: the run came down beyond the limit, and took more steps than being unstable there would have let
    it. So the limit does not hold where it went: the loss is flatter there.
    """

    rate: float
    limit: float
    source: str
    left_behind: bool = False

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
            return _edge(trial, float(rate), sat.limit, "measured at the start")
    own = (trial.evidence or {}).get("limit")
    if own:
        return _edge(
            trial,
            float(rate),
            own,
            "told by how it diverged" if trial.verdict == "diverged" else "measured at the start",
        )
    definition = study.definition
    if (
        not thorough
        or definition is None
        or METHOD & (definition.search_space.keys() - definition.fixed_parameters.keys())
    ):
        return None
    found = points.read(database, study.address).limit
    return None if found is None else _edge(trial, float(rate), found.rate, found.source)


def _edge(trial: Trial, rate: float, limit: float, source: str) -> Edge:
    # Beyond the limit 2/L a step multiplies the deviation along the steepest direction by 1 - rate * L.
    growth = 2 * rate / limit - 1
    left_behind = growth > 1 and (trial.steps_run or 0) * math.log(growth) > math.log(UNSEEN)
    return Edge(rate, limit, source, left_behind and trial.verdict in CAME_DOWN)
