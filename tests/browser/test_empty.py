"""A service with nothing in it and nobody at work: every page says what to do next."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser import accessibility
from tests.browser.studies import create, external
from tests.faults.service import Service, serving


@pytest.fixture(scope="module")
def service(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without a study and without a worker."""
    directory = tmp_path_factory.mktemp("empty")
    with serving(f"sqlite:///{directory}/tuner.db", directory, "--workers", "0") as service:
        yield service


def test_without_a_study_the_first_page_says_how_to_make_one(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("main")).to_contain_text("tuner tune line_fit")


def test_with_the_first_study_comes_what_finds_studies(page: Page, api: httpx.Client) -> None:
    page.goto("/")
    search = page.get_by_role("search")
    expect(search).to_be_hidden()
    name = create(api, external("the-first"))
    expect(search).to_be_visible()
    api.delete(f"/v1/studies/{name}").raise_for_status()
    expect(search).to_be_hidden()


def test_without_a_worker_their_page_says_how_to_start_one(page: Page) -> None:
    page.goto("/workers")
    expect(page.get_by_role("main")).to_contain_text("tuner worker")


@pytest.mark.parametrize("path", ["/", "/workers"])
def test_everybody_can_use_an_empty_page(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 375, "height": 740})
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert accessibility.violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
