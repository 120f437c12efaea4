"""The API's reference works in the browser as the pages do: offline, under the policy, and a call can be tried."""

from playwright.sync_api import Page, expect


def test_a_call_can_be_tried_on_the_reference(page: Page) -> None:
    page.goto("/docs")
    page.get_by_role("button", name="GET /healthz", exact=False).first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_text('"status"').first).to_be_visible()
