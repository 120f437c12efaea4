"""The Keras callback, where Keras and a backend are installed: its steps against a closed form, and how it stops."""

import importlib
import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.client.descending import RATE, curve, one_trial
from tuner.client import Client, Trial
from tuner.errors import InvalidInput

pytestmark = [
    pytest.mark.parametrize("backend", ["sqlite"], indirect=True),
    # Of Keras and its backends, among themselves.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

HALVES = np.array([[1.0], [1.0]], dtype="float32")


@pytest.fixture(scope="module")
def keras() -> Iterator[ModuleType]:
    pytest.importorskip("keras", reason="Keras is not installed: pip install keras torch", exc_type=ImportError)
    module: ModuleType = importlib.import_module("keras")
    yield module
    module.backend.clear_session()


def setup_module() -> None:
    # As users do: chosen before Keras is loaded.
    os.environ.setdefault("KERAS_BACKEND", "torch")


def callback(trial: Trial, **options: Any) -> Any:
    return importlib.import_module("tuner.client.keras").TrialCallback(trial, **options)


def model_of(keras: ModuleType, rate: float = RATE, **options: Any) -> Any:
    """w · x with w = 1 at the start, and mean squared error: at x = 1, y = 0 an update takes w times 1 - 2 · rate."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    compiled = {name: options.pop(name) for name in ("metrics", "steps_per_execution") if name in options}
    model.compile(optimizer=keras.optimizers.SGD(rate, **options), loss="mse", **compiled)
    return model


def fit(model: Any, *callbacks: Any, batches: int, epochs: int, **options: Any) -> Any:
    """Epochs of equal batches of two rows."""
    x = np.ones((2 * batches, 1), dtype="float32")
    return model.fit(x, 0 * x, batch_size=2, epochs=epochs, verbose=0, callbacks=list(callbacks), **options)


def loss_after(updates: int, rate: float = RATE) -> float:
    return (1 - 2 * rate) ** (2 * updates)


def mean(first: int, end: int) -> float:
    """Of the losses after first … end - 1 updates."""
    return float(np.mean([loss_after(step) for step in range(first, end)]))


def test_each_batchs_loss_is_that_of_the_step_before_its_update(keras: ModuleType, client: Client, url: str) -> None:
    trial = one_trial(client, 12)
    model = model_of(keras)
    fit(model, callback(trial), batches=5, epochs=12)
    assert model.optimizer.iterations == 12
    told = trial.tell(loss=model.evaluate(HALVES, 0 * HALVES, verbose=0))
    assert (told.state, told.steps_run) == ("complete", 12)
    assert told.values is not None
    assert told.values["loss"] == pytest.approx(loss_after(12), rel=1e-5)
    # Keras's running mean is of single precision, and of losses up to 1.
    assert curve(url) == pytest.approx({step: loss_after(step) for step in range(12)}, rel=1e-5, abs=1e-6)


def test_several_batches_are_reported_as_their_mean_at_the_last_of_them(
    keras: ModuleType, client: Client, url: str
) -> None:
    trial = one_trial(client, 100)
    fit(model_of(keras), callback(trial, every=2), batches=5, epochs=2)
    trial.flush()
    expected = {
        1: mean(0, 2),
        3: mean(2, 4),
        4: mean(4, 5),
        6: mean(5, 7),
        8: mean(7, 9),
        9: mean(9, 10),
    }
    assert curve(url) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_epochs_report_what_keras_says_at_the_steps_where_it_was(keras: ModuleType, client: Client, url: str) -> None:
    trial = one_trial(client, 100)
    model = model_of(keras, metrics=["mae"])
    said = fit(model, callback(trial, every=None), batches=5, epochs=3, validation_data=(HALVES, 0 * HALVES)).history
    trial.flush()
    assert curve(url) == dict(zip((4, 9, 14), said["loss"], strict=True))
    assert curve(url) == pytest.approx({4: mean(0, 5), 9: mean(5, 10), 14: mean(10, 15)}, rel=1e-5)
    assert curve(url, "mae") == dict(zip((4, 9, 14), said["mae"], strict=True))
    assert curve(url, "val_mae") == dict(zip((5, 10, 15), said["val_mae"], strict=True))
    assert curve(url, "val_loss") == pytest.approx({step: loss_after(step) for step in (5, 10, 15)}, rel=1e-5)


def test_steps_are_updates_where_several_batches_make_one(keras: ModuleType, client: Client, url: str) -> None:
    trial = one_trial(client, 4)
    model = model_of(keras, gradient_accumulation_steps=2)
    fit(model, callback(trial), batches=4, epochs=10)
    assert model.optimizer.iterations == 4
    assert trial.tell(loss=1.0).state == "complete"
    assert curve(url) == pytest.approx({step: loss_after(step) for step in range(4)}, rel=1e-5, abs=1e-6)


def test_the_count_goes_on_in_another_fit(keras: ModuleType, client: Client, url: str) -> None:
    trial = one_trial(client, 10)
    model, reporting = model_of(keras), callback(trial)
    fit(model, reporting, batches=3, epochs=1)
    fit(model, reporting, batches=3, epochs=10)
    assert model.optimizer.iterations == 10
    trial.flush()
    assert curve(url) == pytest.approx({step: loss_after(step) for step in range(10)}, rel=1e-5, abs=1e-6)


def test_several_batches_in_one_call_are_counted(keras: ModuleType, client: Client, url: str) -> None:
    trial = one_trial(client, 8)
    reporting, model = callback(trial), model_of(keras)
    # As Keras calls back with steps_per_execution=4, which its PyTorch backend does not have.
    reporting.set_model(model)
    for epoch, stopped in enumerate((False, True)):
        model.stop_training = False
        reporting.on_epoch_begin(epoch)
        reporting.on_train_batch_end(3, {"loss": 0.25})
        reporting.on_epoch_end(epoch, {"loss": 0.25})
        assert model.stop_training is stopped
    trial.flush()
    assert curve(url) == {3: 0.25, 7: 0.25}


def test_without_steps_training_is_as_long_as_fit_says(keras: ModuleType, client: Client, url: str) -> None:
    [trial] = client.study("s", learning_rate=RATE, sampler="random").ask()
    model = model_of(keras)
    fit(model, callback(trial), batches=2, epochs=3)
    assert model.optimizer.iterations == 6
    trial.flush()
    assert list(curve(url)) == list(range(6))


def test_a_loss_that_is_not_finite_stops_the_training(keras: ModuleType, client: Client, url: str) -> None:
    trial = one_trial(client, 1000, rate=50.0)
    model = model_of(keras, rate=50.0)
    fit(model, callback(trial), batches=1, epochs=1000)
    # 99^(2k) passes the largest number of single precision, 3.4e38, at k = 10.
    assert model.optimizer.iterations == 11
    assert trial.stop_reason == "loss is Infinity at step 10"
    assert trial.tell(loss=float("inf")).state == "complete"
    assert list(curve(url)) == list(range(11))


def test_the_pruner_stops_the_training(keras: ModuleType, client: Client) -> None:
    pruner = {"name": "threshold", "settings": {"upper": 0.9, "n_warmup_steps": 3}}
    trial = one_trial(client, 1000, rate=1e-6, pruner=pruner)

    class Impatient(keras.callbacks.Callback):  # type: ignore[name-defined,misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            trial.flush()

    model = model_of(keras, rate=1e-6)
    reporting = callback(trial)
    fit(model, Impatient(), reporting, batches=10, epochs=10)
    # Batch 4 reports step 3; the flush of batch 5 asks.
    assert model.optimizer.iterations == 5
    assert trial.tell(loss=1.0).state == "pruned"


def test_an_interval_is_at_least_one_batch(keras: ModuleType, client: Client) -> None:
    with pytest.raises(InvalidInput, match=r"^every: "):
        callback(one_trial(client, 10), every=0)
