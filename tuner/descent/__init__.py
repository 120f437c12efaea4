"""Descent: runs many learning rates at once on one objective, and records every row's whole curve."""

from tuner.descent.curves import Curve
from tuner.descent.loop import Descent, measures_validation
from tuner.descent.method import Method
from tuner.descent.row import Checkpoint, Row, RowResult
from tuner.descent.rules import RULES, RuleSetting, UpdateRule, find_rule

__all__ = [
    "RULES",
    "Checkpoint",
    "Curve",
    "Descent",
    "Method",
    "Row",
    "RowResult",
    "RuleSetting",
    "UpdateRule",
    "find_rule",
    "measures_validation",
]
