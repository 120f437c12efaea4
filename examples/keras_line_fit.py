"""Keras: the tutorial problem that everybody can check by hand, trained by a client of its own.

100 points, y = 0.1·x + 0.5 and some noise, mean squared error, full batches, start at w = 0, b = -1. Gradient descent
converges at rates below 2/L, where L is the loss's largest curvature. Run it as ``python -m examples.keras_line_fit``;
`examples/README.md` says what to look at.
"""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")
# Arrays of this size are done before a second thread has begun.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import numpy as np

from examples.serving import address, arguments
from tuner.client import Client, Trial
from tuner.client.keras import TrialCallback

STEPS = 200
TRIALS = 25
FAR = 100.0
"""A loss that no converging run has: the start's is 2.4."""


def points() -> tuple[np.ndarray, np.ndarray]:
    """x and y, (100, 1) each, single precision."""
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 1, 100)
    y = 0.1 * x + 0.5 + rng.normal(0, 0.01, 100)
    return x[:, None].astype("float32"), y[:, None].astype("float32")


def curvatures(x: np.ndarray) -> np.ndarray:
    """Eigenvalues of the loss's Hessian, ascending: it is 2/n · AᵀA with the rows (x, 1) in A."""
    design = np.hstack([x, np.ones_like(x)]).astype(float)
    return np.linalg.eigvalsh(2 * design.T @ design / len(x))


def line(learning_rate: float | None = None) -> keras.Model:
    """w·x + b at the start, compiled; without a rate, at Keras's own."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(-1.0)),
        ]
    )
    rate = {} if learning_rate is None else {"learning_rate": learning_rate}
    model.compile(optimizer=keras.optimizers.SGD(**rate), loss="mse")
    return model


def descend(
    model: keras.Model, x: np.ndarray, y: np.ndarray, steps: int, *callbacks: keras.callbacks.Callback
) -> float:
    """The loss after full-batch updates, as many as asked for unless a callback ends them; an epoch is one update."""
    model.fit(x, y, batch_size=len(x), epochs=steps, shuffle=False, verbose=0, callbacks=list(callbacks))
    return float(model.evaluate(x, y, batch_size=len(x), verbose=0))


def outcome(trial: Trial, loss: float) -> str:
    return f"stopped: {trial.stop_reason}" if trial.stop_reason else f"loss {loss:.4g}"


def main() -> int:
    chosen = arguments(__doc__).parse_args()
    x, y = points()
    smallest, largest = curvatures(x)
    print(f"stability limit 2/L = {2 / largest:.4f}, fastest rate 2/(L+mu) = {2 / (largest + smallest):.4f}\n")
    with address(chosen.url) as url, Client(url, report_every=0.1) as client:
        study = client.study(
            f"keras-line-fit-{chosen.seed}",
            learning_rate=(1e-3, 10.0),
            steps=STEPS,
            sampler={"name": "tpe", "seed": chosen.seed},
            pruner={"name": "threshold", "settings": {"upper": FAR}},
            trials=TRIALS,
        )
        for trial in study:
            with trial:
                loss = descend(line(trial.learning_rate), x, y, trial.steps, TrialCallback(trial))
                trial.tell(loss=loss)
                print(f"trial {trial.number:2}: rate {trial.learning_rate:8.4f}: {outcome(trial, loss)}")
        best = study.best
    own = keras.optimizers.SGD().learning_rate
    lowest = np.mean((y - np.polyval(np.polyfit(x[:, 0], y[:, 0], 1), x)) ** 2)
    print(
        f"\nKeras {keras.__version__} on {keras.backend.backend()}, loss after {STEPS} steps; the least is {lowest:.4g}"
    )
    print(f"Keras's default rate {float(own):g}: {descend(line(), x, y, STEPS):.4g}")
    print(f"the rate found, {best.learning_rate:.4f}: {descend(line(best.learning_rate), x, y, STEPS):.4g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
