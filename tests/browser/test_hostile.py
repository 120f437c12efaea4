"""What users wrote is shown as they wrote it, and nothing of it runs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import optuna
import pytest
from playwright.sync_api import Page, expect

from tests.api.requests import SPACE
from tests.browser.studies import create, external
from tests.faults.service import Service
from tuner.storage import TunerStorage

HOSTILE = "<script>ran()</script>\"'><img src=x onerror=ran()>{{ran()}}</title></textarea>"


@pytest.fixture
def ran(page: Page) -> list[str]:
    """What ran of what users wrote."""
    calls: list[str] = []
    page.expose_function("ran", lambda: calls.append(page.url))
    return calls


def test_a_study_of_hostile_words(page: Page, ran: list[str], api: httpx.Client) -> None:
    kind = {"type": "categorical", "choices": [HOSTILE, "tame"]}
    name = create(
        api,
        external(
            "hostile",
            notes=f"{HOSTILE}\n\n[link](javascript:ran())",
            tags=[HOSTILE[:60]],
            search_space={**SPACE, "kind": kind},
        ),
    )
    lease = api.post(f"/v1/studies/{name}/trials:ask", json={"worker": HOSTILE[:100]}).raise_for_status().json()
    ending = {"attempt": 1, "state": "complete", "values": {"loss": 1}, "reason": HOSTILE}
    number = lease["trials"][0]["number"]
    api.post(f"/v1/studies/{name}/trials/{number}:tell", json=ending).raise_for_status()

    for path, shown in [
        ("/", "hostile"),
        (f"/studies/{name}", "<script>ran()</script>"),
        (f"/studies/{name}/trials/{number}", HOSTILE),
    ]:
        page.goto(path)
        expect(page.get_by_text(shown).first).to_be_visible()
        assert_tame(page)
    assert ran == []


def test_a_study_with_a_hostile_name(page: Page, ran: list[str], service: Service) -> None:
    # Over HTTP no study can have such a name; an Optuna program may give it one.
    with quiet():
        study = optuna.create_study(storage=TunerStorage(service.database_url), study_name=HOSTILE)
        study.optimize(lambda trial: trial.suggest_float(HOSTILE, 0.0, 1.0), n_trials=3)
    page.goto("/")
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    assert_tame(page)
    page.get_by_role("link", name=re.compile("^(trial )?1$")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("1")
    assert_tame(page)
    assert ran == []


def assert_tame(page: Page) -> None:
    """That users' words became no elements of the page."""
    assert page.locator("script:not([src]), img[src=x], [onerror], a[href^='javascript' i]").count() == 0


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna, not saying what it does."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)
