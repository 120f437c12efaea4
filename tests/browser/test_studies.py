"""The page of studies: live, narrowed down, and steered from its rows."""

import httpx
from playwright.sync_api import Page, expect

from tests.browser.studies import create, external, registered
from tests.browser.watch import Watch


def test_a_study_comes_runs_and_ends_before_ones_eyes(page: Page, api: httpx.Client) -> None:
    create(api, external("here-already"))
    page.goto("/")
    page.evaluate("window.loadedOnce = true")
    name = create(api, registered("comes-later", budget={"trials": 20}))
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("completed")
    expect(row).to_contain_text("20 of 20 trials")
    api.delete(f"/v1/studies/{name}").raise_for_status()
    expect(row).to_have_count(0)
    assert page.evaluate("window.loadedOnce") is True


def test_a_study_is_steered_from_its_row(page: Page, api: httpx.Client) -> None:
    name = create(api, external("row-steered"))
    page.goto("/")
    row = page.get_by_role("row", name=name)
    for button, state in [("Pause", "paused"), ("Resume", "active"), ("Stop", "stopped")]:
        row.get_by_role("button", name=button).click()
        expect(row).to_contain_text(state)
        assert api.get(f"/v1/studies/{name}").json()["state"] == state


def test_a_click_counts_though_its_row_changes_under_it(page: Page, api: httpx.Client) -> None:
    name = create(api, external("pressed"))
    page.goto("/")
    row = page.get_by_role("row", name=name)
    row.get_by_role("button", name="Pause").hover()
    page.mouse.down()
    api.post(f"/v1/studies/{name}/trials:ask").raise_for_status()
    page.wait_for_timeout(2000)
    page.mouse.up()
    expect(row).to_contain_text("paused")
    expect(row).to_contain_text("1 running")


def test_deleting_a_study_asks_first(page: Page, api: httpx.Client) -> None:
    name = create(api, external("row-to-go"))
    create(api, external("spared"))
    page.goto("/")
    row = page.get_by_role("row", name=name)
    dialog = page.get_by_role("dialog")

    row.get_by_role("button", name="Delete").click()
    expect(dialog).to_contain_text(name)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert api.get(f"/v1/studies/{name}").status_code == 200

    row.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert api.get(f"/v1/studies/{name}").status_code == 404
    expect(page.get_by_role("row", name="spared")).to_be_visible()


def test_what_the_service_refuses_is_said(page: Page, watch: Watch, api: httpx.Client) -> None:
    name = create(api, external("gone-meanwhile"))
    # A page that hears of nothing: it offers what is no longer possible.
    page.route("**/events*", lambda route: route.abort())
    watch.expect("/events", "ERR_FAILED")
    page.goto("/")
    row = page.get_by_role("row", name=name)
    expect(row).to_be_visible()
    api.post(f"/v1/studies/{name}:stop").raise_for_status()
    watch.expect("status 409", "status of 409")
    row.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("alert").filter(has_text="stopped")).to_be_visible()


def test_studies_are_found_by_name_state_and_tag(page: Page, api: httpx.Client) -> None:
    create(api, external("find-alpha", tags=["vision"]))
    create(api, external("find-beta", tags=["speech"]))
    create(api, external("find-gamma", tags=["speech"]))
    api.post("/v1/studies/find-gamma:pause").raise_for_status()
    shown = page.locator("main").get_by_role("link", name="find-")

    page.goto("/")
    page.get_by_label("Name").fill("find-")
    page.keyboard.press("Enter")
    expect(shown).to_have_count(3)
    page.get_by_label("State").select_option("paused")
    expect(shown).to_have_text(["find-gamma"])
    page.get_by_label("State").select_option("")
    expect(shown).to_have_count(3)
    page.get_by_role("link", name="vision").click()
    expect(shown).to_have_text(["find-alpha"])
    # What was asked for is in the address: it can be kept, sent, and gone back from.
    page.go_back()
    expect(shown).to_have_count(3)


def test_studies_are_sorted(page: Page, api: httpx.Client) -> None:
    for name in ("sort-b", "sort-a", "sort-c"):
        create(api, external(name))
    page.goto("/?text=sort-")
    shown = page.locator("main").get_by_role("link", name="sort-")
    expect(shown).to_have_text(["sort-c", "sort-a", "sort-b"])
    page.get_by_role("columnheader", name="Study").get_by_role("link").click()
    expect(shown).to_have_text(["sort-a", "sort-b", "sort-c"])
    expect(page.get_by_role("columnheader", name="Study")).to_have_attribute("aria-sort", "ascending")


def test_rows_change_places_while_the_page_is_open(page: Page, api: httpx.Client) -> None:
    for name, loss in [("place-a", 3.0), ("place-b", 2.0), ("place-c", 1.0)]:
        tell(api, create(api, external(name)), loss)
    page.goto("/?text=place-")
    best = page.get_by_role("columnheader", name="Best", exact=True)
    best.get_by_role("link").click()
    shown = page.locator("main").get_by_role("link", name="place-")
    expect(shown).to_have_text(["place-c", "place-b", "place-a"])
    expect(page.get_by_role("caption")).to_contain_text("Best value first")
    expect(best).to_have_attribute("aria-sort", "other")
    held = page.get_by_role("button", name="Pause place-a")
    held.focus()
    tell(api, "place-a", 0.5)
    expect(shown).to_have_text(["place-a", "place-c", "place-b"])
    expect(held).to_be_focused()


def tell(api: httpx.Client, name: str, loss: float) -> None:
    """The result of one more trial of a study."""
    [trial] = api.post(f"/v1/studies/{name}/trials:ask").json()["trials"]
    told = {"attempt": 1, "state": "complete", "values": {"loss": loss}}
    api.post(f"/v1/studies/{name}/trials/{trial['number']}:tell", json=told).raise_for_status()
