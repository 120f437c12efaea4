"""A real service with a real worker, and a page in a real browser in which nothing may go wrong."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium
from tests.browser.watch import Watch
from tests.faults.service import Service, serving
from tests.worker.running import BOWLS

PATIENCE = 60_000
"""Milliseconds to wait for what a page should show: busy machines are slow, and none of these tests is about speed."""

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where the browser is; without one all these tests are skipped."""
    path = chromium.found()
    if path is None:
        pytest.skip("there is no Chromium: install it, or say in TUNER_CHROMIUM where it is")
    return path


BROWSER = pytest.StashKey[Browser]()


@pytest.fixture
def browser(request: pytest.FixtureRequest, chromium_path: str) -> Browser:
    """Chromium, as long as tests of this directory follow each other.

    Not the session's: while Playwright runs, its event loop is this thread's, and other tests need theirs.
    """
    directory = request.node.getparent(pytest.Directory)
    if BROWSER not in directory.stash:
        running = ExitStack()
        directory.stash[BROWSER] = running.enter_context(chromium.launched(chromium_path))
        running.callback(directory.stash.__delitem__, BROWSER)
        directory.addfinalizer(running.close)
    browser: Browser = directory.stash[BROWSER]
    return browser


@pytest.fixture(scope="session")
def service(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """``tuner serve`` with one worker, on an SQLite file of its own. Each test names its studies as no other does."""
    directory = tmp_path_factory.mktemp("service")
    flags = ["--objectives", BOWLS, "--grace-seconds", "2"]
    with serving(f"sqlite:///{directory}/tuner.db", directory, *flags) as service:
        yield service


@pytest.fixture
def api(service: Service) -> Iterator[httpx.Client]:
    """A client of the service, beside the browser."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        yield client


@pytest.fixture
def unwatched(browser: Browser, service: Service) -> Iterator[Page]:
    """A page of the service, as wide as a laptop's screen; addresses are relative to the service's."""
    context = browser.new_context(base_url=service.url, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE)
    # Until all that a page loads at once is there, Plotly among it.
    context.set_default_navigation_timeout(3 * PATIENCE)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


@pytest.fixture
def watch(unwatched: Page, service: Service) -> Iterator[Watch]:
    """What goes wrong in the page; the test fails where it did not say that it would."""
    watch = Watch(unwatched, service.url)
    yield watch
    assert watch.troubles == []


@pytest.fixture
def page(unwatched: Page, watch: Watch) -> Page:
    """A page in which nothing may go wrong."""
    return unwatched
