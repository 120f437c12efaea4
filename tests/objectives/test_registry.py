"""Registration, typed settings, and making an objective from them."""

import json
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from pydantic import Field

from tuner.errors import InvalidInput, ObjectiveFailed, ObjectiveNotFound
from tuner.objectives import Objective, create, register, registered, registry, resolve_settings


@pytest.fixture(autouse=True)
def _only_ours_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objectives that other tests of this process have registered are none of these tests' business."""
    ours = {name: kind for name, kind in registered().items() if kind.factory.__module__.startswith("tuner.")}
    monkeypatch.setattr(registry, "_types", ours)


class Bowl:
    """A bowl.

    f = depth * x².
    """

    dimension = 1

    def __init__(
        self,
        depth: Annotated[float, Field(gt=0, description="How deep.")] = 1.0,
        kind: Literal["round", "square"] = "round",
        count: int = 3,
        flag: bool = False,
    ) -> None:
        self.arguments = (depth, kind, count, flag)

    def initial_parameters(self, seed: int) -> Any:
        return np.ones(1)

    def value_and_gradient(self, parameters: Any) -> Any:
        return parameters[:, 0] ** 2, 2 * parameters


def test_ours_are_registered_with_a_summary_a_schema_and_defaults_that_work() -> None:
    assert set(registered()) >= {
        "line_fit",
        "quadratic",
        "rosenbrock",
        "beale",
        "linear_regression",
        "logistic_regression",
        "network",
    }
    for name, kind in registered().items():
        assert kind.summary.endswith(".")
        assert kind.summary in kind.description
        json.dumps(kind.settings_schema, allow_nan=False)
        assert all("description" in field for field in kind.settings_schema["properties"].values())
        resolved = resolve_settings(name, {})
        assert set(resolved) == set(kind.settings_schema["properties"])
        assert resolve_settings(name, resolved) == resolved
        assert isinstance(create(name, resolved), Objective)


def test_the_constructor_is_the_declaration() -> None:
    assert register("bowl")(Bowl) is Bowl
    schema = registered()["bowl"].settings_schema
    assert schema["properties"]["depth"] == {
        "type": "number",
        "title": "Depth",
        "default": 1.0,
        "exclusiveMinimum": 0,
        "description": "How deep.",
    }
    assert schema["additionalProperties"] is False
    made = create("bowl", {"depth": 2})
    assert isinstance(made, Bowl)
    assert made.arguments == (2.0, "round", 3, False)
    assert registered()["bowl"].summary == "A bowl."
    assert resolve_settings("bowl", {"count": 5}) == {"depth": 1.0, "kind": "round", "count": 5, "flag": False}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("depth", True),
        ("depth", "1"),
        ("depth", None),
        ("depth", float("nan")),
        ("depth", float("inf")),
        ("depth", 0),
        ("depth", 10**400),
        ("kind", "flat"),
        ("kind", "round\x00"),
        ("count", True),
        ("count", 1.5),
        ("count", 10**30),
        ("flag", 1),
        ("deepth", 1.0),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(field: str, value: Any) -> None:
    register("bowl")(Bowl)
    for use in (create, resolve_settings):
        with pytest.raises(InvalidInput) as refused:
            use("bowl", {field: value})
        assert [error.field for error in refused.value.fields] == [f"settings.{field}"]


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        create("quadratic", {"dimension": 0, "seed": 10**30, "condition_number": 0.5})
    fields = [error.field for error in refused.value.within("objective").fields]
    assert fields == ["objective.settings.dimension", "objective.settings.condition_number", "objective.settings.seed"]


def test_an_unknown_name_gets_the_nearest_or_all() -> None:
    with pytest.raises(ObjectiveNotFound, match="did you mean 'line_fit'"):
        create("linefit", {})
    with pytest.raises(ObjectiveNotFound, match="known are beale, line_fit"):
        resolve_settings("zzz", {})


def test_a_taken_name_is_refused_and_keeps_its_owner() -> None:
    with pytest.raises(InvalidInput, match="'line_fit' is taken"):
        register("line_fit")(Bowl)
    assert registered()["line_fit"].factory is not Bowl


def test_types_may_be_left_to_the_defaults() -> None:
    @register("loose")
    class Loose(Bowl):
        def __init__(self, depth=1.0, sides=4):  # type: ignore[no-untyped-def]
            super().__init__()

    assert resolve_settings("loose", {}) == {"depth": 1.0, "sides": 4}
    with pytest.raises(InvalidInput, match=r"settings\.sides"):
        create("loose", {"sides": 1.5})


def test_a_function_may_make_an_objective() -> None:
    @register("deep_bowl")
    def deep_bowl(count: int = 1) -> Bowl:
        return Bowl(depth=100.0, count=count)

    made = create("deep_bowl", {"count": 2})
    assert isinstance(made, Bowl)
    assert made.arguments == (100.0, "round", 2, False)


def test_a_signature_that_cannot_be_settings_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be a setting"):
        register("open")(lambda **settings: Bowl())
    with pytest.raises(InvalidInput, match="needs a type or a default"):
        register("untyped")(lambda depth: Bowl())
    assert not {"open", "untyped"} & set(registered())


def test_what_a_constructor_refuses_is_invalid_input_and_what_breaks_it_is_its_failure() -> None:
    def make(problem: str) -> Any:
        if problem == "field":
            raise InvalidInput.at("problem", "not this one")
        if problem == "value":
            raise ValueError("not that one")
        if problem == "bug":
            raise KeyError("oops")
        return object()

    register("fussy")(make)
    with pytest.raises(InvalidInput, match=r"settings\.problem: not this one"):
        create("fussy", {"problem": "field"})
    with pytest.raises(InvalidInput, match="settings: not that one"):
        create("fussy", {"problem": "value"})
    with pytest.raises(ObjectiveFailed, match="fussy could not be made: KeyError: 'oops'"):
        create("fussy", {"problem": "bug"})
    with pytest.raises(ObjectiveFailed, match="needs dimension, initial_parameters and value_and_gradient"):
        create("fussy", {"problem": "none"})
    with pytest.raises(InvalidInput, match=r"settings\.problem: Field required"):
        create("fussy", {})
