"""Everything can be done by keyboard, and whoever does sees where they are."""

import re

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.browser.studies import create, external

STOPS = 150
"""How often the tab key is pressed before something counts as out of reach."""


def test_a_study_is_opened_paused_and_its_trial_read_by_keyboard(page: Page, api: httpx.Client) -> None:
    name = create(api, external("by-keyboard"))
    api.post(f"/v1/studies/{name}/trials:ask").raise_for_status()
    ending = {"attempt": 1, "state": "complete", "values": {"loss": 0.25}}
    api.post(f"/v1/studies/{name}/trials/0:tell", json=ending).raise_for_status()

    page.goto("/")
    tab_to(page, page.get_by_role("link", name=name, exact=True))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/studies/{name}$"))

    tab_to(page, page.get_by_role("button", name="Pause"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text("paused")
    assert api.get(f"/v1/studies/{name}").json()["state"] == "paused"

    page.goto(f"/studies/{name}")
    tab_to(page, page.get_by_role("link", name=re.compile("^(trial )?0$")).first)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("0")


def test_the_first_stop_of_a_page_leads_to_its_content(page: Page) -> None:
    page.goto("/about")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="To the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def tab_to(page: Page, target: Locator) -> None:
    """Press the tab key until the element has the focus; each one on the way must show that it has it."""
    expect(target).to_be_visible()
    for _ in range(STOPS):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
                const style = getComputedStyle(document.activeElement);
                const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
                return outlined || style.boxShadow !== "none";
            }"""
        )
        assert seen, f"the focus cannot be seen: {page.evaluate('document.activeElement.outerHTML')[:200]}"
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"not within {STOPS} stops: {target}")
