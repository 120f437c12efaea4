"""The form of a new study: a field for everything that the registries offer, named by its path in the definition."""

import html
import json
import re
from html.parser import HTMLParser

import httpx
import pytest

from tests.api.dashboard.test_pages import page
from tests.api.requests import external, strict
from tuner.definition import Budget, StudyDefinition
from tuner.search import SAMPLERS
from tuner.search.pruners import PRUNERS
from tuner.search.pruners.registry import PrunerType
from tuner.search.registry import SamplerType


class Form(HTMLParser):
    """The controls of a page, those that are switched off apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.controls: list[dict[str, str | None]] = []
        self.options: dict[str, list[str]] = {}
        self._off: list[bool] = []
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "fieldset":
            self._off.append("disabled" in given)
        elif tag in {"input", "select", "textarea"} and "name" in given:
            self.controls.append({**given, "tag": tag, "off": "yes" if any(self._off) else None})
            self._select = given["name"] or ""
        elif tag == "option":
            self.options.setdefault(self._select, []).append(given.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "fieldset":
            self._off.pop()

    def on(self) -> set[str | None]:
        """The names of the controls that are not switched off."""
        return {control["name"] for control in self.controls if not control["off"]}


def form(client: httpx.Client, path: str = "/new") -> Form:
    page(client, path)
    return Form(client.get(path).text)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_every_objective_and_sampler_can_be_chosen(client: httpx.Client) -> None:
    shown = form(client)
    known = [objective["name"] for objective in strict(client.get("/v1/objectives"))["objectives"]]
    assert shown.options["objective.name"] == [*known, ""]
    assert shown.options["sampler.name"] == ["", *SAMPLERS]
    assert shown.options["pruner.name"] == ["", *PRUNERS]
    assert {f"budget.{name}" for name in Budget.model_fields} <= shown.on()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_settings_that_count_are_those_of_the_chosen_objective(client: httpx.Client) -> None:
    def settings(path: str) -> set[str]:
        return {
            name.rpartition(".")[2]
            for name in form(client, path).on()
            if name and name.startswith("objective.settings")
        }

    assert settings("/new") == {"seed"}
    assert settings("/new?objective=quadratic") == {"dimension", "condition_number", "curvature_scale", "seed"}
    data = form(client, "/new?objective=wine").options["objective.settings.data"]
    assert {json.loads(value) for value in data} >= {"synthetic", "wine"}
    assert settings("/new?objective=") == settings("/new?objective=nothing") == set()
    assert '<option value="" selected>my own training' in client.get("/new?objective=").text


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_control_is_named_by_its_place_in_the_definition(client: httpx.Client) -> None:
    choices = {"rate", "goal", "metric", "direction", "target"}

    def parts(path: str) -> set[str]:
        return {name.split(".")[0] for name in form(client, path).on() if name and name not in choices}

    every = StudyDefinition.model_fields.keys() - {"goal"}
    # What the service trains itself is not stopped early.
    assert parts("/new") == every - {"pruner", "stop_diverging"}
    assert parts("/new?objective=") == every


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_each_setting_of_a_sampler_and_of_a_pruner_has_a_control(client: httpx.Client) -> None:
    shown = form(client, "/new?objective=")
    named = [control["name"] or "" for control in shown.controls]
    kinds: list[tuple[str, SamplerType | PrunerType]] = [
        *(("sampler", kind) for kind in SAMPLERS.values()),
        *(("pruner", kind) for kind in PRUNERS.values()),
    ]
    expected = [
        f"{part}.settings.{setting}"
        for part, kind in kinds
        for setting in kind.settings.model_json_schema()["properties"]
    ]
    assert sorted(name for name in named if re.match(r"(sampler|pruner)\.settings\.", name)) == sorted(expected)
    # Of those only the ones of what is chosen count, and nothing is chosen yet.
    assert shown.on().isdisjoint(expected)
    [stops] = [control for control in shown.controls if control["name"] == "stop_diverging"]
    assert stops["data-default"] == json.dumps(StudyDefinition.model_fields["stop_diverging"].default)


def test_a_name_is_suggested_that_no_study_has(client: httpx.Client) -> None:
    def suggested() -> str:
        found = re.search(r'<option value="line_fit" data-name="([^"]+)"', client.get("/new").text)
        assert found is not None
        return html.unescape(found[1])

    assert suggested() == "line-fit"
    client.post("/v1/studies", json=external("line-fit")).raise_for_status()
    client.post("/v1/studies", json=external("line-fit-3")).raise_for_status()
    assert suggested() == "line-fit-2"
