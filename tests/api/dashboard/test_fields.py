"""Settings as fields: what a form asks for is what the schema says."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.dashboard.fields import fields
from tuner import objectives
from tuner.search import SAMPLERS
from tuner.search.pruners import PRUNERS


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Settings(BaseModel):
    count: Annotated[int, Field(ge=1, le=9, description="How many.")]
    share: float = 0.5
    tolerance: float | None = None
    title: Annotated[str, Field(min_length=1, max_length=20)] = "a <b>"
    strict: bool = True
    kind: Literal["one", "two"] = "one"
    power: Literal[1, 2] = 2
    colour: Colour = Colour.BLUE
    sizes: list[int] = [1, 2]
    either: int | str = 3


FIELDS = {field.name: field for field in fields(Settings.model_json_schema())}


def test_each_type_has_its_control() -> None:
    kinds = {name: field.kind for name, field in FIELDS.items()}
    assert kinds == {
        "count": "integer",
        "share": "number",
        "tolerance": "number",
        "title": "text",
        "strict": "switch",
        "kind": "choice",
        "power": "choice",
        "colour": "choice",
        "sizes": "json",
        "either": "json",
    }
    assert FIELDS["colour"].choices == ("red", "blue")
    assert FIELDS["power"].choices == (1, 2)


def test_a_default_is_shown_and_may_be_left_out() -> None:
    shown = {name: (field.value, field.default) for name, field in FIELDS.items()}
    assert shown == {
        "count": ("", ""),
        "share": ("0.5", "0.5"),
        "tolerance": ("", "null"),
        "title": ("a <b>", '"a <b>"'),
        "strict": ("true", "true"),
        "kind": ("one", '"one"'),
        "power": ("2", "2"),
        "colour": ("blue", '"blue"'),
        "sizes": ("[1, 2]", "[1, 2]"),
        "either": ("3", "3"),
    }
    assert [name for name, field in FIELDS.items() if field.required] == ["count"]


def test_constraints_are_the_schemas() -> None:
    assert FIELDS["count"].attributes == {"min": 1, "max": 9}
    assert FIELDS["count"].description == "How many."
    assert FIELDS["title"].attributes == {"minlength": 1, "maxlength": 20}
    assert FIELDS["share"].attributes == {}


def test_no_setting_of_ours_has_to_be_written_as_json() -> None:
    # Other tests register theirs.
    ours = [
        kind for kind in objectives.registered().values() if kind.factory.__module__.startswith("tuner.objectives.")
    ]
    assert ours
    for kind in ours:
        for field in fields(kind.settings_schema):
            assert field.kind != "json", f"{kind.name}.{field.name}"
            assert field.description, f"{kind.name}.{field.name}"


def test_each_setting_of_a_sampler_and_of_a_pruner_says_what_it_is() -> None:
    schemas = [kind.settings.model_json_schema() for kind in SAMPLERS.values()]
    schemas += [kind.settings.model_json_schema() for kind in PRUNERS.values()]
    for schema in schemas:
        for field in fields(schema):
            assert field.description, f"{schema['title']}.{field.name}"
