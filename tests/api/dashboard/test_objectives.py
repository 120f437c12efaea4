"""The pages of objectives, and what their player and their form ask for: over HTTP, without a browser."""

from typing import Any
from xml.etree import ElementTree

import httpx
import numpy as np
import pytest

from tests.api.dashboard.test_pages import page
from tests.api.requests import external, fields, problem, registered, strict
from tuner.objectives import Array, register, registry

ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
JSON = {"Accept": "application/json"}


class Steep:
    """A slope that goes <script>alert(1)</script> down for ever.

    With ``depth < 0`` it goes up::

        f(x) = -x_1 <b>
    """

    dimension = 2
    names = ("<i>", "b&")

    def __init__(self, depth: float) -> None:
        self.depth = depth

    def initial_parameters(self, seed: int) -> Array:
        return np.zeros(2)

    def value_and_gradient(self, parameters: Array) -> tuple[Array, Array]:
        return -self.depth * parameters[:, 0], np.full_like(parameters, -self.depth) * [1, 0]


@pytest.fixture
def steep(monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's objective, which needs a setting."""
    monkeypatch.setattr(registry, "_types", dict(registry._types))
    register("steep")(Steep)
    return "steep"


@ONE_BACKEND
def test_the_list_shows_what_is_known_and_a_picture(client: httpx.Client) -> None:
    text = client.get("/objectives").text
    assert 'href="/objectives/line_fit"' in text
    assert "2 parameters · smallest loss 9.982e−5" in text  # noqa: RUF001
    assert 'src="/objectives/quadratic/picture.svg"' in text


@ONE_BACKEND
@pytest.mark.parametrize("name", ["line_fit", "rosenbrock", "quadratic"])
def test_a_picture_is_an_svg_that_loads_nothing(client: httpx.Client, name: str) -> None:
    response = client.get(f"/objectives/{name}/picture.svg")
    assert response.headers["content-type"] == "image/svg+xml"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    drawn = ElementTree.fromstring(response.text)
    assert len(drawn.findall("{http://www.w3.org/2000/svg}path")) == 3


@ONE_BACKEND
def test_an_objective_shows_its_formula_and_what_is_known(client: httpx.Client) -> None:
    response = client.get("/objectives/line_fit")
    text = response.text
    assert "style-src 'self' 'unsafe-inline'" in response.headers["content-security-policy"]
    assert "script-src" not in response.headers["content-security-policy"]
    assert "<span>f(w, b) = mean(r²)</span>" in text
    assert "<strong>0.7755</strong>" in text
    assert "0.7369" in text
    assert '<tuner-descent src="/objectives/line_fit/descents"' in text
    assert 'href="/new?objective=line_fit"' in text
    assert "<sub>i+1</sub>" in client.get("/objectives/rosenbrock").text


@ONE_BACKEND
def test_every_setting_has_a_control_and_a_line(client: httpx.Client) -> None:
    text = client.get("/objectives/network").text
    for said in (
        'name="data" data-kind="choice" data-default="&#34;synthetic&#34;"',
        '<option value="&#34;digits&#34;">digits</option>',
        '<option value="&#34;synthetic&#34;" selected>synthetic</option>',
        'name="hidden" data-kind="integer" data-default="16" min="1" max="1024"',
        "<td><code>train_fraction</code></td>",
    ):
        assert said in text, said


@ONE_BACKEND
def test_the_player_gets_four_descents_with_the_landscape(client: httpx.Client) -> None:
    shown = strict(client.get("/objectives/line_fit/descents", headers=JSON))
    assert [panel["words"] for panel in shown["panels"]] == ["too slow", "converged", "overshoots", "diverged"]
    assert shown["ground"]["data"][0]["type"] == "contour"
    assert shown["frames"] == list(range(41))
    compressed = client.get("/objectives/line_fit/descents")
    assert compressed.headers["content-encoding"] == "gzip"
    assert compressed.json() == shown


@ONE_BACKEND
def test_the_form_gets_one_curve_and_no_landscape(client: httpx.Client) -> None:
    query = {"rate": "0.9", "steps": "200", "picture": "false", "settings": '{"seed": 5}'}
    shown = strict(client.get("/objectives/line_fit/descents", params=query, headers=JSON))
    [panel] = shown["panels"]
    assert (panel["words"], shown["ground"]) == ("diverged", None)
    assert "try 0.39" in panel["advice"]
    assert shown["limit"] == pytest.approx(0.7755, abs=5e-5)
    slow = strict(client.get("/objectives/line_fit/descents", params=query | {"update_rule": "adam"}, headers=JSON))
    assert slow["limit"] is None


@ONE_BACKEND
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"rate": "0"}, "rate"),
        ({"rate": "nan"}, "rate"),
        ({"rate": "fast"}, "rate"),
        ({"steps": "0"}, "steps"),
        ({"steps": "2001"}, "steps"),
        ({"momentum": "1"}, "momentum"),
        ({"rate": "0.1", "momentum": "0.5"}, "momentum"),
        ({"update_rule": "adamw"}, "update_rule"),
        ({"update_rule": "adam"}, "learning_rates"),
        ({"settings": "seed"}, "settings"),
        ({"settings": "[1]"}, "settings"),
        ({"settings": '{"sead": 1}'}, "settings.sead"),
        ({"settings": '{"seed": "5"}'}, "settings.seed"),
        ({"initial_seed": "-1"}, "initial_seed"),
        ({"pictures": "false"}, "pictures"),
    ],
    ids=str,
)
def test_what_cannot_be_shown_is_named(client: httpx.Client, query: dict[str, str], field: str) -> None:
    refused = client.get("/objectives/line_fit/descents", params=query, headers=JSON)
    assert (refused.status_code, fields(refused)) == (422, [field])


