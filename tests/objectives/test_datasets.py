"""The data that objectives learn from."""

import subprocess
import sys

import numpy as np
import pytest

from tuner.errors import InvalidInput, MissingExtra
from tuner.objectives import create
from tuner.objectives.datasets import load


@pytest.mark.parametrize(
    ("data", "targets", "samples", "features", "classes"),
    [
        ("breast_cancer", "classes", 569, 30, 2),
        ("digits", "classes", 1797, 64, 10),
        ("wine", "classes", 178, 13, 3),
        ("diabetes", "numbers", 442, 10, 0),
        ("synthetic", "classes", 400, 8, 3),
        ("synthetic", "numbers", 400, 8, 0),
    ],
)
def test_split_holds_every_sample_once_and_is_standardised_by_its_training_part(
    data: str, targets: str, samples: int, features: int, classes: int
) -> None:
    split = load(data, targets, 0, 0.75)
    assert len(split.features) == len(split.targets) == round(0.75 * samples)
    assert len(split.validation_features) == len(split.validation_targets) == samples - len(split.targets)
    assert split.features.shape[1] == len(split.feature_names) == features
    assert split.classes == classes
    np.testing.assert_allclose(split.features.mean(axis=0), 0, atol=1e-9)
    deviations = split.features.std(axis=0)
    assert np.all(np.isclose(deviations, 1) | (deviations == 0))
    assert np.all(np.isfinite(split.validation_features))
    if classes:
        assert set(split.targets) == set(range(classes))
    else:
        assert split.targets.std() == pytest.approx(1)


def test_the_seed_draws_the_split() -> None:
    one, same, other = (load("wine", "classes", seed, 0.5) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.targets, same.targets)
    assert np.any(one.targets != other.targets)


def test_cached_data_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        load("wine", "classes", 0, 0.75).features[0, 0] = 1


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("linear_regression", {"data": "digits"}),
        ("logistic_regression", {"data": "diabetes"}),
        ("network", {"data": "diabetes", "loss": "softmax"}),
    ],
)
def test_a_data_set_without_such_targets_is_refused_by_field(name: str, settings: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        create(name, settings)
    assert [error.field for error in refused.value.fields] == ["settings.data"]
    assert "synthetic" in refused.value.fields[0].message


def test_a_missing_scikit_learn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    # A split that no other test has loaded, and an import system that does not find the package.
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    from tuner.objectives import datasets

    datasets._bundled.cache_clear()
    with pytest.raises(MissingExtra, match=r"pip install 'tuner\[data\]'") as missing:
        create("logistic_regression", {"data": "wine", "seed": 987654})
    assert [error.field for error in missing.value.fields] == ["settings.data"]
    create("logistic_regression", {"data": "synthetic"})


def test_importing_the_objectives_does_not_import_scikit_learn() -> None:
    program = "import sys, tuner.objectives, tuner.descent; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
