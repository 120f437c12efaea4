"""Verdicts: what a loss curve says about its learning rate and its length, with the numbers that decided.

The curve may come from anywhere: any scale, any shift, noise of mini-batches, gaps in its steps, NaN and infinity
inside. So no threshold is one on losses. All is measured in *falls* (from the start to the end), in noise, or as a
ratio of rises. Medians of stretches of steps stand for the curve; the cost is that of a few medians over its points.
"""

from tuner.analysis.verdict.judgement import Verdict, judge
from tuner.analysis.verdict.names import Name

__all__ = ["Name", "Verdict", "judge"]
