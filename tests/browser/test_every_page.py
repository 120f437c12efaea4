"""What holds of every page, with something to show and with nothing: nobody is shut out, and nothing is loaded or run
that the service did not write."""

from html.parser import HTMLParser

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser import accessibility, charts
from tests.browser.studies import external, finished, registered
from tests.faults.service import Service

PAGES = {
    "studies": "/",
    "studies, none found": "/?text=nothing-is-called-so",
    "study": "/studies/line-fit",
    "trial": "/studies/line-fit/trials/0",
    "trials side by side": "/studies/line-fit/compare?trials=0&trials=1&trials=2",
    "new study": "/new",
    "external study": "/studies/resnet",
    "external study without a trial": "/studies/untouched",
    "trial that is not finite": "/studies/resnet/trials/1",
    "objectives": "/objectives",
    "objective": "/objectives/line_fit",
    "workers": "/workers",
    "about": "/about",
    "kind of problem": "/problems/study_not_found",
}


@pytest.fixture(scope="session")
def filled(service: Service) -> None:
    """A service with a registered study that is finished, and external ones with a few trials and with none."""
    with httpx.Client(base_url=service.url, timeout=30) as api:
        finished(api, registered(budget={"trials": 12}, notes="Why *this* rate.", tags=["tutorial"]))
        api.post("/v1/studies", json=external("untouched")).raise_for_status()
        api.post("/v1/studies", json=external()).raise_for_status()
        api.post("/v1/studies/resnet/trials:ask", json={"count": 3, "lease_seconds": 600}).raise_for_status()
        falling = {"attempt": 1, "steps": list(range(60)), "values": {"loss": [0.97**step for step in range(60)]}}
        api.post("/v1/studies/resnet/trials/0:report", json=falling).raise_for_status()
        rising = {"attempt": 1, "steps": [0, 1, 2], "values": {"loss": [1.0, 1e30, "Infinity"]}}
        api.post("/v1/studies/resnet/trials/1:report", json=rising).raise_for_status()
        told = [(0, 0.16), (1, "NaN")]
        for number, loss in told:
            ending = {"attempt": 1, "state": "complete", "values": {"loss": loss}}
            api.post(f"/v1/studies/resnet/trials/{number}:tell", json=ending).raise_for_status()


@pytest.fixture(params=PAGES.values(), ids=list(PAGES))
def path(request: pytest.FixtureRequest, filled: None) -> str:
    """The address of each page."""
    address: str = request.param
    return address


def test_it_fits_a_phone_and_everybody_can_use_it(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 375, "height": 740})
    page.goto(path)
    look_at_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375

    page.set_viewport_size({"width": 1280, "height": 800})
    look_at_all(page)
    assert accessibility.violations(page) == []


def test_no_script_stands_in_it(api: httpx.Client, path: str) -> None:
    response = api.get(path).raise_for_status()
    policy = dict(part.split(maxsplit=1) for part in response.headers["content-security-policy"].split(";"))
    assert policy.get("script-src", policy["default-src"]) == "'self'"
    scripts = Scripts()
    scripts.feed(response.text)
    assert scripts.written == []


class Scripts(HTMLParser):
    """Finds what a page would run of its own text."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        data = (given.get("type") or "").endswith("json")
        if tag == "script" and "src" not in given and not data:
            self.written.append(tag)
        self.written += [name for name in given if name.startswith("on")]
        self.written += [value for value in given.values() if value and value.strip().lower().startswith("javascript:")]


def look_at_all(page: Page) -> None:
    """Wait until all that the page shows is there."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    charts.bring_all(page)
    page.evaluate("scrollTo(0, 0)")
