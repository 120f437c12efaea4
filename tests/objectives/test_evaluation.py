"""Answers of objectives that misbehave."""

from typing import Any

import numpy as np
import pytest

from tuner.errors import ObjectiveFailed
from tuner.objectives import evaluate, evaluate_sample, evaluate_validation, start


class Scripted:
    """Answers what it is told to, or raises it."""

    dimension = 2

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def _say(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def initial_parameters(self, seed: int) -> Any:
        return self._say()

    def value_and_gradient(self, parameters: Any) -> Any:
        return self._say()

    def validation_value(self, parameters: Any) -> Any:
        return self._say()

    def sample_value_and_gradient(self, parameters: Any, rng: Any, batch_size: int) -> Any:
        return self._say()


AT = np.zeros((3, 2), dtype=np.float32)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (RuntimeError("boom"), r"Scripted\.value_and_gradient: RuntimeError: boom"),
        (None, "a pair .* was expected, not NoneType"),
        ((np.zeros(3), AT, 1), "a pair"),
        ((np.zeros((3, 1)), AT), r"losses of shape \(3,\) expected, got \(3, 1\)"),
        ((0.0, AT), r"losses of shape \(3,\) expected, got \(\)"),
        ((np.zeros(3), np.zeros(2)), r"gradients of shape \(3, 2\) expected, got \(2,\)"),
        ((np.zeros(3), AT.astype(complex)), "gradients of real numbers expected, got dtype complex128"),
        ((np.array(["a", "b", "c"]), AT), "losses of real numbers expected"),
        ((np.zeros(3), [[1, 2], [3]]), "gradients of no array"),
    ],
)
def test_a_wrong_answer_is_the_objectives_failure(answer: Any, message: str) -> None:
    with pytest.raises(ObjectiveFailed, match=message):
        evaluate(Scripted(answer), AT)
    with pytest.raises(ObjectiveFailed, match=message.replace("value_and", "sample_value_and")):
        evaluate_sample(Scripted(answer), AT, np.random.default_rng(0), 4)


def test_start_and_validation_are_judged_too() -> None:
    with pytest.raises(ObjectiveFailed, match=r"initial_parameters: shape \(2,\) expected, got \(3,\)"):
        start(Scripted(np.zeros(3)), 0)
    with pytest.raises(ObjectiveFailed, match="initial_parameters: ValueError: no"):
        start(Scripted(ValueError("no")), 0)
    with pytest.raises(ObjectiveFailed, match=r"validation_value: shape \(3,\) expected, got \(1,\)"):
        evaluate_validation(Scripted(np.zeros(1)), AT)


def test_what_is_only_of_another_kind_is_converted() -> None:
    values, gradients = evaluate(Scripted(([1, 2, 3], np.ones((3, 2)))), AT)
    np.testing.assert_array_equal(values, [1, 2, 3])
    assert gradients.dtype == AT.dtype
    assert start(Scripted(np.array([0, -1])), 0).dtype == np.float64
    assert start(Scripted(np.zeros(2, dtype=np.float32)), 0).dtype == np.float32


def test_the_start_is_a_copy() -> None:
    origin = np.zeros(2)
    start(Scripted(origin), 0)[:] = 1
    np.testing.assert_array_equal(origin, 0)
