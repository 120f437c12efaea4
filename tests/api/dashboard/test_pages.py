"""The pages: they say what the API says, escape what users wrote, and load nothing from elsewhere."""

import html
import re
from html.parser import HTMLParser

import httpx
import numpy as np
import pytest

from tests.api.requests import SPACE, external, registered, strict
from tuner.service import ask as asking
from tuner.service import tell as telling
from tuner.service.report import NewPoints
from tuner.service.tell import Ending
from tuner.storage.database import Database

VOID = {"meta", "link", "line", "path", "br", "input", "img"}


class Tree(HTMLParser):
    """Checks that elements close in order, and collects what the page loads and says."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.attributes: set[str] = set()
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "action"}]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def page(client: httpx.Client, path: str, status: int = 200) -> str:
    """The text of a page, after looking at how it is made."""
    response = client.get(path)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"].startswith("default-src 'self'")
    assert response.headers["x-content-type-options"] == "nosniff"
    tree = Tree()
    tree.feed(response.text)
    assert tree.open == []
    assert all(target.startswith(("/", "#")) for target in tree.loaded), "nothing from elsewhere"
    assert not {name for name in tree.attributes if name == "style" or name.startswith("on")}, "the policy forbids them"
    return re.sub(r"\s+", " ", " ".join(tree.said))


def test_with_no_study_the_first_page_says_how_to_make_one(client: httpx.Client) -> None:
    text = page(client, "/")
    assert "curl http://127.0.0.1" in text
    assert "tuner tune line_fit" in text


def test_the_curl_on_the_first_page_works(client: httpx.Client) -> None:
    body = re.search(r"-d '(\{.*\})'", page(client, "/"))
    assert body is not None
    response = client.post("/v1/studies", content=body[1], headers={"Content-Type": "application/json"})
    assert response.status_code == 201


def test_a_study_shows_its_answer_first(client: httpx.Client, database: Database) -> None:
    client.post("/v1/studies", json=registered(budget={"trials": 3}))
    assert "No answer yet" in page(client, "/studies/line-fit")
    leases = asking.ask(database, "line-fit", count=3).trials
    losses = [float("nan"), 0.00012344, 7.5]
    curve = NewPoints("loss", np.arange(3), np.array([2.0, 0.01, 0.00012344]))
    telling.tell(
        database,
        "line-fit",
        [
            Ending(lease.number, 1, "complete", {"loss": loss}, gradient_evaluations=1000, curves=[curve])
            for lease, loss in zip(leases, losses, strict=True)
        ],
    )
    rate = f"{leases[1].parameters['learning_rate']:.4g}"
    text = page(client, "/studies/line-fit")
    for said in (
        f"learning rate {rate}",
        "loss 0.0001234",
        "trial 1",
        "3 000 gradient evaluations",
        "NaN",
        "completed",
    ):
        assert said in text.replace("\u202f", " "), said
    assert f"at rate {rate}" in page(client, "/")
    assert "3 of 3 trials" in page(client, "/")
    assert "The best of its study." in page(client, "/studies/line-fit/trials/1")
    assert 'src="/studies/line-fit/charts/loss-curves?trials=1"' in client.get("/studies/line-fit/trials/1").text


def test_a_trial_shows_its_verdict_and_what_to_do(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    client.post("/v1/studies/resnet/trials:ask")
    losses = [1.0 - step / 1000 for step in range(300)]
    report = {"attempt": 1, "steps": list(range(300)), "values": {"loss": losses}}
    client.post("/v1/studies/resnet/trials/0:report", json=report)
    assert "too slow Falling, and nowhere near its end: " in page(client, "/studies/resnet/trials/0")
    assert "running ■ too slow" in page(client, "/studies/resnet")
    told = {"attempt": 1, "state": "complete", "values": {"loss": 0.7}}
    trial = strict(client.post("/v1/studies/resnet/trials/0:tell", json=told))
    assert (trial["verdict"], trial["outcome"]) == ("too_slow", None)
    assert trial["evidence"]["to_come"] > 0.5


def test_the_page_of_a_study_follows_it(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    text = client.get("/studies/resnet").text
    assert 'data-events="/v1/studies/resnet/events?only=study"' in text
    live = re.search(r'data-live="([^"]+)"', text)
    assert live is not None
    regions = re.findall(r'data-region="(\w+)"', client.get(live[1]).text)
    assert regions == re.findall(r'data-region="(\w+)"', text) != []


def test_a_page_of_another_site_may_change_nothing(client: httpx.Client) -> None:
    for origin in ("https://elsewhere.example", "null", "http://127.0.0.1:1"):
        response = client.post("/v1/studies", json=external(), headers={"Origin": origin})
        assert (response.status_code, response.json()["code"]) == (403, "foreign_origin")
    assert client.get("/v1/studies/resnet").status_code == 404
    own = str(client.base_url).rstrip("/")
    assert client.post("/v1/studies", json=external(), headers={"Origin": own}).status_code == 201
    assert client.delete("/v1/studies/resnet", headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert client.get("/v1/studies/resnet", headers={"Origin": "https://elsewhere.example"}).status_code == 200


def test_what_users_wrote_is_text(client: httpx.Client) -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    client.post(
        "/v1/studies",
        json=external(
            notes=hostile,
            tags=[hostile[:60]],
            search_space={**SPACE, "kind": {"type": "categorical", "choices": [hostile]}},
        ),
    )
    client.post("/v1/studies/resnet/trials:ask", json={"worker": hostile})
    client.post(
        "/v1/studies/resnet/trials/0:tell",
        json={"attempt": 1, "state": "complete", "values": {"loss": 1}, "reason": hostile},
    )
    for path in ("/", "/studies/resnet", "/studies/resnet/trials/0"):
        assert "<script>" not in client.get(path).text
        assert "<img" not in client.get(path).text
        page(client, path)
    assert hostile in page(client, "/studies/resnet")
    assert "<script>" not in client.get("/studies/%3Cscript%3E").text
    assert "<script>" not in client.get("/problems/%3Cscript%3E").text


def test_trials_are_paged(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external(budget={"trials": 250}))
    client.post("/v1/studies/resnet/trials:ask", json={"count": 250})
    numbers: list[str] = []
    address: str | None = "/studies/resnet"
    while address is not None:
        page(client, address)
        text = client.get(address).text
        numbers += re.findall(r'href="/studies/resnet/trials/(\d+)"', text)
        onward = re.search(r'href="([^"]+)" rel="next"', text)
        address = onward and html.unescape(onward[1])
    assert numbers == [str(number) for number in reversed(range(250))]


@pytest.mark.parametrize(
    "path", ["/objectives", "/objectives/line_fit", "/objectives/network", "/new", "/workers", "/about"]
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_other_pages_are_there(client: httpx.Client, path: str) -> None:
    page(client, path)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_every_objective_has_its_page(client: httpx.Client) -> None:
    for objective in strict(client.get("/v1/objectives"))["objectives"]:
        assert objective["name"] in page(client, "/objectives")
        assert objective["summary"].replace("``", "")[:20] in page(client, f"/objectives/{objective['name']}")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/studies/nothing", 404),
        ("/studies/%00", 404),
        ("/studies/resnet/trials/0", 404),
        ("/studies/resnet/trials/x", 404),
        ("/objectives/nothing", 404),
        ("/problems/nothing", 404),
        ("/?page_token=x", 422),
        ("/assets/0/nothing.css", 404),
        ("/assets/../pages.py", 404),
        ("/assets/%2e%2e/rendering.py", 404),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_refusal_is_a_page(client: httpx.Client, path: str, status: int) -> None:
    assert "All studies" in page(client, path, status)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_reference_works_without_a_network(client: httpx.Client) -> None:
    reference = client.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', reference)
    assert len(addresses) == 4
    for address in addresses:
        response = client.get(address)
        assert response.status_code == 200, address
        assert response.headers["cache-control"]
    assert "/openapi.json" in client.get(addresses[-1]).text
