"""Python's notation of parameters and goals against the definition's."""

from typing import Any

import numpy as np
import pytest

from tuner.client import Client, log
from tuner.client.space import Spec, goal, parameter
from tuner.errors import InvalidInput


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("learning_rate", (1e-5, 0.1), {"type": "float", "low": 1e-5, "high": 0.1, "scale": "log"}),
        ("learning_rate", (1, 2), {"type": "float", "low": 1.0, "high": 2.0, "scale": "log"}),
        ("learning_rate", 1, {"type": "float", "low": 1.0, "high": 1.0, "scale": "linear"}),
        ("steps", (100, 5000), {"type": "int", "low": 100, "high": 5000, "scale": "linear"}),
        ("steps", (100, 5e3), {"type": "int", "low": 100, "high": 5000, "scale": "linear"}),
        ("steps", log(1, 1000), {"type": "int", "low": 1, "high": 1000, "scale": "log"}),
        ("momentum", (0, 0.99), {"type": "float", "low": 0.0, "high": 0.99, "scale": "linear"}),
        ("momentum", (0.0, 1), {"type": "float", "low": 0.0, "high": 1.0, "scale": "linear"}),
        ("layers", (1, 4), {"type": "int", "low": 1, "high": 4, "scale": "linear"}),
        ("layers", 3, {"type": "int", "low": 3, "high": 3, "scale": "linear"}),
        ("decay", log(1e-6, 1e-2), {"type": "float", "low": 1e-6, "high": 1e-2, "scale": "log"}),
        ("batch_size", [32, 64], {"type": "categorical", "choices": [32, 64]}),
        ("update_rule", "adam", {"type": "categorical", "choices": ["adam"]}),
        ("nesterov", True, {"type": "categorical", "choices": [True]}),
        ("width", (np.int64(8), np.int32(16)), {"type": "int", "low": 8, "high": 16, "scale": "linear"}),
        ("width", [np.float32(0.5), 2], {"type": "categorical", "choices": [0.5, 2]}),
        ("x", {"type": "int", "low": 1, "high": 2}, {"type": "int", "low": 1, "high": 2}),
    ],
)
def test_a_parameter_is_what_its_notation_means(name: str, spec: Spec, expected: dict[str, Any]) -> None:
    found = parameter(name, spec)
    assert found == expected
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in expected.items()}


@pytest.mark.parametrize(
    "spec", [None, "range-test", (1,), (1, 2, 3), ("a", "b"), (True, 2), object(), [object()], [None]]
)
def test_what_is_no_parameter_is_named(spec: Spec) -> None:
    with pytest.raises(InvalidInput) as refused:
        parameter("width", spec)
    assert [error.field for error in refused.value.fields] == ["search_space.width"]


def test_goals() -> None:
    assert goal("minimize loss") == {"minimize": "loss"}
    assert goal("maximize accuracy") == {"maximize": "accuracy"}
    assert goal({"minimize": "loss"}) == {"minimize": "loss"}
    for wrong in ("loss", "minimise loss", "minimize", "minimize the loss", ""):
        with pytest.raises(InvalidInput, match=r"^goal: "):
            goal(wrong)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://x", "http://", "http://x:y"])
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"^url: "):
        Client(url)
