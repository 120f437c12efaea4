"""Whether everybody can use a page: what axe-core finds in it."""

from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = {"serious", "critical"}

COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules about colours."""


def violations(page: Page) -> list[str]:
    """What axe-core calls serious or critical in a page as it is now, light and dark: rule, element, why.

    What is no matter of colours is the same in both schemes, and looked for in one. The page is left in light.
    """
    found = []
    runs: dict[Literal["dark", "light"], dict[str, Any]] = {
        "dark": {},
        "light": {"runOnly": {"type": "rule", "values": COLOURS}},
    }
    for scheme, options in runs.items():
        page.emulate_media(color_scheme=scheme)
        # Of what is right it would otherwise describe every element, which takes longer than to judge it.
        ran = Axe().run(page, options={"resultTypes": ["violations"], **options})
        rules: list[dict[str, Any]] = ran.response["violations"]
        found += [
            f"{rule['id']} ({rule['impact']}), {scheme}: {node['html'][:200]}: {node['failureSummary']}"
            for rule in rules
            if rule["impact"] in GRAVE
            for node in rule["nodes"]
        ]
    return found
