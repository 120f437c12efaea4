"""How much there is and what is being done, over all studies: for whoever watches over the service."""

from dataclasses import dataclass
from typing import get_args

from tuner.service import workers
from tuner.storage import totals
from tuner.storage.database import Database
from tuner.storage.studies import StudyState
from tuner.trial import TrialState


@dataclass(frozen=True)
class Overview:
    """Studies, trials and workers by state (every state is there), lost leases, gradient evaluations spent."""

    studies: dict[str, int]
    trials: dict[str, int]
    workers: dict[str, int]
    lost_leases: int
    gradient_evaluations: int


def overview(database: Database) -> Overview:
    """What is stored now: deleting a study takes its part away."""
    found = database.read(totals.totals)
    alive = [worker for worker in workers.listed(database) if worker.alive]
    busy = sum(1 for worker in alive if worker.study is not None)
    return Overview(
        studies={str(state): found.studies.get(state, 0) for state in get_args(StudyState)},
        trials={str(state): found.trials.get(state, 0) for state in TrialState},
        workers={"busy": busy, "idle": len(alive) - busy},
        lost_leases=found.lost_leases,
        gradient_evaluations=found.gradient_evaluations,
    )
