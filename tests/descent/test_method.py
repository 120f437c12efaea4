"""How a descent moves, as a trial's parameters say it."""

from typing import Any

import pytest

from tuner.descent import Method
from tuner.errors import InvalidInput


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, Method()),
        ({"update_rule": "adam"}, Method("adam")),
        ({"update_rule": "heavy_ball", "momentum": 0}, Method("heavy_ball", {"momentum": 0.0})),
        ({"batch_size": 8}, Method(batch_size=8)),
    ],
)
def test_parameters_say_a_method(parameters: dict[str, Any], expected: Method) -> None:
    assert Method.of(parameters) == expected
    assert Method.of(expected.parameters) == expected
    assert Method.of_trial({"learning_rate": 0.1, "steps": 3, **parameters}) == expected


def test_a_trial_has_settings_of_other_rules() -> None:
    trial = {"learning_rate": 0.1, "steps": 3, "update_rule": "adam", "momentum": 0.5, "beta1": 0.8}
    assert Method.of_trial(trial) == Method("adam", {"beta1": 0.8})


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"update_rule": "newton"}, "update_rule"),
        ({"momentum": 0.5}, "momentum"),
        ({"learning_rate": 0.5}, "learning_rate"),
        ({"update_rule": "heavy_ball", "momentum": 1.0}, "momentum"),
        ({"update_rule": "heavy_ball", "momentum": "0.5"}, "momentum"),
        ({"update_rule": "heavy_ball", "momentum": True}, "momentum"),
        ({"batch_size": 2.0}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
    ],
)
def test_what_is_none_is_refused_by_name(parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Method.of(parameters)
    assert [error.field for error in caught.value.fields] == [field]
