"""A study's page: it follows the search to its end, draws what was found, and steers."""

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser import charts
from tests.browser.studies import create, external, finished, registered
from tests.browser.watch import Watch

SLOW = {"name": "slow_bowl", "settings": {"seconds": 0.02}}
"""An objective of the tests whose gradient takes a while: what is done to its study is done while it runs."""


def test_a_study_is_watched_to_its_end_and_its_best_trial_opened(page: Page, api: httpx.Client) -> None:
    name = create(api, registered("study-watched", budget={"trials": 30}))
    page.goto(f"/studies/{name}")
    page.evaluate("window.loadedOnce = true")
    expect(page.get_by_role("main")).to_contain_text("completed")
    best = api.get(f"/v1/studies/{name}/best").raise_for_status().json()
    assert page.evaluate("window.loadedOnce") is True

    answer = page.get_by_role("region", name="Answer")
    expect(answer).to_contain_text(f"{best['parameters']['learning_rate']:.4g}")
    answer.get_by_role("link", name=f"trial {best['number']}").click()
    expect(page).to_have_url(re.compile(f"/studies/{name}/trials/{best['number']}$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text(str(best["number"]))


def test_a_study_is_paused_resumed_and_stopped(page: Page, api: httpx.Client) -> None:
    name = create(api, registered("study-steered", objective=SLOW, budget={"trials": 100}))
    page.goto(f"/studies/{name}")
    for button, state in [("Pause", "paused"), ("Resume", "active"), ("Stop", "stopped")]:
        page.get_by_role("button", name=button).click()
        expect(page.locator(".state").first).to_have_text(state)
        assert api.get(f"/v1/studies/{name}").json()["state"] == state


def test_deleting_a_study_asks_first_and_leads_to_the_others(page: Page, api: httpx.Client) -> None:
    name = create(api, external("study-to-go"))
    page.goto(f"/studies/{name}")
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_have_count(0)
    assert api.get(f"/v1/studies/{name}").status_code == 200

    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile("/$"))
    assert api.get(f"/v1/studies/{name}").status_code == 404


@pytest.fixture
def charted(page: Page, api: httpx.Client) -> int:
    """A finished study is on the page; how many trials it has."""
    name = "study-charted"
    if api.get(f"/v1/studies/{name}").status_code == 404:
        finished(api, registered(name, budget={"trials": 40}))
    page.goto(f"/studies/{name}")
    return int(api.get(f"/v1/studies/{name}").json()["trials"]["complete"])


def test_what_the_first_chart_needs_is_asked_for_once(page: Page, charted: int) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    charts.chart(page, "rate-loss")
    for part in ("/charts/rate-loss", "/plotly.min.js"):
        assert len([address for address in asked if part in address]) == 1
    names = page.evaluate("performance.getEntriesByName('drawn').map((mark) => mark.detail)")
    assert names[0].endswith("/charts/rate-loss")


def test_without_the_drawing_library_a_chart_says_so_and_is_drawn_when_it_is_there(
    page: Page, watch: Watch, charted: int
) -> None:
    watch.expect("net::ERR_FAILED")
    page.route("**/plotly.min.js", lambda route: route.abort("failed"))
    page.reload()
    chart = page.locator("tuner-chart[src$='/charts/rate-loss']")
    expect(chart.get_by_role("status")).to_contain_text("the drawing library could not be loaded.")
    page.unroute("**/plotly.min.js")
    chart.get_by_role("button", name="Try again").click()
    expect(chart.locator("svg.main-svg").first).to_be_visible()


def test_every_trial_is_a_point_of_rate_and_loss(page: Page, charted: int) -> None:
    points = charts.chart(page, "rate-loss").locator(".scatterlayer path.point")
    expect(points.nth(charted - 1)).to_be_attached()


def test_every_chart_is_drawn_and_told_in_words(page: Page, charted: int) -> None:
    drawn = charts.bring_all(page)
    assert len(drawn) >= 5
    for each in drawn:
        # A chart of what this study does not have says so.
        expect(each.locator("svg.main-svg, .chart-status").first).to_be_visible()
        assert len(each.inner_text().split()) > 3
