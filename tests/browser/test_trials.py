"""The table of a study's trials: sorted, filtered and paged, points enqueued, trials excluded and set side by side."""

import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.studies import create, external

LOSSES = [0.5, 0.25, 8.0, 0.125, "NaN", 2.0]


@pytest.fixture
def told(page: Page, api: httpx.Client, request: pytest.FixtureRequest) -> str:
    """A study with a few told trials, on the page; its name."""
    name = create(api, external(re.sub("[^a-z]", "-", request.function.__name__)[-60:].strip("-")))
    api.post(f"/v1/studies/{name}/trials:ask", json={"count": len(LOSSES)}).raise_for_status()
    results = [
        {"number": number, "attempt": 1, "state": "complete", "values": {"loss": loss}}
        for number, loss in enumerate(LOSSES)
    ]
    api.post(f"/v1/studies/{name}/trials:tell", json={"results": results}).raise_for_status()
    page.goto(f"/studies/{name}")
    return name


def table(page: Page) -> Locator:
    return page.get_by_role("region", name="Trials").last


def numbers(page: Page) -> Locator:
    return table(page).locator("tbody a")


def test_trials_are_sorted_and_filtered_in_place(page: Page, told: str) -> None:
    expect(numbers(page)).to_have_text(["5", "4", "3", "2", "1", "0"])
    page.evaluate("window.loadedOnce = true")
    table(page).get_by_role("link", name="Loss").click()
    expect(numbers(page).first).to_have_text("3")
    page.get_by_label("Rate from").fill("0.5")
    page.get_by_role("button", name="Show").click()
    expect(
        page.get_by_role("navigation", name="Pages of trials").or_(page.get_by_text("No trial fits"))
    ).to_be_visible()
    page.go_back()
    expect(numbers(page)).to_have_count(6)
    assert page.evaluate("window.loadedOnce") is True


def test_trials_are_set_side_by_side(page: Page, told: str) -> None:
    for number in (1, 3):
        page.get_by_label(f"Choose trial {number}").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 trials side by side")
    comparison = page.get_by_role("region", name="Comparison")
    expect(comparison).to_contain_text("0.25")
    expect(comparison).to_contain_text("0.125")


def test_a_trial_is_excluded_and_another_is_best(page: Page, told: str, api: httpx.Client) -> None:
    answer = page.get_by_role("region", name="Answer")
    expect(answer.get_by_role("link", name="trial 3")).to_be_visible()
    page.get_by_label("Choose trial 3").check()
    page.get_by_role("button", name="Exclude").click()
    expect(answer.get_by_role("link", name="trial 1")).to_be_visible()
    assert api.get(f"/v1/studies/{told}/best").json()["number"] == 1


def test_a_point_is_enqueued(page: Page, told: str, api: httpx.Client) -> None:
    page.get_by_role("button", name="Enqueue a point").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("learning rate").fill("0.03")
    dialog.get_by_label("steps").fill("120")
    dialog.get_by_role("button", name="Enqueue").click()
    expect(dialog).to_have_count(0)
    expect(numbers(page).first).to_have_text("6")
    trial = api.get(f"/v1/studies/{told}/trials/6").json()
    assert (trial["state"], trial["parameters"]) == ("waiting", {"learning_rate": 0.03, "steps": 120})


def test_notes_are_written_and_read_as_markdown(page: Page, told: str, api: httpx.Client) -> None:
    page.get_by_role("button", name="Edit notes and tags").click()
    page.get_by_label("Notes (Markdown)").fill("# Why\n\nBecause **0.1** is *right*.")
    page.get_by_label("Tags").fill("tried, true")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main").locator("strong", has_text="0.1")).to_be_visible()
    definition = api.get(f"/v1/studies/{told}").json()["definition"]
    assert (definition["notes"], definition["tags"]) == ("# Why\n\nBecause **0.1** is *right*.", ["tried", "true"])


def test_trials_are_downloaded(page: Page, told: str) -> None:
    for kind in ("CSV", "JSON"):
        with page.expect_download() as download:
            page.get_by_role("link", name=kind, exact=True).first.click()
        assert "0.125" in download.value.path().read_text()
