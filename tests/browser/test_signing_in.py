"""A service that asks for tokens: a browser signs in once, and then works as everywhere."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser import accessibility
from tests.browser.studies import create, external
from tests.browser.watch import Watch
from tests.cli.commands import tuner
from tests.faults.service import Service, serving

FLAGS = ("--workers", "0", "--authentication", "true")


@pytest.fixture(scope="module")
def service(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that asks for tokens."""
    directory = tmp_path_factory.mktemp("guarded")
    with serving(f"sqlite:///{directory}/tuner.db", directory, *FLAGS) as service:
        yield service


def token_of(service: Service, name: str, scope: str) -> str:
    made = tuner("token", "create", "--name", name, "--scope", scope, "--database-url", service.database_url)
    assert made.returncode == 0, made.stderr
    return next(word for word in made.stdout.split() if word.startswith("tuner_"))


def test_a_browser_signs_in_and_works(page: Page, watch: Watch, service: Service) -> None:
    token = token_of(service, "me", "write")
    with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as api:
        name = create(api, external("guarded"))

        watch.expect("401")
        page.goto(f"/studies/{name}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert accessibility.violations(page) == []
        # Nothing is wrong yet.
        expect(page.get_by_role("alert")).to_have_count(0)
        page.get_by_label("Token").fill("tuner_wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")

        expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        page.wait_for_load_state("load")  # Its heading is there before its scripts are.
        page.get_by_role("button", name="Pause").click()
        expect(page.locator(".state").first).to_have_text("paused")
        assert api.get(f"/v1/studies/{name}").json()["state"] == "paused"
