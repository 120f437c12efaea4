"""Data to learn from, split and standardised the same way for every objective that learns.

The real sets come with scikit-learn, the optional extra ``data``; the synthetic one needs nothing. A split is drawn by
the seed. Features, and targets that are numbers, have mean 0 and standard deviation 1 over the training part; the
validation part is shifted and scaled by the training part's statistics.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuner.errors import InvalidInput, MissingExtra

Data = Annotated[
    Literal["synthetic", "breast_cancer", "digits", "diabetes", "wine"],
    Field(description="What to learn from. All but synthetic come with scikit-learn (the extra `data`)."),
]
TrainFraction = Annotated[
    float, Field(ge=0.05, le=0.95, description="Share of the samples to train on; the others validate.")
]
Targets = Literal["classes", "numbers"]

TARGETS: Mapping[str, frozenset[Targets]] = MappingProxyType(
    {
        "synthetic": frozenset({"classes", "numbers"}),
        "breast_cancer": frozenset({"classes"}),
        "digits": frozenset({"classes"}),
        "diabetes": frozenset({"numbers"}),
        "wine": frozenset({"classes"}),
    }
)
"""What each data set can have predicted."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Training and validation parts, read-only: features (N, F) and targets (N,), float64.

    Classes are numbered from 0; ``classes`` is how many there are, 0 where the targets are numbers.
    """

    features: Floats
    targets: Floats
    validation_features: Floats
    validation_targets: Floats
    feature_names: tuple[str, ...]
    classes: int


@lru_cache(maxsize=16)
def load(data: str, targets: Targets, seed: int, train_fraction: float) -> Split:
    """The data set, split by ``seed``.

    Raises:
        InvalidInput: the data set has no such targets; the field is ``data``.
        MissingExtra: it comes with scikit-learn, which is not installed.
    """
    if targets not in TARGETS[data]:
        suited = ", ".join(name for name, kinds in TARGETS.items() if targets in kinds)
        raise InvalidInput.at("data", f"{data} has no {targets} to predict; these have: {suited}")
    features, answers, names = _synthetic(targets, seed) if data == "synthetic" else _bundled(data)
    order = np.random.default_rng(seed).permutation(len(features))
    size = max(1, round(train_fraction * len(features)))
    train, held_out = order[:size], order[size:]
    shift, scale = _standard(features[train])
    features = (features - shift) / scale
    classes = int(answers.max()) + 1 if targets == "classes" else 0
    if targets == "numbers":
        shift, scale = _standard(answers[train])
        answers = (answers - shift) / scale
    arrays = features[train], answers[train], features[held_out], answers[held_out]
    for array in arrays:
        array.setflags(write=False)
    return Split(*arrays, feature_names=names, classes=classes)


def _standard(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation over samples; what never varies is shifted and left unscaled."""
    scale = values.std(axis=0)
    return values.mean(axis=0), np.where(scale > 0, scale, 1)


@cache
def _bundled(data: str) -> tuple[Floats, Floats, tuple[str, ...]]:
    try:
        from sklearn import datasets  # noqa: PLC0415  (an optional extra, and slow to import)
    except ImportError as error:
        raise MissingExtra.at("data", f"{data} comes with scikit-learn: pip install 'tuner[data]'") from error
    loaders: dict[str, Any] = {
        "breast_cancer": datasets.load_breast_cancer,
        "digits": datasets.load_digits,
        "diabetes": datasets.load_diabetes,
        "wine": datasets.load_wine,
    }
    bunch = loaders[data]()
    return bunch.data.astype(np.float64), bunch.target.astype(np.float64), tuple(map(str, bunch.feature_names))


def _synthetic(targets: Targets, seed: int) -> tuple[Floats, Floats, tuple[str, ...]]:
    """400 samples of 8 normal features; the targets are sin(2·a) + b and noise of 0.3, with a and b random projections.

    As classes: which third of the range (in samples) the target falls into.
    """
    rng = np.random.default_rng((seed, 1))
    features = rng.normal(size=(400, 8))
    projections = features @ (rng.normal(size=(8, 2)) / np.sqrt(8))
    answers = np.sin(2 * projections[:, 0]) + projections[:, 1] + 0.3 * rng.normal(size=400)
    if targets == "classes":
        answers = np.searchsorted(np.quantile(answers, [1 / 3, 2 / 3]), answers).astype(np.float64)
    return features, answers, tuple(f"x{index}" for index in range(8))


def with_ones(features: Floats) -> Floats:
    """The features (N, F) with a last column of ones, which an intercept weighs: (N, F + 1)."""
    return np.column_stack([features, np.ones(len(features))])
