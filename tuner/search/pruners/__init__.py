"""Which running trials are not worth going on with.

A study's definition names a pruner; what a trial reports and what its peers were worth at the same step decide. Here
are settings and decisions only: no database, no clock, no state between calls. Adding a pruner is one line in
``tuner/search/pruners/registry.py``.
"""

from tuner.search.pruners.patience import Patient, Reference
from tuner.search.pruners.progress import Progress
from tuner.search.pruners.pruner import PEERS, Comparison, Pruner, ReportPruner, RungPruner
from tuner.search.pruners.registry import PRUNERS, PrunerType, pruner_of, resolve_pruner

__all__ = [
    "PEERS",
    "PRUNERS",
    "Comparison",
    "Patient",
    "Progress",
    "Pruner",
    "PrunerType",
    "Reference",
    "ReportPruner",
    "RungPruner",
    "pruner_of",
    "resolve_pruner",
]
