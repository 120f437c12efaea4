"""Whether an objective's gradient is the slope of its loss: one central difference along a random direction.

A gradient that is wrong by a factor or a sign still moves the parameters, and every rate that is then found is right
for another problem. Along the line from x - h·d to x + h·d the loss changes by the integral of the slope g·d, which the
trapezoid of its ends gives exactly where the loss is quadratic. So two evaluations decide, and none at x itself.
"""

import math
from dataclasses import dataclass

import numpy as np

from tuner.objectives import Array, Objective, evaluate

EVALUATIONS = 2
"""Gradient evaluations that a check takes."""

_ROUNDINGS = 64.0
"""By how many units in its last place a loss may be off: it is a sum over data, or over parameters."""

_SLACK = 4.0
"""Relative error that is forgiven, in units of the relative step h."""


@dataclass(frozen=True)
class GradientCheck:
    """What a check found.

    difference: the change of the loss over the step. predicted: what the gradient says that it is.
    relative_error: of the two, relative to the larger one; None where they are not finite.
    tolerance: the relative error that the step, the rounding and a bend or a kink of the loss explain.
    """

    difference: float
    predicted: float
    relative_error: float | None
    tolerance: float

    @property
    def wrong(self) -> bool:
        """Whether the gradient is wrong. Where the loss is not finite nobody can say."""
        return self.relative_error is not None and self.relative_error > self.tolerance


def check_gradient(objective: Objective, parameters: Array, *, seed: int = 0) -> GradientCheck:
    """Compare the gradient at the parameters x, shape (D,), with a difference of losses: 2 gradient evaluations.

    The step h is ε^(1/3)·max(1, ‖x‖) for the unit rounding ε of the parameters (Dennis and Schnabel, Numerical Methods
    for Unconstrained Optimization, 1983, section 5.4). What a kink or a bend between the two points can do to the slope
    is at most the difference of the slopes at its ends, where the slope is monotone; that much is forgiven.

    Raises:
        ObjectiveFailed: the objective raised, or answered other shapes or no real numbers.
    """
    x = parameters.astype(np.float64)
    direction = np.random.default_rng(seed).normal(size=x.shape)
    direction /= np.linalg.norm(direction)
    epsilon = float(np.finfo(parameters.dtype).eps)
    relative_step = epsilon ** (1 / 3)
    width = relative_step * max(1.0, float(np.linalg.norm(x)))
    ends = np.stack([x + width * direction, x - width * direction]).astype(parameters.dtype)
    with np.errstate(all="ignore"):
        values, gradients = evaluate(objective, ends)
        # Where the ends really are, once they are rounded.
        across = ends[0].astype(np.float64) - ends[1].astype(np.float64)
        losses = values.astype(np.float64)
        slopes = gradients.astype(np.float64) @ across
        difference, predicted = float(losses[0] - losses[1]), float(slopes.mean())
        size = max(abs(difference), abs(predicted))
        rounding = _ROUNDINGS * epsilon * float(np.abs(losses).max())
        bend = float(abs(slopes[0] - slopes[1])) / 2
    if not math.isfinite(size) or not math.isfinite(bend):
        return GradientCheck(difference, predicted, None, 0.0)
    if size == 0:
        return GradientCheck(difference, predicted, 0.0, 0.0)
    tolerance = _SLACK * relative_step + (rounding + bend) / size
    return GradientCheck(difference, predicted, abs(difference - predicted) / size, tolerance)
