"""Descents that are known already: trials that differ in their steps alone are one descent, of several lengths.

With the full gradient a run of n steps contains every shorter one. So a trial whose descent has been run at least as
far is answered from that curve, at no gradient evaluation: a grid over step counts at one rate costs a single descent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuner.service.report import NewPoints
from tuner.service.tell import Ending
from tuner.storage import curves, studies, trials
from tuner.storage.curves import Curve
from tuner.storage.database import Connection, Database
from tuner.trial import Lease, Outcome, descent_of

LOSS = "loss"


def apart(leases: Sequence[Lease]) -> tuple[list[Lease], list[Lease]]:
    """The longest trial of each descent, and the others: these are known once the longest has been run."""
    longest: dict[str, Lease] = {}
    for lease in leases:
        key = descent_of(lease.parameters)
        if key is not None and (key not in longest or _steps(lease) > _steps(longest[key])):
            longest[key] = lease
    first = [lease for lease in leases if longest.get(descent_of(lease.parameters) or "", lease) is lease]
    chosen = {lease.number for lease in first}
    return first, [lease for lease in leases if lease.number not in chosen]


def known(database: Database, name: str, leases: Sequence[Lease]) -> list[Ending]:
    """The results of those of the trials whose descent is known far enough.

    Raises:
        StudyNotFound: the study is gone.
    """
    keys = {lease.number: key for lease in leases if (key := descent_of(lease.parameters)) is not None}

    def work(connection: Connection) -> list[Ending]:
        study = studies.get(connection, name)
        sources = trials.longest(connection, study.id, sorted(set(keys.values())))
        grown = curves.read_many(connection, [(source.id, source.attempt) for source in sources.values()])
        endings = []
        for lease in leases:
            source = sources.get(keys.get(lease.number, ""))
            ending = None if source is None else _ending(lease, grown.get(source.id, {}))
            if ending is not None:
                endings.append(ending)
        return endings

    return database.read(work) if keys else []


def _ending(lease: Lease, known: Mapping[str, Curve]) -> Ending | None:
    """The result of a trial as its descent's curves say it; None where they do not."""
    loss = known.get(LOSS)
    if loss is None or not len(loss.steps):
        return None
    last = min(_steps(lease), int(loss.steps[-1]))
    cut = {metric: _until(curve, last) for metric, curve in known.items()}
    left_finite_numbers = not np.isfinite(cut[LOSS].values[-1])
    if last < _steps(lease) and not left_finite_numbers:
        return None
    if any(not len(curve.steps) or curve.steps[-1] != last for curve in cut.values()):
        # Validation is measured where a run ends, and the longer run went on there.
        return None
    return Ending(
        lease.number,
        lease.attempt,
        "complete",
        values={metric: float(curve.values[-1]) for metric, curve in cut.items()},
        steps_run=last,
        gradient_evaluations=0,
        outcome=Outcome.LEFT_FINITE_NUMBERS if left_finite_numbers else Outcome.RAN_ITS_STEPS,
        curves=[NewPoints(metric, curve.steps, curve.values) for metric, curve in cut.items()],
    )


def _until(curve: Curve, last: int) -> Curve:
    count = int(np.searchsorted(curve.steps, last, side="right"))
    return Curve(curve.steps[:count], curve.values[:count])


def _steps(lease: Lease) -> int:
    steps: Any = lease.parameters["steps"]
    return int(steps)
