"""Whether everybody can use a page: what axe-core finds in it."""

from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = {"serious", "critical"}


def violations(page: Page) -> list[str]:
    """What axe-core calls serious or critical in a page as it is now, light and dark: rule, element, why.

    The page is left in light.
    """
    found = []
    schemes: list[Literal["dark", "light"]] = ["dark", "light"]
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        rules: list[dict[str, Any]] = Axe().run(page).response["violations"]
        found += [
            f"{rule['id']} ({rule['impact']}), {scheme}: {node['html'][:200]}: {node['failureSummary']}"
            for rule in rules
            if rule["impact"] in GRAVE
            for node in rule["nodes"]
        ]
    return found
