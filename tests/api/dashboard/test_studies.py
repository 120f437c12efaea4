"""The page of studies: which it shows, in what order, and what it offers to do with each."""

import json
import re

import httpx
import optuna
import pytest

from tests.api.dashboard.test_pages import page
from tests.api.requests import external, registered
from tuner.storage import TunerStorage
from tuner.storage.database import Database


def shown(client: httpx.Client, path: str = "/") -> list[str]:
    """The names of the studies that a page shows."""
    page(client, path)
    return re.findall(r'data-address="([^"]+)"', client.get(path).text)


@pytest.fixture
def studies(client: httpx.Client) -> None:
    """Four studies, of every state but one."""
    for name, tags in [("resnet", ["vision", "old"]), ("vgg", ["vision"]), ("bert", ["text & speech"]), ("ada", [])]:
        client.post("/v1/studies", json=external(name, tags=tags))
    client.post("/v1/studies/vgg:pause")
    client.post("/v1/studies/bert:stop")


@pytest.mark.usefixtures("studies")
def test_studies_are_found_by_what_the_form_says(client: httpx.Client) -> None:
    assert shown(client) == ["ada", "bert", "vgg", "resnet"]
    assert shown(client, "/?text=E&state=&tag=") == ["bert", "resnet"]
    assert shown(client, "/?state=paused") == ["vgg"]
    assert shown(client, "/?tag=vision") == ["vgg", "resnet"]
    assert shown(client, "/?tag=text+%26+speech") == ["bert"]
    assert shown(client, "/?tag=vision&state=paused&text=v") == ["vgg"]
    assert shown(client, "/?text=nothing") == []
    assert "No study is like that" in page(client, "/?text=nothing")
    assert 'name="text" value="E"' in client.get("/?text=E").text
    assert '<option value="paused" selected>' in client.get("/?state=paused").text


@pytest.mark.usefixtures("studies")
def test_a_column_sorts_one_way_and_then_the_other(client: httpx.Client) -> None:
    def column(path: str, title: str) -> tuple[str | None, str]:
        text = client.get(path).text
        found = re.search(rf'<th scope="col"(?: aria-sort="(\w+)")?><a href="([^"]+)">{title}', text)
        assert found is not None
        return found[1], found[2].replace("&amp;", "&")

    assert column("/?tag=vision", "Created") == ("descending", "/?tag=vision&sort=created")
    assert column("/", "Study") == (None, "/?sort=name")
    assert column("/?sort=name", "Study") == ("ascending", "/?sort=-name")
    assert column("/?sort=name", "Created") == (None, "/")
    assert shown(client, "/?sort=name") == ["ada", "bert", "resnet", "vgg"]
    assert shown(client, "/?sort=-name&tag=vision") == ["vgg", "resnet"]


def test_pages_keep_what_was_asked_for(client: httpx.Client) -> None:
    names = [f"study-{number:03d}" for number in range(120)]
    for name in names:
        client.post("/v1/studies", json=external(name, tags=["sweep"] if name != "study-007" else []))
    seen: list[str] = []
    address: str | None = "/?tag=sweep&sort=name"
    while address is not None:
        seen += shown(client, address)
        onward = re.search(r'href="([^"]+)" rel="next"', client.get(address).text)
        address = onward and onward[1].replace("&amp;", "&")
    assert seen == [name for name in names if name != "study-007"]


@pytest.mark.usefixtures("studies")
def test_a_study_offers_what_its_state_allows(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external("done", budget={"trials": 1}))
    client.post("/v1/studies/done/trials:ask")
    client.post(
        "/v1/studies/done/trials/0:tell", json={"attempt": 1, "state": "complete", "values": {"loss": 1.0}}
    ).raise_for_status()
    offered = {
        name: re.findall(rf'aria-label="(\w+) {name}"', client.get("/").text) for name in ("ada", "vgg", "bert", "done")
    }
    assert offered == {
        "ada": ["Pause", "Stop", "Delete"],
        "vgg": ["Resume", "Stop", "Delete"],
        "bert": ["Resume", "Delete"],
        "done": ["Delete"],
    }


@pytest.mark.usefixtures("studies")
def test_the_page_follows_the_studies_that_it_shows(client: httpx.Client) -> None:
    text = client.get("/?tag=vision&sort=name").text
    live = re.search(r'data-live="([^"]+)"', text)
    assert live is not None
    fragment = client.get(live[1].replace("&amp;", "&")).text
    regions = re.findall(r'data-region="([^"]+)"', fragment)
    assert regions == re.findall(r'data-region="([^"]+)"', text)
    assert "study resnet" in regions
    assert "study vgg" in regions
    # What happened between reading the studies and opening the stream is told: it goes on from before they were read.
    events = re.search(r'data-events="([^"]+)"', text)
    assert events is not None
    client.post("/v1/studies/resnet:pause")
    with client.stream("GET", events[1]) as stream:
        told = next(line for line in stream.iter_lines() if line.startswith("data: "))
    assert (json.loads(told[6:])["name"], json.loads(told[6:])["state"]) == ("resnet", "paused")


def test_a_row_says_how_a_study_is(client: httpx.Client) -> None:
    client.post("/v1/studies", json=registered(budget={"trials": 4}, tags=["tutorial"]))
    client.post("/v1/studies/line-fit/trials:ask", json={"count": 3})
    client.post(
        "/v1/studies/line-fit/trials/1:tell", json={"attempt": 1, "state": "complete", "values": {"loss": 0.25}}
    )
    text = page(client, "/")
    for said in ("line_fit · random", "tutorial", "active", "2 running", "3 of 4 trials", "0.25", "at rate"):
        assert said in text, said


def test_a_row_draws_the_best_so_far(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    client.post("/v1/studies/resnet/trials:ask", json={"count": 4})
    assert "<path" not in re.findall(r'<td class="course">(.*?)</td>', client.get("/").text)[0]
    for number, loss in enumerate([0.9, 2.0, "NaN", 0.25]):
        told = {"attempt": 1, "state": "complete", "values": {"loss": loss}}
        client.post(f"/v1/studies/resnet/trials/{number}:tell", json=told).raise_for_status()
    [course] = re.findall(r'<td class="course">(.*?)</td>', client.get("/").text)
    assert 'aria-label="From 0.9 to 0.25, by trial 3"' in course
    # Two levels: one step, down.
    assert re.search(r'd="M0\.0,2\.0H[0-9.]+V26\.0H120\.0"', course)


def test_an_optuna_programs_study_is_shown_and_left_alone(client: httpx.Client, database: Database) -> None:
    storage = TunerStorage(database.url)
    study = optuna.create_study(storage=storage, study_name="Their Study")
    study.tell(study.ask(), 0.5)
    text = page(client, "/")
    assert "Their Study" in text
    assert "an Optuna program's" in text
    assert "data-act" not in client.get("/").text


@pytest.mark.parametrize(
    "path", ["/?state=asleep", "/?sort=loss", "/?text=%00", "/?page_token=x", "/live?state=asleep"]
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_cannot_be_asked_for_is_refused(client: httpx.Client, path: str) -> None:
    assert "All studies" in page(client, path, 422)
