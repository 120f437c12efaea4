"""scikit-learn's ``partial_fit`` against the real service: steps, measurements, and how it ends."""

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import SGDRegressor
from sklearn.neural_network import MLPRegressor

from tests.client.descending import RATE, curve, one_trial
from tuner.client import Client
from tuner.client.sklearn import partial_fit
from tuner.errors import InvalidInput

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

X, Y = np.array([[1.0]]), np.array([0.0])


def descent(rate: float = RATE) -> SGDRegressor:
    """One row (1, 0) and the loss w²/2: an update multiplies w, which begins at 1, by 1 - rate."""
    model = SGDRegressor(
        loss="squared_error", penalty=None, learning_rate="constant", eta0=rate, fit_intercept=False, random_state=0
    )
    model.partial_fit(X, Y)
    model.coef_[:] = 1.0
    return model


def half_square(model: SGDRegressor) -> float:
    return float(model.predict(X)[0] ** 2 / 2)


def after(updates: int) -> float:
    return (1 - RATE) ** (2 * updates) / 2


def test_a_step_is_a_call_and_what_is_measured_comes_after_it(client: Client, url: str) -> None:
    trial = one_trial(client, 25)
    loss = partial_fit(trial, descent(), [(X, Y)], half_square, every=10)
    assert loss == pytest.approx(after(25))
    told = trial.tell(loss=loss)
    assert (told.state, told.steps_run) == ("complete", 25)
    assert curve(url) == pytest.approx({10: after(10), 20: after(20), 25: after(25)})


class Recorder:
    """What an estimator's ``partial_fit`` was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def partial_fit(self, *arguments: Any, **named: Any) -> None:
        self.calls.append((*arguments, named))


def test_each_call_gets_the_next_batch_and_the_arguments(client: Client, url: str) -> None:
    estimator = Recorder()
    trial = one_trial(client, 5)
    found = partial_fit(
        trial, estimator, [("a", 1), ("b", 2)], lambda model: len(model.calls), metric="calls", every=2, classes=[0]
    )
    assert found == 5
    named = {"classes": [0]}
    assert estimator.calls == [("a", 1, named), ("b", 2, named), ("a", 1, named), ("b", 2, named), ("a", 1, named)]
    trial.flush()
    assert curve(url, "calls") == {2: 2.0, 4: 4.0, 5: 5.0}


def test_a_pruned_trial_ends_with_what_it_has(client: Client, url: str) -> None:
    trial = one_trial(client, 1000, pruner={"name": "threshold", "settings": {"upper": 100.0}})

    def measure(model: Recorder) -> float:
        if len(model.calls) == 20:
            trial.report(20, loss=500)
            trial.flush()
        return float(len(model.calls))

    assert partial_fit(trial, Recorder(), [()], measure, metric="calls", every=20) == 20
    told = trial.tell(loss=1.0)
    assert (told.state, told.reason) == ("pruned", trial.stop_reason)
    assert curve(url, "calls") == {20: 20.0}


def test_a_trial_that_should_stop_between_measurements_is_measured_once_more(client: Client, url: str) -> None:
    trial = one_trial(client, 1000)

    class Diverging(Recorder):
        def partial_fit(self, *arguments: Any, **named: Any) -> None:
            super().partial_fit(*arguments, **named)
            if len(self.calls) == 23:
                trial.report(23, loss=math.nan)

    assert partial_fit(trial, Diverging(), [()], lambda model: len(model.calls), metric="calls") == 23
    trial.flush()
    assert curve(url, "calls") == {10: 10.0, 20: 20.0, 23: 23.0}


def test_training_that_leaves_the_finite_numbers_is_a_result(client: Client, url: str) -> None:
    trial = one_trial(client, 1000)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 5))
    y = x.sum(axis=1)
    model = MLPRegressor(solver="sgd", learning_rate_init=1e3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        loss = partial_fit(trial, model, [(x, y)], lambda model: ((model.predict(x) - y) ** 2).mean(), every=100)
    assert math.isnan(loss)
    assert trial.stop_reason is not None
    assert trial.stop_reason.startswith("loss is NaN at step ")
    assert trial.tell(loss=loss).state == "complete"
    assert list(curve(url).values()) == ["NaN"]


def test_any_other_refusal_of_scikit_learn_is_raised(client: Client) -> None:
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        partial_fit(one_trial(client, 5), descent(), [(X, np.array([0.0, 1.0]))], half_square)


def once() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield X, Y


def test_what_cannot_be_is_refused_by_its_name(client: Client) -> None:
    trial = one_trial(client, 5)
    with pytest.raises(InvalidInput, match=r"^every: "):
        partial_fit(trial, descent(), [(X, Y)], half_square, every=0)
    with pytest.raises(InvalidInput, match=r"^batches: "):
        partial_fit(trial, descent(), once(), half_square)
    with pytest.raises(InvalidInput, match=r"^values\.loss: "):
        partial_fit(trial, descent(), [(X, Y)], lambda _: None, every=1)
