"""The worker: leases a batch of trials, descends, reports, tells; and drains when it is told to stop."""

from tuner.worker.loop import Worker
from tuner.worker.places import LocalProcesses, Place, ThisProcess
from tuner.worker.sweeper import Sweeper

__all__ = ["LocalProcesses", "Place", "Sweeper", "ThisProcess", "Worker"]
