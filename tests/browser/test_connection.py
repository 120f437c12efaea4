"""A live page and the service behind it: what the page says while the service is away, and how it finds it again."""

import os
import signal

import httpx
from playwright.sync_api import Page, expect

from tests.browser.studies import create, external
from tests.browser.watch import Watch
from tests.faults.service import Service


def test_a_lost_service_is_shown_and_found_again(page: Page, watch: Watch, service: Service, api: httpx.Client) -> None:
    watch.expect("net::ERR_")
    name = create(api, external("lost"))
    page.goto(f"/studies/{name}")
    lost = page.get_by_role("status").filter(has_text="connection")
    expect(lost).to_have_count(0)

    service.kill()
    expect(lost).to_contain_text("lost")
    service.start()
    expect(lost).to_have_count(0)
    assert_live(page, api, name)


def test_a_service_that_is_held_up_is_noticed_and_followed_again(
    page: Page, service: Service, api: httpx.Client
) -> None:
    page.clock.install()
    name = create(api, external("held-up"))
    page.goto(f"/studies/{name}")
    silent = page.get_by_role("status").filter(has_text="does not answer")
    expect(page.get_by_role("main")).to_contain_text("0 of 100 trials")
    # Its connections stay open, and nothing comes over them.
    os.kill(service.pid, signal.SIGSTOP)
    try:
        page.clock.fast_forward(20_000)
        expect(silent).to_be_visible()
    finally:
        os.kill(service.pid, signal.SIGCONT)
    expect(silent).to_have_count(0)
    assert_live(page, api, name)


def assert_live(page: Page, api: httpx.Client, name: str) -> None:
    """That a page of a study shows what happens from now on, without being loaded again."""
    page.evaluate("window.loadedOnce = true")
    api.post(f"/v1/studies/{name}/trials:ask", json={"count": 3}).raise_for_status()
    expect(page.get_by_text("3 running").first).to_be_visible()
    assert page.evaluate("window.loadedOnce") is True
