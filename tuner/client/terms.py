"""On which terms a process runs the trials of a study: what they all share."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.client.rounds import Rounds
from tuner.client.transport import Transport

if TYPE_CHECKING:
    from tuner.client.trial import Trial


@dataclass(frozen=True)
class Terms:
    """On which terms this process runs a study's trials.

    path: of the study. goal: the metric that the study is about. arrived: whether a value of it is all that is wanted,
    so that a trial may end there. stop_diverging: whether a trial whose loss is not finite is to stop.
    lease_seconds: of each lease. progress_deadline: seconds without a sign of progress after which a lease is not
    renewed; they run from the first sign. running: the trials that have no result yet.
    """

    transport: Transport
    rounds: Rounds
    path: str
    goal: str | None
    arrived: Callable[[float], bool]
    stop_diverging: bool
    lease_seconds: float
    progress_deadline: float | None
    running: "weakref.WeakSet[Trial]"
