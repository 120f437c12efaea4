"""Trajectory search: the learning rate and the step count, by a search that knows what a step is.

A descent at one rate answers for every step count up to its length, and can be continued; so a search over both
numbers is a search over rates alone, that decides how far to follow each. `plan` decides, and knows no database, no
objective and no clock; whoever carries it out runs descents: `carry_out` does in memory. Where others train, `propose`
names rates to them, and `hopeless` says which to stop.
"""

from tuner.search.trajectory.carry_out import Progress, carry_out
from tuner.search.trajectory.planner import plan
from tuner.search.trajectory.proposals import hopeless, propose
from tuner.search.trajectory.requests import Arm, Limit, Pass, Plan, Probe, Request, Run, Task, Trajectory
from tuner.search.trajectory.trained import Trained

__all__ = [
    "Arm",
    "Limit",
    "Pass",
    "Plan",
    "Probe",
    "Progress",
    "Request",
    "Run",
    "Task",
    "Trained",
    "Trajectory",
    "carry_out",
    "hopeless",
    "plan",
    "propose",
]
