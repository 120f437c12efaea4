"""Charts of a page, brought into view and waited for: they load when they are looked at."""

from playwright.sync_api import Locator, Page, expect

CHARTS = "tuner-chart:visible, tuner-descent:visible"


def chart(page: Page, name: str) -> Locator:
    """The chart of that name on a study's page, in view and drawn."""
    found = page.locator(f"tuner-chart[src*='/charts/{name}']")
    bring(found)
    expect(found.locator("svg.main-svg").first).to_be_visible()
    return found


def bring_all(page: Page) -> list[Locator]:
    """Every chart that the page shows, each having been looked at; those without anything to show say so."""
    charts = page.locator(CHARTS).all()
    for each in charts:
        bring(each)
    return charts


def bring(chart: Locator) -> None:
    """Scroll to a chart, and wait until it is no longer loading."""
    chart.scroll_into_view_if_needed()
    expect(chart.locator(".chart-status, .descent-status")).not_to_have_text("Loading …")
