"""Asking an objective, and judging its answer: the one place where objectives are called.

Objectives are other people's code: what they answer is checked here for its shape and kind, and what they raise
becomes `ObjectiveFailed`. Leaving the finite numbers is a result, so callers silence floating-point warnings, once
around many evaluations: ``with np.errstate(all="ignore")``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.errors import ObjectiveFailed
from tuner.objectives.protocol import Array, Objective, Stochastic, Validated

RAISED = (Exception, SystemExit)
"""What other people's code may raise and is a failure of theirs: a call of ``sys.exit`` must not end a worker."""


def start(objective: Objective, seed: int) -> Array:
    """The start x_0, shape (D,), in the dtype that the whole descent has (integers become float64).

    Raises:
        ObjectiveFailed: the objective raised, or answered another shape or no real numbers.
    """
    question = "initial_parameters"
    try:
        answer = objective.initial_parameters(seed)
    except RAISED as error:
        raise _raised(objective, question, error) from error
    parameters = _numbers(objective, question, answer, (objective.dimension,))
    return parameters.astype(parameters.dtype if parameters.dtype.kind == "f" else np.float64)


def evaluate(objective: Objective, parameters: Array) -> tuple[Array, Array]:
    """Losses (B,) and gradients (B, D) at parameters (B, D): B gradient evaluations.

    The gradients have the dtype of the parameters.

    Raises:
        ObjectiveFailed: the objective raised, or answered other shapes or no real numbers.
    """
    question = "value_and_gradient"
    try:
        answer = objective.value_and_gradient(parameters)
    except RAISED as error:
        raise _raised(objective, question, error) from error
    return _value_and_gradient(objective, question, answer, parameters)


def evaluate_sample(
    objective: Stochastic, parameters: Array, rng: np.random.Generator, batch_size: int
) -> tuple[Array, Array]:
    """As `evaluate`, on one mini-batch of ``batch_size`` that ``rng`` draws and all rows share."""
    question = "sample_value_and_gradient"
    try:
        answer = objective.sample_value_and_gradient(parameters, rng, batch_size)
    except RAISED as error:
        raise _raised(objective, question, error) from error
    return _value_and_gradient(objective, question, answer, parameters)


def evaluate_validation(objective: Validated, parameters: Array) -> Array:
    """Validation losses (B,) at parameters (B, D). Costs no gradient evaluation; raises as `evaluate`."""
    question = "validation_value"
    try:
        answer = objective.validation_value(parameters)
    except RAISED as error:
        raise _raised(objective, question, error) from error
    return _numbers(objective, question, answer, parameters.shape[:1])


def _value_and_gradient(objective: object, question: str, answer: Any, parameters: Array) -> tuple[Array, Array]:
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise _failed(objective, question, f"a pair (losses, gradients) was expected, not {type(answer).__name__}")
    values = _numbers(objective, question, answer[0], parameters.shape[:1], "losses of ")
    gradients = _numbers(objective, question, answer[1], parameters.shape, "gradients of ")
    return values, gradients.astype(parameters.dtype, copy=False)


def _numbers(objective: object, question: str, answer: Any, shape: tuple[int, ...], what: str = "") -> NDArray[Any]:
    try:
        numbers = np.asarray(answer)
    except ValueError as error:
        raise _failed(objective, question, f"{what}no array: {error}") from error
    if numbers.shape != shape:
        raise _failed(objective, question, f"{what}shape {shape} expected, got {numbers.shape}")
    if numbers.dtype.kind not in "fiu":
        raise _failed(objective, question, f"{what}real numbers expected, got dtype {numbers.dtype}")
    return numbers


def _raised(objective: object, question: str, error: BaseException) -> ObjectiveFailed:
    return _failed(objective, question, f"{type(error).__name__}: {error}")


def _failed(objective: object, question: str, message: str) -> ObjectiveFailed:
    return ObjectiveFailed(f"{type(objective).__name__}.{question}: {message}")
