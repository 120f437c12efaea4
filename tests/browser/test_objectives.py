"""An objective's page: descents are played on its landscape, and a rate is tried at once."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import charts
from tests.browser.watch import Watch


@pytest.fixture
def player(page: Page) -> Locator:
    """The descents of `line_fit`, drawn, and not played to one who wants no motion until asked to."""
    page.emulate_media(reduced_motion="reduce")
    page.goto("/objectives/line_fit")
    player = page.locator("tuner-descent")
    charts.bring(player)
    return player


def test_descents_are_played_side_by_side(page: Page, player: Locator) -> None:
    expect(player.locator("section.descent")).to_have_count(4)
    step = player.get_by_role("slider", name="Step", exact=True)
    player.get_by_role("button", name="Play").click()
    expect(player.get_by_role("button", name="Pause")).to_be_visible()
    page.wait_for_function("slider => Number(slider.value) > 3", arg=step.element_handle())
    player.get_by_role("button", name="Pause").click()
    expect(player.get_by_role("button", name="Play")).to_be_visible()


def test_descents_are_stepped_by_keyboard(page: Page, player: Locator) -> None:
    step = player.get_by_role("slider", name="Step", exact=True)
    last = int(step.get_attribute("max") or "")
    step.fill("5")
    player.get_by_role("group", name="Descents").focus()
    for key, place in [("ArrowLeft", 4), ("ArrowLeft", 3), ("ArrowRight", 4)]:
        page.keyboard.press(key)
        expect(step).to_have_value(str(place))
    step.fill(str(last))
    page.keyboard.press("ArrowRight")
    expect(step).to_have_value(str(last))


def test_descents_are_shown_in_three_dimensions(page: Page, watch: Watch, player: Locator) -> None:
    # A hint for Plotly's own code, which reads pixels to know what lies under the pointer.
    watch.expect("willReadFrequently")
    player.get_by_role("button", name="Show in 3-D").click()
    expect(player.locator("canvas").first).to_be_visible()
    player.get_by_role("button", name="contour").click()
    expect(player.locator("canvas")).to_have_count(0)


def test_a_rate_is_tried_at_once(page: Page) -> None:
    page.goto("/objectives/line_fit")
    tried = page.get_by_role("form", name="Try it")
    verdict = tried.locator("p[role=status]")
    slider = tried.get_by_role("slider", name="Learning rate")
    slider.scroll_into_view_if_needed()
    slider.focus()
    page.keyboard.press("End")
    expect(verdict).to_contain_text("diverged", ignore_case=True)
    page.keyboard.press("Home")
    expect(verdict).not_to_contain_text("diverged", ignore_case=True)
    expect(tried.locator("svg.main-svg").first).to_be_visible()
