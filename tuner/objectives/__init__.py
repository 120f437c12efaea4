"""Objectives: gradient-descent problems that the service runs itself.

To add one of ours: one file beside the others, one line in the table below. To bring your own, decorate it with
`register` in a module of yours, and name the module to ``--objectives`` or in an entry point ``tuner.objectives``.
"""

from tuner.objectives.beale import Beale
from tuner.objectives.evaluation import evaluate, evaluate_sample, evaluate_validation, start
from tuner.objectives.line_fit import LineFit
from tuner.objectives.linear_regression import LinearRegression
from tuner.objectives.loading import load_entry_points, load_module
from tuner.objectives.logistic_regression import LogisticRegression
from tuner.objectives.network import Network
from tuner.objectives.protocol import (
    Array,
    KnownCurvature,
    KnownMinimum,
    KnownOptimum,
    Named,
    Objective,
    Stochastic,
    Validated,
)
from tuner.objectives.quadratic import Quadratic
from tuner.objectives.registry import ObjectiveType, create, find, register, registered, resolve_settings
from tuner.objectives.rosenbrock import Rosenbrock

register("line_fit")(LineFit)
register("quadratic")(Quadratic)
register("rosenbrock")(Rosenbrock)
register("beale")(Beale)
register("linear_regression")(LinearRegression)
register("logistic_regression")(LogisticRegression)
register("network")(Network)

__all__ = [
    "Array",
    "KnownCurvature",
    "KnownMinimum",
    "KnownOptimum",
    "Named",
    "Objective",
    "ObjectiveType",
    "Stochastic",
    "Validated",
    "create",
    "evaluate",
    "evaluate_sample",
    "evaluate_validation",
    "find",
    "load_entry_points",
    "load_module",
    "register",
    "registered",
    "resolve_settings",
    "start",
]
