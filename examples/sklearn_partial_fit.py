"""scikit-learn: a learning rate for MLPClassifier on the digits, by ``partial_fit``, against its default rate.

Run it as ``python -m examples.sklearn_partial_fit``; `examples/README.md` says what to look at.
"""

import os
import sys
import warnings
from typing import Any

# Arrays of this size are done before a second thread has begun.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.utils import gen_batches, shuffle

from examples.serving import address, arguments
from tuner.client import Client
from tuner.client.sklearn import partial_fit

STEPS = 300
"""The most updates that a training may have, and those that the default rate gets."""

BATCH = 64
TRIALS = 25
CLASSES = np.arange(10)
FINAL_SEEDS = range(100, 105)
"""Of the comparison: none of them took part in the search."""

Part = tuple[np.ndarray, np.ndarray]
"""Images (N, 64) with pixels in 0 … 1, and their digits (N,)."""


def parts() -> tuple[Part, Part, Part]:
    """For training, validation and test."""
    x, y = load_digits(return_X_y=True)
    train_x, rest_x, train_y, rest_y = train_test_split(x / 16, y, train_size=0.6, random_state=0, stratify=y)
    held_x, test_x, held_y, test_y = train_test_split(rest_x, rest_y, train_size=0.5, random_state=0, stratify=rest_y)
    return (train_x, train_y), (held_x, held_y), (test_x, test_y)


def batches(train: Part, seed: int) -> list[Part]:
    """The training rows, shuffled, in pieces; no piece is larger than one update takes."""
    x, y = shuffle(*train, random_state=seed)
    return [(x[rows], y[rows]) for rows in gen_batches(len(y), BATCH)]


def network(seed: int, **settings: Any) -> MLPClassifier:
    """100 hidden units, updated by Adam: scikit-learn's defaults, all but what is set."""
    return MLPClassifier(random_state=seed, **settings)


def trained(train: Part, seed: int, steps: int, **settings: Any) -> MLPClassifier:
    """A network after so many updates, at scikit-learn's own rate unless given one."""
    model, pieces = network(seed, **settings), batches(train, seed)
    for step in range(steps):
        model.partial_fit(*pieces[step % len(pieces)], classes=CLASSES)
    return model


def loss_on(model: MLPClassifier, part: Part) -> float:
    """Mean cross-entropy in nats."""
    return float(log_loss(part[1], model.predict_proba(part[0]), labels=CLASSES))


def main() -> int:
    chosen = arguments(__doc__).parse_args()
    # Rates at which training leaves the finite numbers are results here.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="sklearn")
    train, validation, test = parts()
    with address(chosen.url) as url, Client(url) as client:
        study = client.study(
            f"sklearn-digits-{chosen.seed}",
            learning_rate=(1e-4, 1.0),
            steps=(50, STEPS),
            goal="minimize validation_loss",
            sampler={"name": "tpe", "seed": chosen.seed},
            trials=TRIALS,
        )
        for trial in study:
            with trial:
                loss = partial_fit(
                    trial,
                    network(chosen.seed, learning_rate_init=trial.learning_rate),
                    batches(train, chosen.seed),
                    lambda model: loss_on(model, validation),
                    metric="validation_loss",
                    every=20,
                    classes=CLASSES,
                )
                trial.tell(validation_loss=loss)
                print(
                    f"trial {trial.number:2}: rate {trial.learning_rate:8.2g}, {trial.steps:3} steps: "
                    f"validation loss {loss:.4f}"
                )
        best = study.best
    rate, steps = best.learning_rate, best.steps
    default = MLPClassifier().learning_rate_init
    print(f"best: rate {rate:.2g}, {steps} steps\n")
    print(f"scikit-learn {sklearn.__version__}; {len(test[1])} test images, never looked at so far")
    print(f"seed   {f'default rate {default:g}, {STEPS} steps':<32}found rate {rate:.2g}, {steps} steps")
    for seed in FINAL_SEEDS:
        models = trained(train, seed, STEPS), trained(train, seed, steps, learning_rate_init=rate)
        results = [f"loss {loss_on(model, test):.4f}, accuracy {model.score(*test):.3f}" for model in models]
        print(f"{seed:4}   {results[0]:<32}{results[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