@ONE_BACKEND
def test_of_an_objective_that_is_none_there_is_nothing(client: httpx.Client) -> None:
    for path in ("/objectives/nothing", "/objectives/nothing/picture.svg", "/objectives/nothing/descents"):
        response = client.get(path)
        assert (response.status_code, response.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert problem(client.get(path, headers=JSON))["code"] == "objective_not_found"


def test_the_descents_of_trials_lead_to_their_pages(client: httpx.Client) -> None:
    client.post("/v1/studies", json=registered())
    for rate in (0.5, 0.1):
        client.post("/v1/studies/line-fit/trials", json={"parameters": {"learning_rate": rate, "steps": 10}})
    shown = strict(client.get("/studies/line-fit/descents?trials=0,1", headers=JSON))
    assert [panel["href"] for panel in shown["panels"]] == [f"/studies/line-fit/trials/{number}" for number in (1, 0)]
    assert shown["frames"] == list(range(11))
    assert list(strict(client.get("/studies/line-fit/descents", headers=JSON))) == ["empty"]
    assert fields(client.get("/studies/line-fit/descents?trials=x", headers=JSON)) == ["trials"]


@ONE_BACKEND
def test_an_external_study_has_no_descents(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    refused: Any = problem(client.get("/studies/resnet/descents?trials=0", headers=JSON))
    assert refused["code"] == "external_study"


@ONE_BACKEND
def test_a_users_objective_is_shown_as_it_is_written(client: httpx.Client, steep: str) -> None:
    text = page(client, f"/objectives/{steep}")
    assert "goes <script>alert(1)</script> down" in text
    assert "f(x) = −x 1 <b>" in text  # noqa: RUF001
    assert "<script>alert" not in client.get(f"/objectives/{steep}").text
    assert "goes <script>alert(1)</script> down" in page(client, "/objectives")


@ONE_BACKEND
def test_an_objective_that_needs_a_setting_says_so_and_is_not_played(client: httpx.Client, steep: str) -> None:
    source = client.get(f"/objectives/{steep}").text
    assert "settings.depth" in source
    assert "tuner-descent" not in source
    assert "<path" not in client.get(f"/objectives/{steep}/picture.svg").text
    assert fields(client.get(f"/objectives/{steep}/descents", headers=JSON)) == ["settings.depth"]


@ONE_BACKEND
def test_where_nothing_bounds_the_rate_one_has_to_be_named(client: httpx.Client, steep: str) -> None:
    query = {"settings": '{"depth": 1.0}'}
    assert fields(client.get(f"/objectives/{steep}/descents", params=query, headers=JSON)) == ["learning_rates"]
    shown = strict(client.get(f"/objectives/{steep}/descents", params={**query, "rate": "0.1"}, headers=JSON))
    assert (shown["limit"], shown["logarithmic"]) == (None, False)
    assert shown["ground"]["layout"]["xaxis"]["title"]["text"] == "<i>"
