"""What is to find something wrong in a page finds it."""

import pytest
from playwright.sync_api import Page

from tests.browser import accessibility
from tests.browser.watch import Watch
from tests.faults.service import Service

WRONG = {
    "console error: it went wrong": "console.error('it went wrong')",
    "uncaught: out of reach": "setTimeout(() => { throw new Error('out of reach'); })",
    "status 404: GET": "fetch('/nothing')",
    "security policy: connect-src forbids http://elsewhere.test/": "fetch('http://elsewhere.test/').catch(() => {})",
    "security policy: script-src-elem forbids inline": """
        const script = document.createElement("script");
        script.textContent = "1";
        document.body.append(script);""",
    "security policy: script-src forbids eval": "setTimeout(() => { try { eval('1'); } catch { } })",
    "dialog: sure?": "setTimeout(() => confirm('sure?'))",
}


@pytest.mark.parametrize(("trouble", "script"), WRONG.items(), ids=list(WRONG))
def test_what_goes_wrong_is_seen(unwatched: Page, service: Service, trouble: str, script: str) -> None:
    watch = Watch(unwatched, service.url)
    unwatched.goto("/about")
    assert watch.troubles == []
    unwatched.evaluate(f"() => {{ {script} }}")
    for _ in range(100):
        if any(trouble in each for each in watch.troubles):
            break
        unwatched.wait_for_timeout(50)
    else:
        pytest.fail(f"only this was seen: {watch.troubles}")
    watch.expect(trouble)
    assert not any(trouble in each for each in watch.troubles)


def test_who_is_shut_out_is_seen(page: Page) -> None:
    page.goto("/about")
    page.evaluate("document.querySelector('h1').style.color = '#444'")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    found = accessibility.violations(page)
    assert {each.split(":")[0] for each in found} == {
        "button-name (critical), dark",
        "color-contrast (serious), dark",
    }
