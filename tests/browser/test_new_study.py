"""The form of a new study: filled in, judged, started, and watched to its end."""

import json
import re
import shutil
import subprocess

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.studies import create, external
from tests.browser.watch import Watch


def test_a_study_is_created_watched_and_its_best_trial_opened(page: Page, api: httpx.Client) -> None:
    page.goto("/")
    page.get_by_role("link", name="New study").click()
    page.get_by_label("Objective").select_option("line_fit")
    page.get_by_label("Name of the study").fill("by-form")
    page.get_by_label("Highest rate").fill("0.5")
    page.get_by_label("Sampler").select_option("random")
    page.get_by_label("Points at once").fill("5")
    page.get_by_label("Trials", exact=True).fill("25")
    page.get_by_label("Tags").fill("made, by hand")
    page.get_by_role("button", name="Start").click()

    expect(page).to_have_url(re.compile("/studies/by-form$"))
    expect(page.get_by_role("main")).to_contain_text("completed")
    study = api.get("/v1/studies/by-form").json()
    assert study["trials"]["complete"] == 25
    definition = study["definition"]
    assert definition["search_space"]["learning_rate"] == {"type": "float", "low": 1e-4, "high": 0.5, "scale": "log"}
    assert (definition["sampler"]["name"], definition["tags"]) == ("random", ["made", "by hand"])
    assert definition["sampler"]["batch_size"] == 5

    best = study["best"]["number"]
    page.get_by_role("region", name="Answer").get_by_role("link", name=f"trial {best}").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Trial {best}")


def test_a_setting_of_an_objective_is_sent_where_it_differs_from_its_default(page: Page, api: httpx.Client) -> None:
    page.goto("/new")
    page.get_by_label("Objective").select_option("quadratic")
    page.get_by_label("Name of the study").fill("of-settings")
    settings = page.get_by_role("group", name="Settings of quadratic")
    settings.get_by_label("dimension").fill("7")
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile("/studies/of-settings$"))
    assert api.get("/v1/studies/of-settings").json()["definition"]["objective"]["settings"]["dimension"] == 7


def test_how_it_is_searched_and_stopped_can_be_set(page: Page, watch: Watch, api: httpx.Client) -> None:
    page.goto("/new?objective=")
    page.get_by_label("Name of the study").fill("of-parts")
    page.get_by_label("Sampler").select_option("tpe")
    page.get_by_text("Settings of tpe").click()
    page.get_by_role("group", name="Settings of tpe").get_by_label("n startup trials").fill("3")
    page.get_by_text("When a trial is stopped early").click()
    pruner = page.get_by_role("combobox", name="Pruner")
    pruner.select_option("threshold")
    # What a choice lacks is said at once.
    watch.expect("422")
    lacking = page.get_by_role("group", name="Settings of threshold").locator(".error")
    expect(lacking).to_contain_text("lower, upper or both")
    # So is what it cannot do without.
    pruner.select_option("patient")
    patient = page.get_by_role("group", name="Settings of patient")
    patient.get_by_label("patience").fill("20")
    patient.get_by_label("Another pruner").fill('{"name": "median"}')
    page.get_by_label("its loss diverges").uncheck()
    expect(page.locator("#judged")).to_contain_text("Ready")
    written = json.loads(page.locator("#json").text_content() or "")
    assert written["sampler"] == {"name": "tpe", "settings": {"n_startup_trials": 3}}
    assert written["pruner"] == {"name": "patient", "settings": {"patience": 20, "pruner": {"name": "median"}}}
    assert written["stop_diverging"] is False
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile("/studies/of-parts$"))
    definition = api.get("/v1/studies/of-parts").json()["definition"]
    assert definition["pruner"]["settings"]["pruner"]["name"] == "median"


def test_what_is_wrong_is_said_beside_its_field(page: Page, watch: Watch, api: httpx.Client) -> None:
    create(api, external("taken"))
    page.goto("/new")
    watch.expect("422", "409")
    lowest = page.get_by_label("Lowest rate")
    page.get_by_label("Name of the study").fill("taken")
    lowest.fill("2")
    # Said while it is filled in, before anything is sent.
    wrong = page.get_by_role("group", name="Learning rate").locator(".error")
    expect(wrong).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile("/new$"))
    expect(wrong).to_be_visible()

    lowest.fill("0.001")
    expect(wrong).to_have_count(0)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_label("Name of the study")).to_have_attribute("aria-invalid", "true")
    assert api.get("/v1/studies/taken").json()["definition"]["objective"] is None


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_same_with_curl_is_the_same(page: Page, api: httpx.Client) -> None:
    page.goto("/new")
    page.get_by_label("Name of the study").fill("by-curl")
    page.get_by_label("Notes").fill('It\'s "mine", at $5 a `go`\n\\ and 100 % <b>bold</b>')
    command = page.locator("#curl")
    expect(command).to_contain_text("100 %")
    document = json.loads(page.locator("#json").text_content() or "")
    page.get_by_role("button", name="Copy").first.click()
    assert page.evaluate("navigator.clipboard.readText()") == command.text_content()

    ran = subprocess.run(["bash", "-c", command.text_content() or ""], capture_output=True, check=True, timeout=30)
    made = json.loads(ran.stdout)["definition"]
    assert made["notes"] == document["notes"] == 'It\'s "mine", at $5 a `go`\n\\ and 100 % <b>bold</b>'
    # What the form sends now is that very study.
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile("/studies/by-curl$"))
