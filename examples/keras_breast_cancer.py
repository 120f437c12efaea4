"""Keras: learning rate and steps for a small network on the breast cancer data, against SGD's default rate.

Run it as ``python -m examples.keras_breast_cancer``; `examples/README.md` says what to look at.
"""

import os
import sys
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")
# Arrays of this size are done before a second thread has begun.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from examples.serving import address, arguments
from tuner.client import Client
from tuner.client.keras import TrialCallback

STEPS = 200
"""The most updates that a training may have, and those that the default rate gets."""

BATCH = 32
TRIALS = 20
FINAL_SEEDS = range(100, 105)
"""Of the comparison: none of them took part in the search."""


@dataclass(frozen=True)
class Part:
    """Rows of the data: 30 measurements each, standardised by the training rows, and whether the tumour is benign."""

    x: np.ndarray
    y: np.ndarray


def parts() -> tuple[Part, Part, Part]:
    """For training, validation and test: 341, 114 and 114 rows."""
    x, y = load_breast_cancer(return_X_y=True)
    train, rest = train_test_split(range(len(y)), train_size=0.6, random_state=0, stratify=y)
    validation, test = train_test_split(rest, train_size=0.5, random_state=0, stratify=y[rest])
    scaler = StandardScaler().fit(x[train])
    scaled = scaler.transform(x).astype("float32")
    train, validation, test = (Part(scaled[rows], y[rows]) for rows in (train, validation, test))
    return train, validation, test


def network(seed: int, learning_rate: float | None) -> keras.Model:
    """A compiled network; without a rate, at Keras's own. The seed is also that of the batches to come."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [keras.Input((30,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1, activation="sigmoid")]
    )
    rate = {} if learning_rate is None else {"learning_rate": learning_rate}
    model.compile(optimizer=keras.optimizers.SGD(**rate), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def tested(train: Part, test: Part, seed: int, learning_rate: float | None, steps: int) -> str:
    """How a network does on the test rows after so many updates."""
    model = network(seed, learning_rate)

    def stop(*_: Any, **__: Any) -> None:
        model.stop_training = int(model.optimizer.iterations) >= steps

    enough = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
    model.fit(train.x, train.y, batch_size=BATCH, epochs=steps, verbose=0, callbacks=[enough])
    loss, accuracy = model.evaluate(test.x, test.y, verbose=0)
    return f"loss {loss:.4f}, accuracy {accuracy:.3f}"


def main() -> int:
    chosen = arguments(__doc__).parse_args()
    train, validation, test = parts()
    with address(chosen.url) as url, Client(url) as client:
        study = client.study(
            f"keras-breast-cancer-{chosen.seed}",
            learning_rate=(1e-4, 10.0),
            steps=(20, STEPS),
            goal="minimize val_loss",
            sampler={"name": "tpe", "seed": chosen.seed},
            trials=TRIALS,
        )
        for trial in study:
            with trial:
                history = network(chosen.seed, trial.learning_rate).fit(
                    train.x,
                    train.y,
                    batch_size=BATCH,
                    epochs=trial.steps,
                    validation_data=(validation.x, validation.y),
                    verbose=0,
                    callbacks=[TrialCallback(trial)],
                )
                loss = history.history["val_loss"][-1]
                trial.tell(val_loss=loss, val_accuracy=history.history["val_accuracy"][-1])
                point = f"rate {trial.learning_rate:8.2g}, {trial.steps:3} steps"
                print(f"trial {trial.number:2}: {point}: val_loss {loss:.4f}")
        best = study.best
    rate, steps = best.learning_rate, best.steps
    default = float(keras.optimizers.SGD().learning_rate)
    print(f"best: rate {rate:.2g}, {steps} steps\n")
    print(f"Keras {keras.__version__} on {keras.backend.backend()}; {len(test.y)} test rows, never looked at so far")
    print(f"seed   {f'default rate {default:g}, {STEPS} steps':<32}found rate {rate:.2g}, {steps} steps")
    for seed in FINAL_SEEDS:
        print(f"{seed:4}   {tested(train, test, seed, None, STEPS):<32}{tested(train, test, seed, rate, steps)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
